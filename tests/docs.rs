//! What the pages say is what the code does, as far as a program can tell.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at what it did not expect"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_flowlogs::manifest;
use aws_flowlogs::platform::metrics::{FlowLog, Metrics, Operation};
use flow_log::decode::tally::Tally;
use flow_log::filter::Reason;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every page that a reader is led to.
const PAGES: [&str; 13] = [
    "README.md",
    "ARCHITECTURE.md",
    "GUARANTEES.md",
    "docs/user.md",
    "docs/pay-less.md",
    "docs/operator.md",
    "docs/check.md",
    "docs/backfill.md",
    "docs/sizing.md",
    "docs/dependencies.md",
    "docs/release.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
];

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

/// What stands between `before` and `after`, everywhere in a text.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split_once(after)).map(|(found, _)| found).collect()
}

#[test]
fn the_tables_of_the_pages_are_what_the_types_say() {
    let mut tables = Vec::new();
    for name in manifest::PAGES {
        let page = text(name);
        assert!(
            page == manifest::with_tables(&page),
            "the tables are old: run `make manifests` and commit {name}"
        );
        for table in between(&page, "<!-- table: ", "<!-- end -->") {
            let (table, rows) = table.split_once(" -->\n").unwrap();
            assert!(rows.lines().count() > 2, "{name}: {table}");
            tables.push(table.to_owned());
        }
    }
    tables.sort();
    let known =
        ["account", "action", "connector", "options", "queue", "queued connector", "results", "trigger"];
    assert_eq!(tables, known);
}

#[test]
fn every_command_is_described() {
    let help = Command::new(env!("CARGO_BIN_EXE_aws-flowlogs")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split_once("Commands:\n").unwrap().1.split("\n\n").next().unwrap();
    let page = text("docs/operator.md");
    let mut count = 0;
    for command in commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let command = command.split_whitespace().next().unwrap();
        assert!(page.contains(&format!("| `{command}` |")), "{command}");
        count += 1;
    }
    assert!(count >= 4, "{help}");
}

#[test]
fn every_value_of_the_platform_is_described() {
    let page = text("docs/operator.md");
    let mut values = BTreeSet::new();
    for file in files(&root().join("src")) {
        let source = std::fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        for call in
            ["values.text(\"", "required_text(\"", "required_secret(\"", "required_json(\"", "port(\""]
        {
            values.extend(between(source, call, "\"").into_iter().map(str::to_owned));
        }
    }
    assert!(values.len() > 8, "{values:?}");
    for value in values.iter().filter(|value| *value != "symphony_data_dir") {
        assert!(page.contains(&format!("`{value}`")), "{value}");
    }
    for variable in ["SYMPHONY_DIR", "SYMPHONY_DATA_DIR", "RUST_LOG"] {
        assert!(page.contains(&format!("`{variable}`")), "{variable}");
    }
}

/// The names of all metrics, as they are served.
fn served_metrics() -> BTreeSet<String> {
    let (metrics, registry) = Metrics::new();
    metrics.object_failed("corrupt");
    metrics.object_rejected("corrupt");
    metrics.records_read(&Tally { filtered: [1; Reason::ALL.len()], ..Tally::default() });
    metrics.s3_calls.get_or_create(&Operation { operation: "list" }).inc();
    metrics.messages("deleted", 1);
    metrics.slots_missing.get_or_create(&FlowLog { flow_log: "one".to_owned() }).inc();
    let mut served = String::new();
    prometheus_client::encoding::text::encode(&mut served, &registry).unwrap();
    let families = served.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let families = families.map(|family| family.split_once(' ').unwrap());
    families
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect()
}

fn is_metric(name: &str) -> bool {
    name.starts_with("symphony_module_") || name.starts_with("aws_flowlogs_")
}

#[test]
fn the_metrics_are_those_that_are_served() {
    let page = text("docs/operator.md");
    let described: BTreeSet<String> = between(&page, "\n| `", "` |")
        .into_iter()
        .filter(|name| is_metric(name))
        .map(str::to_owned)
        .collect();
    assert_eq!(described, served_metrics());
}

#[test]
fn the_dashboard_shows_all_metrics_and_no_other() {
    let dashboard: Value = serde_json::from_str(&text("dashboards/aws-flowlogs.json")).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            let names = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let names: Vec<&str> = names.filter(|name| is_metric(name)).collect();
            assert!(!names.is_empty(), "{expression}");
            shown.extend(names.into_iter().map(|name| name.trim_end_matches("_bucket").to_owned()));
        }
    }
    assert_eq!(shown, served_metrics());
}

