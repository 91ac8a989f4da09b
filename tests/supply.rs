//! What the project is built from is written down, and built as it is written down.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at what it did not expect"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What cargo knows of the crates of the workspace.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    told["packages"].as_array().unwrap().clone()
}

/// The direct dependencies of every crate but those of the tests and the demo: of the binary, or of tests and benchmarks alone.
fn dependencies(is_dev: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for package in packages()
        .iter()
        .filter(|package| !["playground", "support"].contains(&package["name"].as_str().unwrap()))
    {
        for dependency in package["dependencies"].as_array().unwrap() {
            let is_ours = dependency["path"].is_string() && dependency["name"] != "support";
            if (dependency["kind"] == "dev") == is_dev && !is_ours {
                names.insert(dependency["name"].as_str().unwrap().to_owned());
            }
        }
    }
    names
}

/// The rows of the table below a heading of a page: first and second cell.
fn rows(page: &str, heading: &str) -> Vec<(String, String)> {
    let part = page.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("{heading}"));
    let part = part.split("\n## ").next().unwrap();
    let rows = part.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| (name.to_owned(), rest.split(" |").next().unwrap().to_owned())).collect()
}

#[test]
fn the_page_of_dependencies_names_each_once_and_says_what_it_is_for() {
    let page = text("docs/dependencies.md");
    for (heading, is_dev) in [("In the binary", false), ("In tests, benchmarks and the demo", true)] {
        let rows = rows(&page, heading);
        let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
        let expected = dependencies(is_dev);
        assert!(expected.len() > 5, "{expected:?}");
        assert_eq!(names, expected.iter().map(String::as_str).collect::<Vec<_>>(), "{heading}");
        for (name, purpose) in &rows {
            assert!(purpose.split_whitespace().count() > 0, "what is {name} for?");
        }
    }
}

#[test]
fn the_tools_are_pinned_where_the_page_says() {
    let rows = rows(&text("docs/dependencies.md"), "Tools");
    assert!(rows.len() >= 4, "{rows:?}");
    for (tool, _) in rows {
        let variable = format!("{}_VERSION", tool.to_uppercase().replace('-', "_"));
        let pinned: Vec<String> = ["Makefile", "Dockerfile"]
            .map(text)
            .iter()
            .flat_map(|page| page.lines().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|line| {
                let rest = line.trim_start_matches("ARG ").strip_prefix(&variable)?;
                Some(rest.trim_start_matches([' ', ':', '=']).to_owned())
            })
            .collect();
        assert_eq!(pinned.len(), 1, "{tool}: {pinned:?}");
        let numbers: Vec<&str> = pinned[0].split('.').collect();
        assert!(
            numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok()),
            "{pinned:?}"
        );
    }
}

#[test]
fn one_version_of_rust_is_named_everywhere() {
    let toolchain = text("rust-toolchain.toml");
    let channel = toolchain.split_once("channel = \"").unwrap().1.split('"').next().unwrap();
    let minor = channel.rsplit_once('.').unwrap().0;
    assert!(text("Dockerfile").contains(&format!("/rust:{channel}-")), "{channel}");
    assert!(text("Cargo.toml").contains(&format!("rust-version = \"{minor}\"")), "{channel}");
    assert!(text("README.md").contains(&format!("Rust {minor}")), "{channel}");
}

#[test]
fn what_is_built_is_what_the_lock_file_says() {
    for name in ["Makefile", "scripts/compile", "scripts/demo", "scripts/release", "Dockerfile"] {
        for line in text(name).lines().filter(|line| !line.trim_start().starts_with('#')) {
            let builds = [
                "cargo build",
                "cargo run",
                "cargo test",
                "cargo bench",
                "cargo clippy",
                "cargo install",
                "cargo auditable build",
            ];
            if builds.iter().any(|command| line.contains(command)) {
                assert!(line.contains("--locked"), "{name}: {line}");
            }
        }
    }
}

/// A crate twice over, in the binary, is two of its versions to keep safe: those below are not ours to choose.
#[test]
fn no_direct_dependency_is_in_the_binary_in_two_versions() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let crates: BTreeSet<(&str, &str)> = told
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some((words.next()?, words.next()?))
        })
        .collect();
    assert!(crates.len() > 100, "{told}{}", String::from_utf8_lossy(&output.stderr));
    for name in dependencies(false) {
        let versions: Vec<&str> =
            crates.iter().filter(|(found, _)| *found == name).map(|(_, version)| *version).collect();
        // The SDK of AWS has the version before beside the one that everybody else has.
        let allowed = if name == "http-body" { 2 } else { 1 };
        assert!((1..=allowed).contains(&versions.len()), "{name}: {versions:?}");
    }
}
