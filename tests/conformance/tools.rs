//! The SDK's tools: publishing the module, its page in the documentation, and the rule about failures.

use std::path::Path;

use aws_flowlogs::platform::failures::Failures;
use serde_json::Value;
use support::library::Library;
use tempfile::TempDir;
use tokio::time::{Duration, Instant};

use crate::sdk;

/// What the platform's library reads of a module.
const FILES: [&str; 6] = [
    "manifest.json",
    "trigger_fetch_flowlogs.json",
    "connector_s3_flowlogs.json",
    "action_push_events.json",
    "logo.svg",
    "CHANGELOG.md",
];

/// A library of modules that has only this one.
fn modules() -> TempDir {
    let modules = tempfile::tempdir().unwrap();
    let module = modules.path().join("aws-flowlogs");
    std::fs::create_dir(&module).unwrap();
    for file in FILES {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), module.join(file)).unwrap();
    }
    modules
}

fn path(folder: &TempDir) -> &str {
    folder.path().to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_module_is_published_left_alone_and_updated() {
    let (library, modules) = (Library::start("the-api-key").await, modules());
    let url = library.url();
    let publish =
        || sdk::tool(&["synchronize-library", &url, "the-api-key", "--modules-path", path(&modules)]);

    let told = publish();
    assert!(told.contains("Created"), "{told}");
    assert_eq!(
        library.take_changes(),
        ["POST modules", "POST triggers", "POST actions", "POST connectors"],
        "{told}"
    );
    let module = library.items("modules").remove(0);
    let image = format!("ghcr.io/sekoia-io/automation-module-aws-flowlogs:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(module["docker"], image.as_str());
    assert!(module["image"].as_str().unwrap().starts_with("data:image/svg+xml;base64,"));
    for kind in ["triggers", "actions", "connectors"] {
        let node = library.items(kind).remove(0);
        assert_eq!((&node["module_uuid"], &node["docker"]), (&module["uuid"], &module["docker"]), "{kind}");
    }

    let told = publish();
    assert!(told.contains("Already-Up-To-Date") && !told.contains("Updated:"), "{told}");
    assert_eq!(library.take_changes(), Vec::<String>::new(), "{told}");

    let manifest = modules.path().join("aws-flowlogs/manifest.json");
    let mut bumped: Value = serde_json::from_str(&std::fs::read_to_string(&manifest).unwrap()).unwrap();
    bumped["version"] = "99.0.0".into();
    std::fs::write(&manifest, bumped.to_string()).unwrap();
    let told = publish();
    assert!(told.contains("Updated"), "{told}");
    assert_eq!(
        library.take_changes(),
        ["PATCH modules", "PATCH triggers", "PATCH actions", "PATCH connectors"],
        "{told}"
    );
    assert_eq!(library.items("modules")[0]["version"], "99.0.0");
    for kind in ["modules", "triggers", "actions", "connectors"] {
        assert!(library.items(kind)[0]["docker"].as_str().unwrap().ends_with(":99.0.0"), "{kind}");
    }
}

#[test]
fn the_module_has_its_page_in_the_documentation() {
    let (modules, documentation) = (modules(), tempfile::tempdir().unwrap());
    for folder in ["_shared_content/automate/library", "docs/assets/playbooks/library"] {
        std::fs::create_dir_all(documentation.path().join(folder)).unwrap();
    }
    let menu = "nav:\n- Integrations:\n  - List of Playbooks Actions: []\n";
    std::fs::write(documentation.path().join("mkdocs.yml"), menu).unwrap();
    sdk::tool(&["generate-documentation", path(&modules), path(&documentation)]);

    let manifest: Value = serde_json::from_str(
        &std::fs::read_to_string(modules.path().join("aws-flowlogs/manifest.json")).unwrap(),
    )
    .unwrap();
    let name = manifest["name"].as_str().unwrap();
    let file = name.to_lowercase().replace(' ', "-");
    let page = documentation.path().join(format!("_shared_content/automate/library/{file}.md"));
    let page = std::fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    for part in
        [name, "Fetch VPC Flow Logs", "Push events", "`bucket_name`", "`events_path`", "`aws_region_name`"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(documentation.path().join(format!("docs/assets/playbooks/library/{file}.svg")).exists());
    let menu = std::fs::read_to_string(documentation.path().join("mkdocs.yml")).unwrap();
    assert!(menu.contains(&format!("{file}.md")) && menu.contains("Cloud Providers"), "{menu}");
}

#[test]
fn failures_are_critical_when_they_are_to_the_sdk() {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    // Seconds running, and seconds of them since the last event.
    let mut moments = Vec::new();
    for running in
        [1, 29 * MINUTE, 30 * MINUTE, HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 120 * HOUR, 720 * HOUR]
    {
        let limit = running.min(120 * HOUR) / 5;
        for silent in [0, limit.saturating_sub(2), limit + 2, running] {
            moments.push((running, silent.min(running)));
        }
    }
    let given = serde_json::to_string(&moments).unwrap();
    let output = std::process::Command::new(sdk::python())
        .arg("-B")
        .arg(sdk::folder().join("critical.py"))
        .arg(&given)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let expected: Vec<Vec<bool>> = serde_json::from_str(&told)
        .unwrap_or_else(|error| panic!("{error}: {told}{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(expected.len(), moments.len());
    assert!(expected.iter().flatten().any(|critical| *critical));
    for ((running, silent), expected) in moments.into_iter().zip(expected) {
        let start = Instant::now();
        let now = start + Duration::from_secs(running);
        let mut failures = Failures::new(start);
        failures.event_sent(now - Duration::from_secs(silent));
        let found: Vec<bool> = (0..6).map(|_| failures.failed(now)).collect();
        assert_eq!(found, expected, "running for {running} s, {silent} s without an event");
    }
}
