//! The values that the platform hands to a module: text in `/symphony/<name>`, or in the variable `<NAME>`.

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine as _;
use secrecy::SecretString;

/// Where the platform mounts the values, unless `SYMPHONY_DIR` names another folder.
const DIRECTORY: &str = "/symphony";

/// The values of one run. Read from the folder first, then from the variables; an empty one counts as absent.
pub struct Values {
    directory: PathBuf,
    variables: HashMap<String, String>,
}

/// Why a value could not be had. Never carries the value itself: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// Neither the file nor the variable is there.
    #[error(
        "value `{name}` is missing: there is neither a file {file} nor a variable {variable}; the platform sets one of them, by hand export {variable}"
    )]
    Missing {
        /// The value's name.
        name: String,
        /// The file that was looked at.
        file: PathBuf,
        /// The variable that was looked at.
        variable: String,
    },
    /// The file is there but cannot be read as text.
    #[error("value `{name}`: cannot read {file}: {source}; check its permissions and that it is UTF-8 text")]
    Unreadable {
        /// The value's name.
        name: String,
        /// The file that was looked at.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not what the name promises.
    #[error("value `{name}` is not {expected} ({found}); it was read from {origin}")]
    Malformed {
        /// The value's name.
        name: String,
        /// What it should be.
        expected: &'static str,
        /// Where the text stops making sense, without quoting it.
        found: String,
        /// The file or variable it came from.
        origin: String,
    },
}

impl Values {
    /// The values of this process: `/symphony` (or `SYMPHONY_DIR`) and the environment.
    pub fn from_env() -> Self {
        let variables: HashMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let directory = variables.get("SYMPHONY_DIR").map_or_else(|| DIRECTORY.into(), PathBuf::from);
        Self { directory, variables }
    }

    /// Values from a folder and variables of the caller's.
    pub fn new(directory: impl Into<PathBuf>, variables: HashMap<String, String>) -> Self {
        Self { directory: directory.into(), variables }
    }

    /// The text of value `name`, without the line end that closes a file.
    pub fn text(&self, name: &str) -> Result<Option<String>, ValueError> {
        Ok(self.find(name)?.map(|found| found.text))
    }

    /// The text of value `name`, or an error that says where it was looked for.
    pub fn required_text(&self, name: &str) -> Result<String, ValueError> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A text that must never be printed.
    pub fn required_secret(&self, name: &str) -> Result<SecretString, ValueError> {
        self.required_text(name).map(SecretString::from)
    }

    /// The JSON of value `name`; in a variable it may also be the base64 of the JSON.
    pub fn required_json(&self, name: &str) -> Result<serde_json::Value, ValueError> {
        let found = self.find(name)?.ok_or_else(|| self.missing(name))?;
        let plain = serde_json::from_str(&found.text);
        let parsed = plain.or_else(|error| {
            let decoded = base64::engine::general_purpose::STANDARD.decode(found.text.trim());
            decoded.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(error)
        });
        parsed.map_err(|error| ValueError::Malformed {
            name: name.to_owned(),
            expected: "JSON",
            found: format!("{} at line {} column {}", category(&error), error.line(), error.column()),
            origin: found.origin,
        })
    }

    /// The port in value `name`, or `default`.
    pub fn port(&self, name: &str, default: u16) -> Result<u16, ValueError> {
        let Some(found) = self.find(name)? else { return Ok(default) };
        found.text.trim().parse().map_err(|_| ValueError::Malformed {
            name: name.to_owned(),
            expected: "a port number",
            found: "expected 1 to 65535".to_owned(),
            origin: found.origin,
        })
    }

    fn find(&self, name: &str) -> Result<Option<Found>, ValueError> {
        let file = self.directory.join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let text = text.trim_end_matches(['\r', '\n']).to_owned();
                if !text.is_empty() {
                    return Ok(Some(Found { text, origin: file.display().to_string() }));
                }
            }
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) if source.kind() == std::io::ErrorKind::NotADirectory => {}
            Err(source) => return Err(ValueError::Unreadable { name: name.to_owned(), file, source }),
        }
        let variable = name.to_uppercase();
        let text = self.variables.get(&variable).filter(|text| !text.is_empty());
        Ok(text.map(|text| Found { text: text.clone(), origin: format!("variable {variable}") }))
    }

    fn missing(&self, name: &str) -> ValueError {
        ValueError::Missing {
            name: name.to_owned(),
            file: self.directory.join(name),
            variable: name.to_uppercase(),
        }
    }
}

struct Found {
    text: String,
    origin: String,
}

/// What is wrong with a JSON text, without a piece of it.
fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        _ if error.to_string().starts_with("recursion limit exceeded") => "it is nested too deep",
        _ => "the syntax breaks off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(variables: &[(&str, &str)]) -> (tempfile::TempDir, Values) {
        let directory = tempfile::tempdir().unwrap();
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let values = Values::new(directory.path(), variables);
        (directory, values)
    }

    #[test]
    fn a_file_comes_before_the_variable_and_loses_its_line_end() {
        let (directory, values) = values(&[("TOKEN", "from the variable")]);
        assert_eq!(values.required_text("token").unwrap(), "from the variable");
        std::fs::write(directory.path().join("token"), "from the file\n").unwrap();
        assert_eq!(values.required_text("token").unwrap(), "from the file");
    }

    #[test]
    fn json_in_a_variable_may_be_base64() {
        let encoded = base64::engine::general_purpose::STANDARD.encode(r#"{"bucket_name":"logs"}"#);
        let (_directory, values) = values(&[("A", r#"{"bucket_name":"logs"}"#), ("B", &encoded)]);
        assert_eq!(values.required_json("a").unwrap(), values.required_json("b").unwrap());
    }

    #[test]
    fn a_missing_value_names_both_places() {
        let (directory, values) = values(&[]);
        let message = values.required_text("url_callback").unwrap_err().to_string();
        assert!(message.contains(&directory.path().join("url_callback").display().to_string()), "{message}");
        assert!(message.contains("URL_CALLBACK"), "{message}");
    }

    #[test]
    fn broken_json_is_located_but_not_quoted() {
        let (_directory, values) =
            values(&[("MODULE_CONFIGURATION", r#"{"aws_secret_access_key": "hush" oops}"#)]);
        let message = values.required_json("module_configuration").unwrap_err().to_string();
        assert!(message.contains("variable MODULE_CONFIGURATION"), "{message}");
        assert!(!message.contains("hush") && !message.contains("oops"), "{message}");
    }
}
