//! Both sides of a case, beside each other.

use crate::differences;
use crate::world::{Case, Recorded, Side};

/// What the reference did and what we did, under the same answers.
pub async fn both(case: &Case) -> (Recorded, Recorded) {
    tokio::join!(case.record(Side::Reference), case.record(Side::Ours))
}

/// Asserts that both sides ask the same, as often, in the same order, and end alike.
pub async fn same(case: Case) {
    let (reference, ours) = both(&case).await;
    let told = format!("{case:?}\n--- SDK\n{}\n--- ours\n{}", reference.stderr, ours.stderr);
    assert_eq!(ours.summary(), reference.summary(), "{told}");
    assert_eq!(ours.exchanges(), reference.exchanges(), "{told}");
    assert_eq!(ours.log_forms(), reference.log_forms(), "{told}");
}

/// Asserts that the sides do what the row `name` of the table of differences says.
pub async fn differs(name: &str, case: Case) {
    let (reference, ours) = both(&case).await;
    let found = differences::Row { reference: reference.summary(), ours: ours.summary() };
    let told = format!("{case:?}\n--- SDK\n{}\n--- ours\n{}", reference.stderr, ours.stderr);
    eprintln!("ROW {name}: {found:?}");
    assert_eq!(found, differences::row(name), "{told}");
}
