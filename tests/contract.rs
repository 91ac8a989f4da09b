//! What the platform reads of the module in this repository: manifests, template, logo, changelog. Each rule here is
//! one that the platform's library or editor relies on.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at what it did not expect"
)]

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output};

use aws_flowlogs::config::ModuleConfiguration;
use aws_flowlogs::manifest;
use base64::Engine as _;
use serde_json::{Map, Value, json};

const REGENERATE: &str = "run `make manifests` and commit what it wrote";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}; {REGENERATE}"))
}

fn committed(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn module() -> Value {
    committed("manifest.json")
}

/// The files that the platform's library loads: it goes by the names.
fn nodes() -> Vec<(String, Value)> {
    let names =
        std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names
        .filter(|name| {
            (name.starts_with("trigger_") || name.starts_with("action_")) && name.ends_with(".json")
        })
        .collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), committed(&name))).collect()
}

/// Every form that a user fills in, and every result that a playbook's author picks from.
fn schemas() -> Vec<(String, Value)> {
    let mut schemas = vec![("manifest.json configuration".to_owned(), module()["configuration"].clone())];
    for (name, node) in nodes() {
        for part in ["arguments", "results"] {
            schemas.push((format!("{name} {part}"), node[part].clone()));
        }
    }
    schemas
}

fn properties(schema: &Value) -> &Map<String, Value> {
    schema["properties"].as_object().unwrap()
}

fn binary(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aws-flowlogs")).args(arguments).output().unwrap()
}

#[test]
fn what_is_committed_is_what_the_types_say() {
    for (name, generated) in manifest::all() {
        assert_eq!(text(name), generated, "{name} is not what the types say: {REGENERATE}");
    }
    let known: HashSet<&str> = manifest::all().into_iter().map(|(name, _)| name).collect();
    for (name, _) in nodes() {
        assert!(known.contains(name.as_str()), "{name} is generated from no type");
    }
}

