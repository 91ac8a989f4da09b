#![no_main]
//! See `checks::parquet`.

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target uses its own of the checks")]
mod checks;

#[global_allocator]
static ALLOCATOR: checks::counting::Counting = checks::counting::Counting;

libfuzzer_sys::fuzz_target!(
    // The reader of Parquet may panic, which the decoder catches and calls damage: only what it does not catch counts.
    init: std::panic::set_hook(Box::new(|_| {})),
    |input: &[u8]| checks::parquet(input)
);
