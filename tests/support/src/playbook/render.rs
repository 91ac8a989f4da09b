//! Arguments written as Jinja over `node.<id>`, the outputs of earlier nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{Object, Serde};
use minijinja::{Environment, Value as Jinja};
use serde_json::{Map, Value};

use super::Error;

/// Renders the arguments of a node over the outputs of those before it, by node id.
///
/// Strings are templates, at any depth; a string that renders to something else than text stays text.
///
/// # Errors
/// [`Error::Render`] for a template that is not valid.
pub fn render(
    arguments: &Map<String, Value>,
    outputs: &BTreeMap<String, Value>,
) -> Result<Map<String, Value>, Error> {
    let environment = Environment::new();
    let nodes = Jinja::from_object(Nodes(outputs.clone()));
    let context = minijinja::context! { node => nodes };
    let render = |(name, value): (&String, &Value)| {
        let value = render_value(&environment, value, &context);
        let value = value.map_err(|source| Error::Render { name: name.clone(), source })?;
        Ok((name.clone(), value))
    };
    arguments.iter().map(render).collect()
}

fn render_value(
    environment: &Environment<'_>,
    value: &Value,
    context: &Jinja,
) -> Result<Value, minijinja::Error> {
    match value {
        Value::String(template) => environment.render_str(template, context).map(Value::String),
        Value::Array(items) => items
            .iter()
            .map(|item| render_value(environment, item, context))
            .collect::<Result<_, _>>()
            .map(Value::Array),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| Ok((name.clone(), render_value(environment, field, context)?)))
            .collect::<Result<_, _>>()
            .map(Value::Object),
        other => Ok(other.clone()),
    }
}

/// Outputs by node id, which a template may write as `node.0`, `node[0]` or `node['0']`.
#[derive(Debug)]
struct Nodes(BTreeMap<String, Value>);

impl Object for Nodes {
    fn get_value(self: &Arc<Self>, id: &Jinja) -> Option<Jinja> {
        self.0.get(&id.to_string()).map(|output| Jinja::from(Serde(output)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_written_over_the_outputs_of_earlier_nodes() {
        let arguments = json!({
            "events_path": "{{ node.0['records_path'] }}",
            "same": "{{ node['0'].records_path }} of {{ node[0].records }}",
            "deep": [{"x": "{{ node.0.records }}"}],
            "plain": "text",
            "number": 3,
        });
        let outputs = BTreeMap::from([("0".to_owned(), json!({"records_path": "event.json", "records": 2}))]);
        let rendered = render(arguments.as_object().unwrap(), &outputs).unwrap();
        assert_eq!(
            Value::Object(rendered),
            json!({
                "events_path": "event.json",
                "same": "event.json of 2",
                "deep": [{"x": "2"}],
                "plain": "text",
                "number": 3,
            })
        );
    }
}
