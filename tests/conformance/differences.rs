//! The table of the differences that are meant, `DIFFERENCES.md`.

use std::collections::BTreeSet;

use crate::sdk;

/// A row: what the SDK does, what this module does.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub reference: String,
    pub ours: String,
}

fn rows() -> Vec<(String, Row)> {
    let page = std::fs::read_to_string(sdk::folder().join("DIFFERENCES.md")).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("| **"));
    let rows = lines.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, reference, ours, reason] = cells[..] else { panic!("four cells: {line}") };
        assert!(!reason.is_empty(), "a difference without a reason: {line}");
        let code = |cell: &str| cell.trim_matches('`').to_owned();
        (name.trim_matches('*').to_owned(), Row { reference: code(reference), ours: code(ours) })
    });
    rows.collect()
}

/// The row `name`.
pub fn row(name: &str) -> Row {
    let found = rows().into_iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("DIFFERENCES.md has no row {name:?}")).1
}

#[test]
fn every_row_is_tested_and_has_two_sides() {
    let mut tested = BTreeSet::new();
    for entry in std::fs::read_dir(sdk::folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let source = std::fs::read_to_string(path).unwrap();
            for call in ["differs(\"", "row(\""] {
                let names = source.split(call).skip(1).filter_map(|rest| rest.split('"').next());
                tested.extend(names.map(str::to_owned));
            }
        }
    }
    let rows = rows();
    assert!(rows.len() > 5, "{rows:?}");
    for (name, Row { reference, ours }) in rows {
        assert!(tested.contains(&name), "no test of {name:?}");
        assert_ne!(reference, ours, "{name:?} is no difference");
    }
}
