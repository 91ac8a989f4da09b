//! Reading values against the schema of a type.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ConfigError;

/// A configuration and the properties in it that mean nothing here.
#[derive(Debug)]
pub struct Given<T> {
    /// What was understood.
    pub value: T,
    /// Names that are not known: a user may have misspelt one.
    pub unknown: Vec<String>,
}

impl<T> Given<T> {
    /// The value, after a warning about each name that is not known.
    pub fn warn_unknown(self, what: &'static str) -> T {
        for name in &self.unknown {
            tracing::warn!("property `{name}` of the {what} is not known and is ignored; is it misspelt?");
        }
        self.value
    }
}

/// The schema of `T` in draft 7, as the manifests carry it.
pub fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>()
}

/// Checks that `given` is a JSON object that has what the schema of `T` requires, whatever the values are.
pub fn check_required<T: JsonSchema>(what: &'static str, given: &Value) -> Result<(), ConfigError> {
    let Value::Object(properties) = given else {
        return Err(ConfigError::new(what, "it is not a JSON object"));
    };
    let missing: Vec<String> = required(&schema_of::<T>())
        .into_iter()
        .filter(|name| properties.get(name).is_none_or(Value::is_null))
        .map(|name| format!("property `{name}` is missing"))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(ConfigError { what, problems: missing }) }
}

/// Reads `given` as a `T`, checking each property against the schema of `T`. A property that is `null` counts as absent.
pub fn read<T: DeserializeOwned + JsonSchema>(
    what: &'static str,
    given: Value,
) -> Result<Given<T>, ConfigError> {
    check_required::<T>(what, &given)?;
    let Value::Object(mut properties) = given else {
        return Err(ConfigError::new(what, "it is not a JSON object"));
    };
    properties.retain(|_, value| !value.is_null());
    let schema = schema_of::<T>();
    let no_properties = Map::new();
    let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&no_properties);
    let (mut problems, mut unknown) = (Vec::new(), Vec::new());
    for (name, value) in &mut properties {
        match known.get(name) {
            None => unknown.push(name.clone()),
            Some(expected) => {
                if let Some(problem) = problem_with(value, expected) {
                    problems.push(format!("property `{name}` {problem}"));
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError { what, problems });
    }
    // The schema has spoken; what serde could add might quote a value.
    let value = serde_json::from_value(Value::Object(properties))
        .map_err(|_| ConfigError::new(what, "it does not have the form that the manifest describes"))?;
    Ok(Given { value, unknown })
}

/// What the schema of one property has against a value, without quoting it. Numbers that are whole are made integers.
fn problem_with(value: &mut Value, schema: &Value) -> Option<String> {
    if let Some(whole) =
        value.as_f64().filter(|number| !value.is_u64() && number.fract() == 0.0 && *number >= 0.0)
        && let Ok(whole) = format!("{whole:.0}").parse::<u64>()
    {
        *value = whole.into();
    }
    let expected = schema.get("type").and_then(Value::as_str)?;
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if value.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let minimum = schema.get("minimum").and_then(Value::as_f64);
    let maximum = schema.get("maximum").and_then(Value::as_f64).unwrap_or_else(|| u32::MAX.into());
    let below = value.as_f64().zip(minimum).is_some_and(|(number, minimum)| number < minimum);
    let too_large = value.as_f64().is_some_and(|number| number > maximum);
    let shortest = schema.get("minLength").and_then(Value::as_u64);
    let empty = shortest.is_some_and(|shortest| shortest > 0)
        && value.as_str().is_some_and(|text| text.trim().is_empty());
    if expected == "integer" && (found != expected || below || too_large) {
        let least = minimum.unwrap_or(0.0);
        let found = if found == expected { "a number out of range" } else { article(found) };
        Some(format!("must be a whole number of at least {least} and at most {maximum}, but is {found}"))
    } else if found != expected {
        Some(format!("must be {}, but is {}", article(expected), article(found)))
    } else if schema.pointer("/items/type").is_some_and(|kind| kind == "string")
        && value.as_array().is_some_and(|items| !items.iter().all(Value::is_string))
    {
        Some("must be a list of text".to_owned())
    } else {
        empty.then(|| "must not be empty".to_owned())
    }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "boolean" => "true or false",
        "integer" | "number" => "a number",
        "string" => "text",
        "array" => "a list",
        "object" => "an object",
        _ => "null",
    }
}

pub(super) fn required(schema: &Schema) -> Vec<String> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Overlays secrets over a configuration: the platform hands both over apart.
pub fn overlay(configuration: &mut Value, secrets: Map<String, Value>) {
    if let Value::Object(properties) = configuration {
        properties.extend(secrets.into_iter().filter(|(_, value)| !value.is_null()));
    }
}
