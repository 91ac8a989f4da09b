//! What the platform's library and its playbook editor know of the module: manifests and playbook template, generated
//! from the types that read the configuration, so that a form offers what the code takes.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use base64::Engine as _;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::action::arguments::PushArguments;
use crate::action::results::PushResults;
use crate::config::connector::ConnectorArguments;
use crate::config::queue::{QueueArguments, QueuedConnectorArguments};
use crate::config::{ModuleConfiguration, TriggerArguments, schema_of};

mod tables;

/// The module's name in the platform's library. Published: it never changes.
pub const MODULE_UUID: &str = "4f498235-5213-4251-90a7-1e9e4c294208";
/// The trigger's. Published: it never changes.
pub const TRIGGER_UUID: &str = "2f2b27da-31b2-4c3d-9942-9bd9fe1bc2c9";
/// The action's. Published: it never changes.
pub const ACTION_UUID: &str = "c171f895-df48-4af2-ab76-db482d7c550e";
/// The connector's. Published: it never changes.
pub const CONNECTOR_UUID: &str = "7c1f0e52-96ab-4f0d-8d13-52b0a7e4c6f9";
/// Those of the trigger and of the connector that read a queue. Published: they never change.
pub const QUEUED_TRIGGER_UUID: &str = "0b8d2c5e-7f41-4c9a-b6e3-2d58a1f07c94";
/// See [`QUEUED_TRIGGER_UUID`].
pub const QUEUED_CONNECTOR_UUID: &str = "a4e7f610-3d92-4b58-8c1f-96d0e2b7534a";
/// The playbook template's. Published: it never changes.
pub const TEMPLATE_UUID: &str = "d3a3babd-babd-4031-bc65-10ac119e4a3a";

/// The command that the platform starts for the trigger.
pub const TRIGGER_COMMAND: &str = "fetch_flowlogs";
/// The command that the platform starts for the connector.
pub const CONNECTOR_COMMAND: &str = "collect_flowlogs";
/// The command that the platform starts for the trigger that reads a queue.
pub const QUEUED_TRIGGER_COMMAND: &str = "fetch_queued_flowlogs";
/// The command that the platform starts for the connector that reads a queue.
pub const QUEUED_CONNECTOR_COMMAND: &str = "collect_queued_flowlogs";
/// The command that the platform starts for a run of the action.
pub const ACTION_COMMAND: &str = "push_events";

const DRAFT: &str = "http://json-schema.org/draft-07/schema#";
const LOGO: &[u8] = include_bytes!("../logo.svg");
/// What the module is called in the platform's library.
pub const MODULE_NAME: &str = "AWS VPC Flow Logs";
const TRIGGER_NAME: &str = "Fetch VPC Flow Logs";
const CONNECTOR_NAME: &str = "Collect VPC Flow Logs";
const QUEUED_TRIGGER_NAME: &str = "Fetch VPC Flow Logs from a queue";
const QUEUED_CONNECTOR_NAME: &str = "Collect VPC Flow Logs from a queue";
const ACTION_NAME: &str = "Push events to intake";

/// What a playbook run gets from the trigger. Only its schema is used: a run gets the file's name.
#[derive(JsonSchema)]
#[schemars(title = "Flow log records")]
#[allow(dead_code, reason = "the trigger writes this as JSON; the type is here for its schema")]
struct TriggerResults {
    /// The file that holds the records, as a JSON array, e.g. event.json; give it to Push events to intake as Events file: {{ node.0['records_path'] }}
    #[schemars(title = "File of the records")]
    records_path: String,
    /// What the file holds: an array with one text for each record, e.g. a line as AWS wrote it
    #[schemars(title = "Records")]
    records: Option<Vec<String>>,
}

/// The pages that have generated tables, by their paths in the repository.
pub const PAGES: [&str; 2] = ["README.md", "docs/user.md"];

/// Every generated file: its path in the repository, and its text.
pub fn all() -> Vec<(&'static str, String)> {
    files().into_iter().map(|(name, value)| (name, format!("{value:#}\n"))).collect()
}