#[test]
fn the_command_prints_and_writes_the_same_files() {
    let printed: Value = serde_json::from_slice(&binary(&["manifests"]).stdout).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let page = "before\n<!-- table: trigger -->\nstale\n<!-- end -->\nafter\n";
    std::fs::create_dir(folder.path().join("docs")).unwrap();
    for name in manifest::PAGES {
        std::fs::write(folder.path().join(name), page).unwrap();
    }
    let output = binary(&["manifests", "--write", folder.path().to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    for (name, generated) in manifest::all() {
        assert_eq!(std::fs::read_to_string(folder.path().join(name)).unwrap(), generated);
        assert_eq!(printed[name], serde_json::from_str::<Value>(&generated).unwrap());
        assert!(String::from_utf8_lossy(&output.stdout).contains(name), "{output:?}");
    }
    for name in manifest::PAGES {
        let page = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page.starts_with("before\n") && page.ends_with("<!-- end -->\nafter\n"), "{page}");
        assert!(page.contains("`bucket_name`") && !page.contains("stale"), "{page}");
    }

    let file = folder.path().join("README.md/below a file");
    let output = binary(&["manifests", "--write", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("below a file"), "{output:?}");
}

#[test]
fn the_module_is_described_as_the_library_asks() {
    let module = module();
    let slug = module["slug"].as_str().unwrap();
    assert_eq!(slug, "aws-flowlogs");
    assert!(slug.starts_with(|first: char| first.is_ascii_lowercase()));
    assert!(slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c)));
    let version: Vec<&str> = module["version"].as_str().unwrap().split('.').collect();
    assert!(version.len() == 3 && version.iter().all(|part| part.parse::<u32>().is_ok()), "{version:?}");
    assert_eq!(module["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(module["categories"], json!(["Cloud Providers"]));
    assert_eq!(module["supports_validation"], true);
    for (name, node) in nodes().iter().chain([&("manifest.json".to_owned(), module.clone())]) {
        for key in ["name", "description"] {
            assert!(node[key].as_str().is_some_and(|text| !text.is_empty()), "{name}: {key}");
        }
    }
}

/// Changed on purpose? Then playbooks that use the module break: give a new node another UUID and leave these.
#[test]
fn uuids_never_change_and_are_nobody_elses() {
    let uuid = |name: &str| committed(name)["uuid"].as_str().unwrap().to_owned();
    let ours = [
        (uuid("manifest.json"), "4f498235-5213-4251-90a7-1e9e4c294208"),
        (uuid("trigger_fetch_flowlogs.json"), "2f2b27da-31b2-4c3d-9942-9bd9fe1bc2c9"),
        (uuid("action_push_events.json"), "c171f895-df48-4af2-ab76-db482d7c550e"),
        (uuid("connector_s3_flowlogs.json"), "7c1f0e52-96ab-4f0d-8d13-52b0a7e4c6f9"),
        (uuid("templates/aws-flowlogs.json"), "d3a3babd-babd-4031-bc65-10ac119e4a3a"),
    ];
    // The modules that this one stands in for: AWS, its flow log trigger, Push Events to Intake.
    let theirs = [
        "b4462429-6f0f-42b5-87b8-430111697d28",
        "e1e721c1-0263-4763-8812-25bf24d062f4",
        "10314466-ac0c-4067-8e81-4093e3d1e1da",
    ];
    for (uuid, published) in &ours {
        assert_eq!(uuid, published);
        let parsed: uuid::Uuid = uuid.parse().unwrap();
        assert_eq!(parsed.get_version_num(), 4, "{uuid}");
        assert!(!theirs.contains(&uuid.as_str()), "{uuid}");
    }
    let distinct: HashSet<&String> = ours.iter().map(|(uuid, _)| uuid).collect();
    assert_eq!(distinct.len(), ours.len());
}

#[test]
fn every_schema_is_valid_in_draft_7_and_needs_no_other_draft() {
    for (name, schema) in schemas() {
        assert!(jsonschema::draft7::meta::is_valid(&schema), "{name}");
        assert_eq!(schema["type"], "object", "{name}");
        for keyword in ["$ref", "$defs", "definitions", "\"null\"", "uint"] {
            assert!(!schema.to_string().contains(keyword), "{name}: a form cannot show {keyword}");
        }
        let draft = if name.starts_with("manifest.json") {
            Value::Null
        } else {
            json!("http://json-schema.org/draft-07/schema#")
        };
        assert_eq!(schema["$schema"], draft, "{name}");
    }
}

/// What playbooks of the modules that this one stands in for carry.
#[test]
fn the_forms_take_what_existing_playbooks_hold() {
    let account =
        json!({"aws_access_key": "AKIA", "aws_secret_access_key": "hush", "aws_region_name": "eu-west-3"});
    let trigger = json!({"bucket_name": "logs", "prefix": "AWSLogs/", "frequency": 60, "chunk_size": 10000});
    let action = json!({"intake_key": "key", "events_path": "{{ node.0['records_path'] }}", "keep_file_after_push": false});
    let arguments = |name: &str| committed(name)["arguments"].clone();
    for (schema, given) in [
        (module()["configuration"].clone(), account),
        (arguments("trigger_fetch_flowlogs.json"), trigger),
        (arguments("action_push_events.json"), action),
    ] {
        let errors: Vec<String> = jsonschema::draft7::new(&schema)
            .unwrap()
            .iter_errors(&given)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{given}: {errors:?}");
    }
}

#[test]
fn secrets_are_properties_of_the_account() {
    let configuration = &module()["configuration"];
    assert_eq!(configuration["secrets"], json!(ModuleConfiguration::SECRETS));
    for secret in ModuleConfiguration::SECRETS {
        assert!(properties(configuration).contains_key(secret), "{secret}");
    }
    for key in
        properties(configuration).keys().filter(|key| key.contains("secret") || key.contains("api_key"))
    {
        assert!(
            ModuleConfiguration::SECRETS.contains(&key.as_str()),
            "{key} looks like a secret and is not one"
        );
    }
}

#[test]
fn the_binary_knows_every_command_that_the_platform_starts() {
    let nodes = nodes();
    let mut commands: Vec<&str> =
        nodes.iter().map(|(_, node)| node["docker_parameters"].as_str().unwrap()).collect();
    commands.sort_unstable();
    assert_eq!(commands, ["fetch_flowlogs", "fetch_queued_flowlogs", "push_events"]);
    commands.extend(["flowlog_records_trigger", "push-events-to-intake", "validate_module_configuration"]);
    commands.extend(["collect_flowlogs", "aws_s3_no_sqs_trigger", "collect_queued_flowlogs"]);
    commands.extend(["aws_s3_flowlogs_trigger", "aws_s3_flowlogs_parquet_records_trigger"]);
    for command in commands {
        assert!(binary(&[command, "--help"]).status.success(), "{command}");
    }
    assert_eq!(binary(&["fetch_everything", "--help"]).status.code(), Some(2));
}

#[test]
fn the_template_chains_the_trigger_and_the_action() {
    let template = committed("templates/aws-flowlogs.json");
    for key in ["name", "uuid", "workspace", "description"] {
        assert!(template[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    let template_nodes = template["nodes"].as_object().unwrap();
    let manifests = nodes();
    for (id, node) in template_nodes {
        assert_eq!(node["module_uuid"], module()["uuid"], "node {id}");
        let kind = node["type"].as_str().unwrap();
        let (file, described) = manifests
            .iter()
            .find(|(_, described)| described["uuid"] == node[format!("{kind}_uuid")])
            .unwrap_or_else(|| panic!("node {id}: no manifest has its UUID"));
        assert!(file.starts_with(kind), "node {id} is a {kind}, but its UUID is the one of {file}");
        assert_eq!(node["name"], described["name"], "node {id}");
        let no_arguments = Map::new();
        let arguments = node["arguments"].as_object().unwrap_or(&no_arguments);
        for argument in arguments.keys() {
            assert!(properties(&described["arguments"]).contains_key(argument), "node {id}: {argument}");
        }
        if kind == "action" {
            for required in described["arguments"]["required"].as_array().unwrap() {
                let required = required.as_str().unwrap();
                assert!(arguments.contains_key(required), "node {id}: {required} is required");
            }
        }
        for next in node["outputs"]["default"].as_array().unwrap() {
            assert!(template_nodes.contains_key(next.as_str().unwrap()), "node {id}: no node {next}");
        }
    }
    assert_eq!(template_nodes["0"]["outputs"]["default"], json!(["1"]));
    let records = "{{ node.0['records_path'] }}";
    assert_eq!(template_nodes["1"]["arguments"], json!({"events_path": records, "intake_key": ""}));
    let (_, trigger) = manifests.iter().find(|(name, _)| name.starts_with("trigger_")).unwrap();
    assert!(properties(&trigger["results"]).contains_key("records_path"));
}

#[test]
fn the_logo_is_a_small_square_picture_and_the_icon_of_the_template() {
    let logo = text("logo.svg");
    assert!(logo.starts_with("<svg ") && logo.contains("viewBox=\"0 0 64 64\""), "{logo}");
    assert!(logo.len() < 50 * 1024);
    for foreign in ["<script", "href", "<image", "<text", "http://"] {
        assert!(!logo.replace("http://www.w3.org/2000/svg", "").contains(foreign), "{foreign}");
    }
    let template = committed("templates/aws-flowlogs.json");
    for (id, node) in template["nodes"].as_object().unwrap() {
        let icon = node["icon"].as_str().unwrap().strip_prefix("data:image/svg+xml;base64,").unwrap();
        let icon = base64::engine::general_purpose::STANDARD.decode(icon).unwrap();
        assert_eq!(icon, logo.as_bytes(), "node {id}: {REGENERATE}");
    }
}

/// The library's checker reads the page by these lines.
#[test]
fn the_changelog_is_the_one_that_the_library_reads() {
    let changelog = text("CHANGELOG.md");
    assert!(changelog.starts_with("# Changelog\n"));
    let head = changelog.split("\n## ").next().unwrap().replace('\n', " ");
    for sentence in [
        "All notable changes to this project will be documented in this file.",
        "The format is based on [Keep a Changelog](https://keepachangelog.com/en/1.0.0/), and this project adheres to [Semantic Versioning](https://semver.org/spec/v2.0.0.html).",
    ] {
        assert!(head.contains(sentence), "{sentence}");
    }
    assert_eq!(changelog.lines().filter(|line| line.starts_with("# ")).count(), 1);
    let versions: Vec<&str> = changelog.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert!(!versions.is_empty());
    for version in versions {
        let dated = version.split_once(" - ").is_some_and(|(date, number)| {
            date.parse::<jiff::civil::Date>().is_ok() && number.split('.').count() == 3
        });
        assert!(version == "Unreleased" || dated, "{version}");
    }
    for section in changelog.lines().filter_map(|line| line.strip_prefix("### ")) {
        let known = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
        assert!(known.contains(&section), "{section}");
    }
}

#[test]
fn the_licence_that_cargo_names_is_there_in_full() {
    assert_eq!(env!("CARGO_PKG_LICENSE"), "Apache-2.0");
    let licence = text("LICENSE");
    assert!(licence.contains("Apache License") && licence.contains("END OF TERMS AND CONDITIONS"));
}
