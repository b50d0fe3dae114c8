//! Merging what a request says into one input.

#![no_main]

#[path = "../../checks/kit.rs"]
#[allow(dead_code, reason = "each target runs one of the checks")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::input(bytes));
