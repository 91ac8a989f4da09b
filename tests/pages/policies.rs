//! The policies of the user guide: they allow what the module calls, and nothing that it does not.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use support::eventually;
use support::s3::{Operation, Request};

use crate::page::text;
use crate::policy::{Call, allows, statements, texts};
use crate::world::{ACCOUNT, BUCKET, World};

/// The policy of the user guide after `<!-- policy: name -->`.
fn policy(name: &str) -> Value {
    let page = text("docs/user.md");
    let (_, rest) =
        page.split_once(&format!("<!-- policy: {name} -->\n```json\n")).unwrap_or_else(|| panic!("{name}"));
    serde_json::from_str(rest.split("```").next().unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const NAMES: [&str; 4] = ["user", "kms", "key", "bucket"];

/// What a request to S3 asks to be allowed.
fn call(request: &Request) -> Call {
    let bucket = format!("arn:aws:s3:::{}", request.bucket);
    match request.operation {
        Operation::List => Call {
            action: "s3:ListBucket",
            resource: bucket,
            prefix: request.query("prefix").map(str::to_owned),
        },
        Operation::Get => {
            Call { action: "s3:GetObject", resource: format!("{bucket}/{}", request.key), prefix: None }
        }
        other => panic!("the guide does not know that the module calls {other:?}"),
    }
}

/// Every call of a trigger that found, read and swept.
async fn calls(prefix: &str) -> BTreeSet<Call> {
    let world = World::start(prefix).await;
    // The sweep lists the folder of a lane from its oldest day on, without a day to begin after.
    let is_sweep = |request: &Request| {
        request.operation == Operation::List
            && request.query("delimiter").is_none()
            && request.query("start-after").is_none_or(|start| !start.contains("/20"))
    };
    let swept = eventually(Duration::from_secs(30), || world.s3.requests().iter().any(is_sweep)).await;
    assert!(swept, "{:#?}", world.s3.requests());
    let requests = world.s3.requests();
    requests.iter().map(call).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_policy_allows_what_the_trigger_calls_and_needs_each_of_its_statements() {
    let calls = calls(&format!("AWSLogs/{ACCOUNT}/vpcflowlogs/")).await;
    for name in ["user", "bucket"] {
        let policy = policy(name);
        let all = statements(&policy);
        for call in &calls {
            assert!(allows(all, call), "{name} does not allow {call:?}");
        }
        for without in 0..all.len() {
            let mut fewer = all.clone();
            let left_out = fewer.remove(without);
            let is_needed = calls.iter().any(|call| !allows(&fewer, call));
            assert!(is_needed, "{name}: nothing needs {left_out}");
        }
    }
    // What lies beside the prefix stays closed to the user.
    let policy = policy("user");
    for (action, resource, prefix) in [
        ("s3:GetObject", format!("arn:aws:s3:::{BUCKET}/AWSLogs/444455556666/vpcflowlogs/x.log.gz"), None),
        ("s3:GetObject", format!("arn:aws:s3:::another-bucket/AWSLogs/{ACCOUNT}/vpcflowlogs/x.log.gz"), None),
        ("s3:ListBucket", format!("arn:aws:s3:::{BUCKET}"), Some("secrets/".to_owned())),
        (
            "s3:ListBucket",
            format!("arn:aws:s3:::{BUCKET}"),
            Some(format!("AWSLogs/{ACCOUNT}/elasticloadbalancing/")),
        ),
        ("s3:ListBucket", format!("arn:aws:s3:::{BUCKET}"), None),
    ] {
        let call = Call { action, resource, prefix };
        assert!(!allows(statements(&policy), &call), "{call:?} is allowed");
    }
}

/// As the guide says: without `Condition`, and with `/*` after the bucket's name.
#[tokio::test(flavor = "multi_thread")]
async fn the_users_policy_without_a_prefix_allows_what_a_trigger_without_one_calls() {
    let calls = calls("").await;
    let mut policy = policy("user");
    let narrow = statements(&policy).clone();
    assert!(calls.iter().any(|call| !allows(&narrow, call)), "the narrowed policy should not be enough");
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let statement = statement.as_object_mut().unwrap();
        statement.remove("Condition");
        if statement["Action"] == "s3:GetObject" {
            statement["Resource"] = format!("arn:aws:s3:::{BUCKET}/*").into();
        }
    }
    for call in calls {
        assert!(allows(statements(&policy), &call), "{call:?}");
    }
}

#[test]
fn policies_have_the_form_that_aws_asks_for() {
    for name in NAMES {
        let policy = policy(name);
        assert_eq!(policy["Version"], "2012-10-17", "{name}");
        let mut sids = BTreeSet::new();
        for statement in statements(&policy) {
            let known = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
            for key in statement.as_object().unwrap().keys() {
                assert!(known.contains(&key.as_str()), "{name}: {key}");
            }
            let sid = statement["Sid"].as_str().unwrap();
            assert!(sids.insert(sid.to_owned()) && sid.chars().all(char::is_alphanumeric), "{name}: {sid}");
            assert_eq!(statement["Effect"], "Allow", "{name}");
            // A policy of a user says who by where it is; one of a bucket or a key has to name the user.
            let principal = &statement["Principal"]["AWS"];
            if ["user", "kms"].contains(&name) {
                assert!(statement.get("Principal").is_none(), "{name}");
            } else {
                assert!(
                    principal
                        .as_str()
                        .is_some_and(|arn| arn.starts_with("arn:aws:iam::") && !arn.contains('*'))
                );
            }
            for resource in texts(&statement["Resource"]) {
                let parts = resource.split(':').count();
                assert!(
                    parts >= 6 && resource.starts_with("arn:aws:") || (name == "key" && resource == "*"),
                    "{resource}"
                );
            }
        }
    }
}

/// The rights that the policies give are those that the messages ask for, and none is written as a pattern.
#[test]
fn policies_give_the_rights_that_messages_ask_for() {
    let source = text("src/s3/failure.rs");
    let of = |failure: &str| {
        let (_, advice) = source.split_once(&format!("Self::{failure} => {{\n")).unwrap();
        let words = advice.split('"').nth(1).unwrap().split_whitespace();
        let rights = words.filter(|word| word.starts_with("s3:") || word.starts_with("kms:"));
        rights.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let given = |name: &str| {
        let policy = policy(name);
        let actions = statements(&policy).iter().flat_map(|statement| texts(&statement["Action"]));
        actions.map(str::to_owned).collect::<BTreeSet<String>>()
    };
    for name in ["user", "bucket"] {
        assert_eq!(given(name), of("Denied"), "{name}");
    }
    for name in ["kms", "key"] {
        assert_eq!(given(name), of("KmsDenied"), "{name}");
    }
}
