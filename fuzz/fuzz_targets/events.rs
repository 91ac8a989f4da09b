#![no_main]
//! See `checks::events`.

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target uses its own of the checks")]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::events(input));
