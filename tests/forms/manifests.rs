//! The manifests as they are committed.

use std::path::Path;

use serde_json::{Map, Value};

/// A manifest, or anything else that is JSON in this repository.
pub fn committed(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The form of the account.
pub fn account() -> Value {
    committed("manifest.json")["configuration"].clone()
}

/// The form of the trigger.
pub fn trigger() -> Value {
    committed("trigger_fetch_flowlogs.json")["arguments"].clone()
}

/// The form of the action.
pub fn action() -> Value {
    committed("action_push_events.json")["arguments"].clone()
}

/// Every form that a user fills in.
pub fn forms() -> [(&'static str, Value); 3] {
    [("account", account()), ("trigger", trigger()), ("action", action())]
}

/// Every result that a playbook's author picks from.
pub fn results() -> [(&'static str, Value); 2] {
    ["trigger_fetch_flowlogs.json", "action_push_events.json"]
        .map(|name| (name, committed(name)["results"].clone()))
}

/// The properties of a schema, in its order.
pub fn properties(schema: &Value) -> &Map<String, Value> {
    schema["properties"].as_object().unwrap()
}

/// The title that a property has in the form.
pub fn title(schema: &Value, property: &str) -> String {
    schema["properties"][property]["title"]
        .as_str()
        .unwrap_or_else(|| panic!("no title: {property}"))
        .to_owned()
}
