//! The table of the page on sizing.

use support::sizing::{self, LOADS};

use crate::figures::{holds, measured, number};
use crate::page::{rows, text};

#[test]
fn the_table_is_what_the_model_says() {
    let page = text("docs/sizing.md");
    let table = sizing::table();
    assert!(page.contains(&table), "write this into docs/sizing.md:\n{table}");
}

#[test]
fn what_the_model_reckons_with_was_measured() {
    let (measured, page) = (measured(), text("docs/sizing.md"));
    let constants = rows(&page, "## What it is reckoned with");
    let model = [
        sizing::RECORDS_A_SECOND,
        sizing::RECORDS_A_PROCESSOR_SECOND,
        sizing::OBJECTS_A_SECOND,
        sizing::OBJECTS_A_PROCESSOR_SECOND,
        sizing::WORK_MIB,
        sizing::CALLS_A_MESSAGE,
        sizing::IDLE_CALLS_A_MINUTE,
    ];
    assert_eq!(constants.len(), model.len(), "{constants:?}");
    for (row, constant) in constants.iter().zip(model) {
        let [what, bound, source] = row.as_slice() else { panic!("{row:?}") };
        let said = number(bound);
        assert!((said - constant).abs() < 1e-9, "{what}: the page says {said}, the model {constant}");
        holds(&measured, what, bound, source);
    }
}

#[test]
fn more_is_never_reckoned_to_take_less() {
    for pair in LOADS.map(|load| load.needs()).windows(2) {
        assert!(pair[0].replicas <= pair[1].replicas && pair[0].dollars_a_month < pair[1].dollars_a_month);
        assert!(pair[1].lag_minutes <= 60.0 && pair[1].processors < pair[1].replicas);
    }
}