fn files() -> [(&'static str, Value); 7] {
    [
        ("manifest.json", module()),
        ("trigger_fetch_flowlogs.json", trigger()),
        ("connector_s3_flowlogs.json", connector()),
        ("trigger_fetch_queued_flowlogs.json", queued_trigger()),
        ("connector_sqs_flowlogs.json", queued_connector()),
        ("action_push_events.json", action()),
        ("templates/aws-flowlogs.json", template()),
    ]
}

/// The command `manifests`. Without a folder, the text is every file under its name, as one JSON object. With one, the
/// files are written there, the tables of its [`PAGES`] are renewed, and the text says what was written.
///
/// # Errors
/// When a file cannot be read or written; the message names it.
pub fn run(write: Option<&Path>) -> io::Result<String> {
    let Some(folder) = write else {
        let files: Map<String, Value> =
            files().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        return Ok(format!("{:#}\n", Value::Object(files)));
    };
    let mut written = String::new();
    for (name, text) in all() {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| naming(parent, &error))?;
        }
        std::fs::write(&path, text).map_err(|error| naming(&path, &error))?;
        let _ = writeln!(written, "{}", path.display());
    }
    for page in PAGES.map(|page| folder.join(page)) {
        match std::fs::read_to_string(&page) {
            Ok(text) => {
                std::fs::write(&page, with_tables(&text)).map_err(|error| naming(&page, &error))?;
                let _ = writeln!(written, "{} (tables)", page.display());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(naming(&page, &error)),
        }
    }
    Ok(written)
}