#[test]
fn every_cause_of_a_failure_is_described() {
    let page = text("docs/user.md");
    let table = page.split_once("### Causes\n").unwrap().1;
    let mut causes = Vec::new();
    for file in ["flow-log/src/decode.rs", "src/contract.rs", "src/s3/failure.rs"] {
        let source = text(file);
        let cause =
            between(&source, "pub fn cause(&self) -> &'static str {", "\n    }\n").remove(0).to_owned();
        causes.extend(between(&cause, "=> \"", "\"").into_iter().map(str::to_owned));
    }
    assert!(causes.len() > 12, "{causes:?}");
    for cause in causes {
        assert!(table.contains(&format!("`{cause}`")), "{cause}");
    }
}

#[test]
fn what_is_to_be_made_can_be_made() {
    let makefile = text("Makefile");
    let mut targets = BTreeSet::new();
    for page in PAGES.map(text) {
        for call in between(&page, "`make ", "`").into_iter().chain(between(&page, "\nmake ", "\n")) {
            targets.extend(call.split_whitespace().next().map(str::to_owned));
        }
    }
    assert!(targets.contains("demo") && targets.contains("test"), "{targets:?}");
    for target in targets {
        assert!(makefile.contains(&format!("\n{target}:")), "make {target}");
    }
}

/// The names by which the headings of a page are linked to.
fn headings(name: &str) -> Vec<String> {
    let page = text(name);
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    headings
        .map(|line| line.trim_start_matches(['#', ' ']).to_lowercase())
        .map(|line| line.chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    for name in PAGES.into_iter().chain(["CHANGELOG.md"]) {
        let folder = Path::new(name).parent().unwrap();
        for link in between(&text(name), "](", ")").into_iter().filter(|link| !link.starts_with("http")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { PathBuf::from(name) } else { folder.join(file) };
            assert!(root().join(&file).exists(), "{name}: {link}");
            let known = heading.is_empty() || headings(file.to_str().unwrap()).iter().any(|is| is == heading);
            assert!(known, "{name}: {link} leads to no heading of {file:?}");
        }
    }
}

#[test]
fn json_in_the_pages_is_json() {
    for name in PAGES {
        for block in between(&text(name), "```json\n", "```") {
            assert!(serde_json::from_str::<Value>(block).is_ok(), "{name}: {block}");
        }
    }
}

#[test]
fn the_code_map_names_every_file_and_no_other() {
    let architecture = text("ARCHITECTURE.md");
    let map = between(&architecture, "## Code map\n", "\n## ").remove(0);
    for (folder, depth) in [("src", 2), ("flow-log/src", 1)] {
        for file in between(map, &format!("`{folder}/"), "`") {
            assert!(root().join(folder).join(file).exists(), "{folder}/{file}");
        }
        for file in files(&root().join(folder)) {
            // A file of tests, or a part of a file that is named.
            let parts = file.strip_prefix(root().join(folder)).unwrap().iter().count();
            let file = file.strip_prefix(root()).unwrap().to_str().unwrap();
            assert!(parts > depth || map.contains(&format!("`{file}`")), "{file} is not in the code map");
        }
    }
}

#[test]
fn no_source_file_is_long() {
    for folder in ["src", "flow-log", "playground", "tests", "benches"] {
        let is_source =
            |file: &PathBuf| file.extension().is_some_and(|ending| ending == "rs" || ending == "py");
        for file in files(&root().join(folder)).into_iter().filter(is_source) {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            assert!(lines <= 400, "{}: {lines} lines", file.display());
        }
    }
}

#[test]
fn every_guarantee_names_a_test_that_quotes_it() {
    let page = text("GUARANTEES.md");
    let promises: Vec<&str> = page.split("\n\n").filter(|part| part.starts_with("**")).collect();
    assert!(promises.len() > 10);
    for (number, promise) in (1..).zip(promises) {
        let words = promise.split("**").nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        let title = words
            .strip_prefix(&format!("{number}. "))
            .unwrap_or_else(|| panic!("{words} is not number {number}"));
        let tests: Vec<&str> =
            promise.split('`').skip(1).step_by(2).filter(|test| test.contains("::")).collect();
        assert!(!tests.is_empty(), "{title}");
        for test in tests {
            let (path, name) = test.rsplit_once("::").unwrap();
            let path = path.replace("::", "/");
            let is_folder = root().join("tests").join(&path).join("main.rs").exists();
            let source = text(&format!("tests/{path}{}", if is_folder { "/main.rs" } else { ".rs" }));
            let before = source.split(&format!("fn {name}(")).next().filter(|before| *before != source);
            let before = before.unwrap_or_else(|| panic!("{test} does not exist"));
            let comment: Vec<&str> = before.rsplit("\n\n").next().unwrap().lines().collect();
            let quoted: Vec<&str> =
                comment.iter().filter_map(|line| line.trim_start().strip_prefix("/// ")).collect();
            assert!(
                quoted.join(" ").contains(&format!("Guarantee {number}: {title}")),
                "{test} does not quote {title}"
            );
        }
    }
}
