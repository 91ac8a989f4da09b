//! Policies as AWS judges them, as far as those of the user guide go.

use serde_json::Value;

/// What a call asks to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Such as `s3:ListBucket`.
    pub action: &'static str,
    /// The ARN of the bucket, or of the object.
    pub resource: String,
    /// What `s3:prefix` is in a listing.
    pub prefix: Option<String>,
}

/// The statements of a policy.
pub fn statements(policy: &Value) -> &Vec<Value> {
    policy["Statement"].as_array().unwrap_or_else(|| panic!("no statements: {policy}"))
}

/// One text, or several.
pub fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(texts) => texts.iter().map(|text| text.as_str().unwrap()).collect(),
        other => panic!("neither text nor a list of texts: {other}"),
    }
}

/// Whether one of the statements allows the call.
pub fn allows(statements: &[Value], call: &Call) -> bool {
    statements.iter().any(|statement| {
        statement["Effect"] == "Allow"
            && texts(&statement["Action"]).contains(&call.action)
            && texts(&statement["Resource"]).iter().any(|pattern| matches(pattern, &call.resource))
            && conditions_hold(&statement["Condition"], call)
    })
}

fn conditions_hold(conditions: &Value, call: &Call) -> bool {
    conditions.as_object().into_iter().flatten().all(|(operator, keys)| {
        assert_eq!(operator, "StringLike", "an operator that this judge does not know");
        keys.as_object().unwrap().iter().all(|(key, patterns)| {
            assert_eq!(key, "s3:prefix", "a key that this judge does not know");
            // A condition on what a call does not have does not hold.
            call.prefix
                .as_ref()
                .is_some_and(|prefix| texts(patterns).iter().any(|pattern| matches(pattern, prefix)))
        })
    })
}

/// Whether a text has the form of a pattern, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[test]
fn patterns_are_understood_as_aws_does() {
    for (pattern, text, is_match) in [
        ("a/*", "a/", true),
        ("a/*", "a/b/c", true),
        ("a/*", "a", false),
        ("*", "", true),
        ("a*c", "abc", true),
        ("a*c", "abcd", false),
    ] {
        assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
    }
}
