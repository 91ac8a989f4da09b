//! The tables of the pages: a form's properties as Markdown, kept between markers.

use std::fmt::Write as _;

use serde_json::Value;

const END: &str = "<!-- end -->";

/// The properties of a form as a table, the ones of `secrets` marked.
pub(super) fn of(form: &Value, secrets: &[&str]) -> String {
    let mut table =
        "| property | what to put there | type | default |\n| --- | --- | --- | --- |\n".to_owned();
    for (name, property) in properties(form) {
        let text = |key| property.get(key).and_then(Value::as_str).unwrap_or_default();
        let description = text("description").replace('|', "\\|").replace('<', "&lt;");
        let mut kind = match property.get("type") {
            Some(Value::Array(kinds)) => {
                kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
            }
            kind => kind.and_then(Value::as_str).unwrap_or("any").to_owned(),
        };
        if let Some(minimum) = property.get("minimum").filter(|minimum| **minimum != 0) {
            let _ = write!(kind, ", at least {minimum}");
        }
        if let Some(maximum) = property.get("maximum") {
            let _ = write!(kind, ", at most {maximum}");
        }
        if secrets.contains(&name.as_str()) {
            kind.push_str(", secret");
        }
        let default = default(form, name, property);
        let _ = writeln!(table, "| `{name}` | **{}**: {description} | {kind} | {default} |", text("title"));
    }
    table
}

/// The properties of a form with no more than their titles and defaults.
pub(super) fn short(form: &Value) -> String {
    let mut table = "| property | what it sets | default |\n| --- | --- | --- |\n".to_owned();
    for (name, property) in properties(form) {
        let title = property.get("title").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(table, "| `{name}` | {title} | {} |", default(form, name, property));
    }
    table
}

fn properties(form: &Value) -> impl Iterator<Item = (&String, &Value)> {
    form.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// What counts if nothing is given, as it stands in a table.
fn default(form: &Value, name: &str, property: &Value) -> String {
    let required = form.get("required").and_then(Value::as_array).into_iter().flatten();
    match property.get("default") {
        Some(default) => {
            format!("`{}`", default.as_str().map_or_else(|| default.to_string(), str::to_owned))
        }
        None if required.filter_map(Value::as_str).any(|required| required == name) => "required".to_owned(),
        None => String::new(),
    }
}

/// `page` with `table` between the markers `<!-- table: name -->` and `<!-- end -->`; as it was, if they are not there.
pub(super) fn renewed(page: &str, name: &str, table: &str) -> String {
    let start = format!("<!-- table: {name} -->\n");
    let Some((before, rest)) = page.split_once(&start) else { return page.to_owned() };
    let Some((_, after)) = rest.split_once(END) else { return page.to_owned() };
    format!("{before}{start}{table}{END}{after}")
}
