//! Bytes from a peer into every decoder of the protocol.

#![no_main]

#[path = "../../../proto/tests/wire/anything.rs"]
mod anything;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| anything::decode_anything(bytes));
