//! The secrets in the platform's answers. In the configuration itself, placeholders stand for them.

use serde_json::{Map, Value};

/// What an answer is that is no JSON, as an error says it.
pub(super) const NO_JSON: &str = "something that is no JSON";

/// The secrets of a trigger.
#[derive(Debug, Default)]
pub struct Secrets {
    /// Those of the module's account.
    pub module: Map<String, Value>,
    /// Those of the trigger's own arguments.
    pub node: Map<String, Value>,
}

impl Secrets {
    /// Those in the answer to `GET url_secrets`: `{"value": {…}, "node_value": {…} | null}`. The error says what the
    /// answer is instead.
    pub fn of_trigger(answer: &[u8]) -> Result<Self, &'static str> {
        let mut answer = object(answer)?;
        let Some(Value::Object(module)) = answer.remove("value") else {
            return Err("an object without an object `value`");
        };
        match answer.remove("node_value") {
            Some(Value::Object(node)) => Ok(Self { module, node }),
            None | Some(Value::Null) => Ok(Self { module, node: Map::new() }),
            Some(_) => Err("an object whose `node_value` is no object"),
        }
    }
}

/// Those in the answer to an action or a validation that says it is running: `{"module_configuration": {"value": {…}}}`.
pub fn of_run(answer: &[u8]) -> Result<Map<String, Value>, &'static str> {
    let mut answer = object(answer)?;
    match answer.get_mut("module_configuration").and_then(|module| module.get_mut("value")).map(Value::take) {
        Some(Value::Object(secrets)) => Ok(secrets),
        _ => Err("an object without an object `value` in `module_configuration`"),
    }
}

fn object(answer: &[u8]) -> Result<Map<String, Value>, &'static str> {
    match serde_json::from_slice(answer) {
        Ok(Value::Object(answer)) => Ok(answer),
        Ok(_) => Err("JSON that is no object"),
        Err(_) => Err(NO_JSON),
    }
}

/// What an answer that may carry secrets may be shown as; `None` for one that is no JSON, not even the start of it.
pub fn outline(answer: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Map<String, Value>>(answer) {
        Ok(answer) if answer.is_empty() => Some("{}".to_owned()),
        Ok(answer) => {
            let mut names = answer.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>();
            names.sort();
            Some(format!("an object with {}", names.join(", ")))
        }
        Err(_) => {
            let first = answer.trim_ascii_start().first();
            let is_text = first.is_none_or(|byte| !matches!(byte, b'{' | b'[' | b'"'));
            (!is_text).then(|| "(not shown, it may carry secrets)".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_that_make_no_sense_are_told_without_what_is_in_them() {
        for (answer, expected) in [
            (json!({}), "{}"),
            (json!({"hush": 1, "value": "hush-hush"}), "an object with `hush`, `value`"),
            (json!({"value": null}), "an object with `value`"),
            (json!({"value": {"a": "hush-hush"}, "node_value": 7}), "an object with `node_value`, `value`"),
            (json!(["hush-hush"]), "(not shown, it may carry secrets)"),
            (json!("hush-hush"), "(not shown, it may carry secrets)"),
        ] {
            let answer = answer.to_string();
            assert!(Secrets::of_trigger(answer.as_bytes()).is_err(), "{answer}");
            assert!(of_run(answer.as_bytes()).is_err(), "{answer}");
            assert_eq!(outline(answer.as_bytes()).unwrap(), expected);
        }
        let cut = br#" {"value": {"aws_secret_access_key": "hush"#;
        assert!(!outline(cut).unwrap().contains("hush"));
        assert_eq!(outline(b"<html>"), None);
        assert_eq!(outline(b""), None);
    }

    #[test]
    fn secrets_of_the_module_and_of_the_node_are_told_apart() {
        let answer = json!({"value": {"a": "1"}, "node_value": {"b": "2"}}).to_string();
        let Secrets { module, node } = Secrets::of_trigger(answer.as_bytes()).unwrap();
        assert_eq!((json!(module), json!(node)), (json!({"a": "1"}), json!({"b": "2"})));
        let answer = json!({"value": {}, "node_value": null}).to_string();
        assert!(Secrets::of_trigger(answer.as_bytes()).unwrap().node.is_empty());
        let answer = json!({"module_configuration": {"value": {"a": "1"}}}).to_string();
        assert_eq!(json!(of_run(answer.as_bytes()).unwrap()), json!({"a": "1"}));
    }
}
