//! What stands in the forms, property by property.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::manifests::{forms, properties, results};

#[test]
fn every_property_has_a_title_and_tells_what_to_put_there() {
    for (name, schema) in forms().into_iter().chain(results()) {
        assert!(schema["title"].as_str().is_some_and(|title| !title.is_empty()), "{name}");
        let mut titles = HashSet::new();
        for (property, described) in properties(&schema) {
            let of = |key: &str| described[key].as_str().unwrap_or_default();
            let (title, description) = (of("title"), of("description"));
            assert!(
                titles.insert(title) && title.starts_with(char::is_uppercase),
                "{name} {property}: {title}"
            );
            assert!(title.len() <= 40 && title != property, "{name} {property}: {title}");
            assert!(description.len() > 20 && description.len() <= 200, "{name} {property}: {description}");
            assert!(description.starts_with(char::is_uppercase), "{name} {property}: {description}");
            assert!(
                !description.contains('\n') && !description.ends_with('.'),
                "{name} {property}: {description}"
            );
        }
    }
}

/// A choice names what there is to choose; everything that is typed comes with an example; a box is ticked or not.
#[test]
fn every_property_comes_with_an_example() {
    for (name, schema) in forms().into_iter().chain(results()) {
        for (property, described) in properties(&schema) {
            let description = described["description"].as_str().unwrap();
            let choices = described["enum"].as_array().or(described["items"]["enum"].as_array());
            match choices {
                Some(choices) => {
                    for choice in choices {
                        let choice = choice.as_str().map_or_else(|| choice.to_string(), str::to_owned);
                        let meaning = format!("{choice} (");
                        assert!(
                            description.contains(&meaning),
                            "{name} {property}: {choice} is not explained"
                        );
                    }
                }
                None if described["type"] == "boolean" => {}
                None => assert!(description.contains("e.g. "), "{name} {property}: {description}"),
            }
        }
    }
}

#[test]
fn every_default_and_every_example_is_a_value_that_the_property_takes() {
    for (name, schema) in forms() {
        let required = schema["required"].as_array().unwrap();
        for (property, described) in properties(&schema) {
            let validator = jsonschema::draft7::new(described).unwrap();
            for example in described["examples"].as_array().into_iter().flatten() {
                assert!(validator.is_valid(example), "{name} {property}: {example}");
            }
            match described.get("default") {
                Some(default) => assert!(validator.is_valid(default), "{name} {property}: {default}"),
                // What is left empty then is nothing: text, a list of events, or what only the user knows.
                None => {
                    let kind = &described["type"];
                    let may_be_empty =
                        ["string", "array"].iter().any(|empty| kind == empty) || kind.is_array();
                    assert!(
                        may_be_empty || required.contains(&json!(property)),
                        "{name} {property}: no default"
                    );
                }
            }
            assert!(
                described.get("default").is_none() || !required.contains(&json!(property)),
                "{name} {property}: what has a default need not be given"
            );
        }
    }
}

#[test]
fn every_value_is_bounded_where_it_can_be_wrong() {
    for (name, schema) in forms() {
        let required = schema["required"].as_array().unwrap();
        for (property, described) in properties(&schema) {
            match described["type"].as_str() {
                Some("integer") => {
                    let (least, most) = (described["minimum"].as_u64(), described["maximum"].as_u64());
                    assert!(
                        least.zip(most).is_some_and(|(least, most)| least < most),
                        "{name} {property}: {described}"
                    );
                }
                Some("string") if required.contains(&json!(property)) => {
                    assert_eq!(described["minLength"], 1, "{name} {property}");
                }
                Some("array") if described["items"].get("enum").is_some() => {
                    assert_eq!(
                        (&described["minItems"], &described["uniqueItems"]),
                        (&json!(1), &json!(true))
                    );
                }
                Some("array") => {
                    assert!(described["items"].is_object(), "{name} {property}: a form makes no field");
                }
                _ => {}
            }
        }
    }
}

/// The order in which a user meets the properties: what must be given, what is often changed, what rarely is.
#[test]
fn the_order_is_from_the_needed_to_the_rare() {
    let orders: [&[&str]; 3] = [
        &[
            "aws_region_name",
            "aws_role_arn",
            "aws_access_key",
            "aws_secret_access_key",
            "aws_assume_role_arn",
            "aws_external_id",
            "api_key",
        ],
        &[
            "bucket_name",
            "prefix",
            "start_from",
            "exclude_internal_traffic",
            "actions",
            "exclude_no_data",
            "exclude_networks",
            "exclude_ports",
            "aggregate",
            "record_format",
            "fields",
            "frequency",
            "chunk_size",
            "late_window_hours",
            "end_at",
            "requester_pays",
        ],
        &[
            "intake_key",
            "intake_server",
            "events_path",
            "compress",
            "keep_file_after_push",
            "events",
            "event",
            "event_path",
        ],
    ];
    for ((name, schema), order) in forms().into_iter().zip(orders) {
        let found: Vec<&String> = properties(&schema).keys().collect();
        assert_eq!(found, order, "{name}");
        let required: Vec<&str> =
            schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(order[..required.len()], required, "{name}: what is required comes first");
    }
}

#[test]
fn everything_secret_of_the_account_is_marked_as_a_secret() {
    let [(_, account), ..] = forms();
    let secrets = account["secrets"].as_array().unwrap();
    for (property, described) in properties(&account) {
        let text = format!("{property} {}", described["title"]).to_lowercase();
        let looks_secret = text.contains("secret") || text.contains("api key") || text.contains("password");
        assert_eq!(secrets.contains(&json!(property)), looks_secret, "{property}");
    }
    for secret in secrets {
        let described = &account["properties"][secret.as_str().unwrap()];
        assert_eq!(described["type"], "string", "{secret}");
        assert!(described.get("default").is_none() && described.get("examples").is_none(), "{secret}");
    }
}
