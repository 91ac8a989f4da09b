//! The inputs that fuzzing began with and those that it found, through the same checks: they must not rot.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test ends at what it did not expect"
)]

#[path = "../fuzz/checks.rs"]
mod checks;

#[global_allocator]
static ALLOCATOR: checks::counting::Counting = checks::counting::Counting;

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for input in corpus.read_dir().unwrap() {
        check(&std::fs::read(input.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 4, "{count} inputs in {}", corpus.display());
}

#[test]
fn events_are_read_as_any_reader_of_json_reads_them() {
    replay("events", checks::events);
}

#[test]
fn objects_are_decoded_to_json_strings_however_they_arrive() {
    replay("object", checks::object);
}

#[test]
fn parquet_takes_no_more_memory_than_it_may() {
    replay("parquet", checks::parquet);
}

#[test]
fn a_state_that_can_be_read_is_written_as_it_was() {
    replay("state", checks::state);
}

#[test]
fn values_that_cannot_be_used_are_refused_without_a_word_of_them() {
    replay("values", checks::values);
}
