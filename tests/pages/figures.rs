//! Figures, expressions and the picture.

use std::collections::BTreeMap;

use aws_flowlogs::platform::metrics::{FlowLog, Metrics, Operation};
use flow_log::decode::tally::Tally;
use flow_log::filter::Reason;

use crate::page::{quoted, rows, text};

/// The first number in a text: `2.06` of `2.06 million records per s`, 300000 of `300,000 records`.
pub fn number(text: &str) -> f64 {
    let is_part = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | ',');
    let start = text.find(|letter: char| letter.is_ascii_digit());
    let start = start.unwrap_or_else(|| panic!("no number in {text:?}"));
    let digits: String = text[start..].chars().take_while(|letter| is_part(*letter)).collect();
    digits.trim_end_matches(['.', ',']).replace(',', "").parse().unwrap()
}

/// The part of a figure that is in this unit: `46 MiB at most` of `0.08 s, 46 MiB at most`.
fn in_unit<'a>(figure: &'a str, unit: &str) -> &'a str {
    figure.split(", ").find(|part| part.contains(unit)).unwrap_or_else(|| panic!("no {unit} in {figure:?}"))
}

/// What was measured, by its name.
pub fn measured() -> BTreeMap<String, String> {
    let results = text("benches/RESULTS.md");
    let rows =
        results.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    rows.map(|(what, figure)| (what.to_owned(), figure.to_owned())).collect()
}

/// A figure in the unit in which it is promised. How many in a second, where the time is measured that a number of them takes.
fn figure_for(bound: &str, what: &str, figure: &str) -> f64 {
    match bound {
        _ if bound.contains("MiB") => number(in_unit(figure, "MiB")),
        _ if bound.contains("million") => number(in_unit(figure, "million")),
        _ if bound.ends_with("a second") => {
            if figure.contains("a minute") {
                number(figure) / 60.0
            } else {
                number(what) / number(figure)
            }
        }
        _ => number(figure),
    }
}

/// Sees that a promise such as `at least 1.5 million` is held by what was measured as its source says.
pub fn holds(measured: &BTreeMap<String, String>, what: &str, bound: &str, source: &str) {
    let source = quoted(source)[0];
    let figure = measured.get(source);
    let figure = figure.unwrap_or_else(|| panic!("{what}: benches/RESULTS.md has no {source:?}"));
    let value = figure_for(bound, source, figure);
    let holds = match bound.split_once(' ').unwrap() {
        ("at", rest) if rest.starts_with("least") => value >= number(bound),
        ("at", rest) if rest.starts_with("most") => value <= number(bound),
        _ => panic!("{what}: {bound} is no bound"),
    };
    assert!(holds, "{what}: {bound} was promised, {figure} was measured");
}

#[test]
fn what_an_operator_can_count_on_was_measured() {
    let measured = measured();
    let promises = rows(&text("docs/operator.md"), "## Sizing");
    assert!(promises.len() >= 6, "{promises:?}");
    for promise in promises {
        let [what, bound, source] = promise.as_slice() else { panic!("{promise:?}") };
        holds(&measured, what, bound, source);
    }
}

fn served() -> String {
    let (metrics, registry) = Metrics::new();
    metrics.object_failed("corrupt");
    metrics.object_rejected("corrupt");
    metrics.records_read(&Tally { filtered: [1; Reason::ALL.len()], ..Tally::default() });
    metrics.s3_calls.get_or_create(&Operation { operation: "list" }).inc();
    metrics.messages("deleted", 1);
    metrics.slots_missing.get_or_create(&FlowLog { flow_log: "one".to_owned() }).inc();
    let mut served = String::new();
    prometheus_client::encoding::text::encode(&mut served, &registry).unwrap();
    served
}

#[test]
fn alerts_are_about_metrics_that_are_served() {
    let (page, served) = (text("docs/operator.md"), served());
    let alerts = rows(&page, "### Alerts");
    assert!(alerts.len() >= 5, "{alerts:?}");
    for alert in &alerts {
        let expression = quoted(&alert[1])[0];
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let names =
            expression.split(|letter| !is_name(letter)).filter(|name| name.starts_with("aws_flowlogs_"));
        let names: Vec<&str> = names.collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            let is_served = served
                .lines()
                .any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
            assert!(is_served, "{name} is not served:\n{served}");
        }
        let open = expression.matches(['(', '[']).count();
        assert_eq!(open, expression.matches([')', ']']).count(), "{expression}");
    }
}

#[test]
fn panels_that_the_guide_names_are_on_the_dashboard() {
    let (page, dashboard) = (text("docs/user.md"), text("dashboards/aws-flowlogs.json"));
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let rows = rows(&page, "### The dashboard");
    assert!(rows.len() >= 5, "{rows:?}");
    for panel in rows.iter().flat_map(|row| row[1].split(", ")) {
        let title = panel.trim_matches('*');
        assert!(panels.iter().any(|panel| panel["title"] == title), "no panel is called {title:?}");
    }
}

#[test]
fn the_picture_is_of_a_run_that_ended_well_and_needs_nothing_from_outside() {
    let picture = text("docs/demo.svg").replace("&#160;", " ");
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
    for part in ["make demo", "trigger, warning: ", "lost", "Nothing was lost."] {
        assert!(picture.contains(part), "{part}: make it anew with `make picture`");
    }
    for foreign in ["@font-face", "url(http", "<script", "<image", "href=\"http", "/home/", "/root/"] {
        assert!(!picture.contains(foreign), "{foreign}");
    }
    assert!(picture.len() < 100 * 1024);
}
