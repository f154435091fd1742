//! What crosses the wire: its bytes pinned, its values carried there and back, its decoders fed with rubbish, and the
//! gate through which units pass.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests, helpers included"
)]

#[path = "wire/anything.rs"]
mod anything;
#[path = "wire/gate.rs"]
mod gate;
#[path = "wire/golden.rs"]
mod golden;
#[path = "wire/hostile.rs"]
mod hostile;
#[path = "wire/round_trip.rs"]
mod round_trip;
#[path = "wire/samples.rs"]
mod samples;