/// The text of a page with what stands between its markers, e.g. `<!-- table: trigger -->` and `<!-- end -->`, renewed.
pub fn with_tables(page: &str) -> String {
    let tables = [
        ("options", tables::short(&form::<TriggerArguments>())),
        ("account", tables::of(&form::<ModuleConfiguration>(), &ModuleConfiguration::SECRETS)),
        ("trigger", tables::of(&form::<TriggerArguments>(), &[])),
        ("connector", tables::of(&form::<ConnectorArguments>(), &[])),
        ("queue", tables::of(&form::<QueueArguments>(), &[])),
        ("queued connector", tables::of(&form::<QueuedConnectorArguments>(), &[])),
        ("action", tables::of(&form::<PushArguments>(), &[])),
        ("results", tables::of(&form::<PushResults>(), &[])),
    ];
    tables.iter().fold(page.to_owned(), |page, (name, table)| tables::renewed(&page, name, table))
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn module() -> Value {
    let mut configuration = form::<ModuleConfiguration>();
    if let Some(properties) = configuration.as_object_mut() {
        properties.insert("secrets".to_owned(), json!(ModuleConfiguration::SECRETS));
    }
    json!({
        "uuid": MODULE_UUID,
        "name": MODULE_NAME,
        "slug": env!("CARGO_PKG_NAME"),
        "description": "Amazon VPC Flow Logs record the IP traffic of the network interfaces in a VPC, accepted and rejected.\nThis module fetches them from the S3 bucket that AWS delivers them to and pushes them to an intake of the format AWS Flowlogs.",
        "version": env!("CARGO_PKG_VERSION"),
        "categories": ["Cloud Providers"],
        "supports_validation": true,
        "configuration": configuration,
    })
}

fn trigger() -> Value {
    json!({
        "uuid": TRIGGER_UUID,
        "name": TRIGGER_NAME,
        "description": "Fetch the records of new VPC Flow Logs from an S3 bucket, and start a run of the playbook for each batch of them",
        "docker_parameters": TRIGGER_COMMAND,
        "labels": labels(false),
        "arguments": with_draft(form::<TriggerArguments>()),
        "results": with_draft(form::<TriggerResults>()),
    })
}

fn connector() -> Value {
    json!({
        "uuid": CONNECTOR_UUID,
        "name": CONNECTOR_NAME,
        "description": "Fetch the records of new VPC Flow Logs from an S3 bucket, and send them to the intake",
        "docker_parameters": CONNECTOR_COMMAND,
        "labels": labels(false),
        "arguments": with_draft(form::<ConnectorArguments>()),
    })
}

fn queued_trigger() -> Value {
    json!({
        "uuid": QUEUED_TRIGGER_UUID,
        "name": QUEUED_TRIGGER_NAME,
        "description": "Fetch the records of VPC Flow Logs that an SQS queue announces, and start a run of the playbook for each batch of them",
        "docker_parameters": QUEUED_TRIGGER_COMMAND,
        "labels": labels(true),
        "arguments": with_draft(form::<QueueArguments>()),
        "results": with_draft(form::<TriggerResults>()),
    })
}

fn queued_connector() -> Value {
    json!({
        "uuid": QUEUED_CONNECTOR_UUID,
        "name": QUEUED_CONNECTOR_NAME,
        "description": "Fetch the records of VPC Flow Logs that an SQS queue announces, and send them to the intake",
        "docker_parameters": QUEUED_CONNECTOR_COMMAND,
        "labels": labels(true),
        "arguments": with_draft(form::<QueuedConnectorArguments>()),
    })
}

/// Whether several replicas share the work.
fn labels(scales_horizontally: bool) -> Value {
    json!({"scalable_horizontally": scales_horizontally, "scalable_vertically": true})
}

fn action() -> Value {
    json!({
        "uuid": ACTION_UUID,
        "name": ACTION_NAME,
        "description": "Push events, given as they are or in a file, to an intake",
        "docker_parameters": ACTION_COMMAND,
        "arguments": with_draft(form::<PushArguments>()),
        "results": with_draft(form::<PushResults>()),
    })
}

fn template() -> Value {
    let icon =
        format!("data:image/svg+xml;base64,{}", base64::engine::general_purpose::STANDARD.encode(LOGO));
    json!({
        "name": "Collect AWS VPC Flow Logs",
        "uuid": TEMPLATE_UUID,
        "workspace": "Operation Center",
        "description": "Fetches VPC Flow Logs from an S3 bucket and pushes them to an intake. Before you start it: choose the AWS account and the bucket in the trigger, and give the key of an intake of the format AWS Flowlogs in the action.",
        "tags": ["aws", "vpc", "flow logs", "events"],
        "nodes": {
            "0": {
                "name": TRIGGER_NAME,
                "type": "trigger",
                "module_uuid": MODULE_UUID,
                "trigger_uuid": TRIGGER_UUID,
                "icon": icon,
                "outputs": {"default": ["1"]},
            },
            "1": {
                "name": ACTION_NAME,
                "type": "action",
                "module_uuid": MODULE_UUID,
                "action_uuid": ACTION_UUID,
                "icon": icon,
                "outputs": {"default": []},
                "arguments": {"events_path": "{{ node.0['records_path'] }}", "intake_key": ""},
            },
        },
    })
}

/// The schema of `T` as the editor makes a form of it: without what only the code needs to know.
fn form<T: JsonSchema>() -> Value {
    let mut schema = schema_of::<T>().to_value();
    let title = schema.get("title").cloned().unwrap_or_default();
    let required = schema.get("required").cloned().unwrap_or_else(|| json!([]));
    let mut properties = schema.get_mut("properties").map(Value::take).unwrap_or_else(|| json!({}));
    for property in properties.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Value::Object(property) = property {
            tidy(property);
        }
    }
    json!({"title": title, "type": "object", "properties": properties, "required": required})
}

/// Leaves out of a property's schema what says nothing in a form: `null` beside the type, the width of an integer, a
/// default that is nothing, items that may be anything, the line breaks of a comment. What a reader looks for comes
/// first.
fn tidy(property: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            property.insert("type".to_owned(), only);
        }
    }
    property.retain(|key, value| match key.as_str() {
        "format" => !value.as_str().is_some_and(|format| format.contains("int")),
        "default" => !value.is_null() && value != "",
        "items" => !value.is_boolean(),
        _ => true,
    });
    if let Some(Value::String(description)) = property.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    if let Some(Value::Object(items)) = property.get_mut("items") {
        tidy(items);
    }
    for key in ["default", "type", "description", "title"] {
        if let Some(value) = property.shift_remove(key) {
            property.shift_insert(0, key.to_owned(), value);
        }
    }
}

fn with_draft(form: Value) -> Value {
    let Value::Object(form) = form else { return form };
    let draft = ("$schema".to_owned(), Value::from(DRAFT));
    Value::Object(std::iter::once(draft).chain(form).collect())
}
