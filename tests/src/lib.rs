//! Harness, whole-system tests, simulation and benches of Quorate. Nothing imports it.

pub mod years;
