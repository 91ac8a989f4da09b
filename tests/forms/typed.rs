//! The forms in a browser: what is typed in is what the module runs with.

use std::sync::Arc;
use std::time::Duration;

use aws_flowlogs::config::{ModuleConfiguration, TriggerConfiguration};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use support::flowlogs::{FlowLog, Generator};
use support::intake::Intake;
use support::module::Module;
use support::platform::{Platform, Setup};
use support::playbook::{Playbook, Runner};
use support::s3::Server;
use support::{eventually, free_port};

use crate::browser::{Outcome, Task, fill};
use crate::manifests::{account, action, committed, forms, properties, title, trigger};

const BUCKET: &str = "acme-flow-logs";
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const PATIENCE: Duration = Duration::from_secs(30);

/// `{"type": ["Bucket", "acme-flow-logs"]}`: a step on the field of a property.
fn step(schema: &Value, verb: &str, property: &str, value: impl Into<Value>) -> Value {
    json!({verb: [title(schema, property), value.into()]})
}

fn account_form() -> Task {
    let schema = account();
    let kind = |property, text: &str| step(&schema, "type", property, text);
    let steps = vec![
        kind("aws_access_key", ACCESS_KEY),
        kind("aws_secret_access_key", SECRET),
        kind("aws_region_name", "eu-west-3"),
    ];
    Task { name: "account", given: json!({}), steps, schema }
}

fn submitted(outcome: &Outcome) -> Value {
    outcome.submitted.clone().unwrap_or_else(|| panic!("refused: {:#?}", outcome.refused))
}

#[test]
fn every_property_is_there_with_its_title_and_description_and_a_field_to_fill_in() {
    let tasks = forms().map(|(name, schema)| {
        let name = ["account-empty", "trigger-empty", "action-empty"]
            .into_iter()
            .find(|task| task.starts_with(name));
        Task { name: name.unwrap(), schema, given: json!({}), steps: Vec::new() }
    });
    for (task, outcome) in tasks.iter().zip(fill(&tasks)) {
        let expected: Map<String, Value> = properties(&task.schema)
            .values()
            .map(|property| (property["title"].as_str().unwrap().to_owned(), property["description"].clone()))
            .collect();
        assert_eq!(outcome.shown, expected, "{}", task.name);
        assert!(!outcome.text.contains("Unsupported"), "{}: {}", task.name, outcome.text);
        for required in task.schema["required"].as_array().unwrap() {
            let title = title(&task.schema, required.as_str().unwrap());
            assert!(outcome.text.contains(&format!("{title}*")), "{title} is not marked as required");
            let reason = format!("'{title}'");
            assert!(outcome.refused.iter().any(|refused| refused.contains(&reason)), "{:?}", outcome.refused);
        }
        assert_eq!(outcome.submitted, None, "{}", task.name);
    }
}

/// What the form refuses at once would be refused by the module later; what it takes, the module takes.
#[test]
fn what_cannot_be_meant_is_refused_by_the_form_and_by_the_module() {
    let (trigger, account) = (trigger(), account());
    let wrong = [
        ("bucket_name", "s3://acme-flow-logs/AWSLogs"),
        ("bucket_name", "acme-flow-logs/AWSLogs"),
        ("bucket_name", "arn:aws:s3:::acme-flow-logs/AWSLogs"),
        ("bucket_name", "https://acme-flow-logs.s3.eu-west-3.amazonaws.com"),
        ("bucket_name", "acme flow logs"),
        ("start_from", "yesterday"),
        ("start_from", "2026-11-01"),
        ("frequency", "0"),
        ("late_window_hours", "0"),
        ("late_window_hours", "8761"),
    ];
    let right = [
        ("bucket_name", "arn:aws:s3:::acme-flow-logs"),
        ("bucket_name", "s3://acme-flow-logs/"),
        ("bucket_name", "Flow_Logs.of.2010"),
        ("bucket_name", "arn:aws:s3:eu-west-3:111122223333:accesspoint/flow-logs"),
        ("start_from", "beginning"),
        ("start_from", "2026-11-01T00:00:00Z"),
        ("start_from", "2026-11-01T00:00+01:00"),
        ("frequency", "86400"),
        ("chunk_size", "1000000"),
    ];
    let typed = |(property, text): &(&str, &str)| {
        let mut steps = vec![step(&trigger, "type", "bucket_name", BUCKET)];
        steps.push(step(&trigger, "type", property, *text));
        Task { name: "typed", schema: trigger.clone(), given: json!({}), steps }
    };
    let mut tasks: Vec<Task> = wrong.iter().chain(&right).map(typed).collect();
    let mut no_region = account_form();
    no_region.steps.push(step(&account, "type", "aws_region_name", "Paris"));
    tasks.push(no_region);
    let mut outcomes = fill(&tasks);

    let region = outcomes.pop().unwrap();
    assert!(region.submitted.is_none() && region.refused[0].contains("Region"), "{region:?}");
    for ((property, text), outcome) in wrong.iter().chain(&right).zip(&outcomes) {
        let title = title(&trigger, property);
        let is_right = right.contains(&(property, text));
        let is_taken = outcome.submitted.is_some();
        assert_eq!(is_taken, is_right, "{property}: {text}: {:?}", outcome.refused);
        assert!(is_taken || outcome.refused[0].contains(&title), "{property}: {:?}", outcome.refused);
        let value = text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number));
        let mut given = json!({"bucket_name": BUCKET});
        given[*property] = value;
        if let Some(submitted) = &outcome.submitted {
            assert_eq!(submitted[property], given[property], "{property}");
        }
        let read = TriggerConfiguration::read(given);
        assert_eq!(read.is_ok(), is_right, "{property}: {text}: {read:?}");
    }
}

/// The template as it is imported: what it names is there, and the user fills in what is left.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_filled_in_starts_the_trigger_and_delivers_through_the_template() {
    let (server, intake) = (Server::start(ACCESS_KEY, SECRET).await, Intake::start("the-intake-key").await);
    let s3 = server.control();
    s3.create_bucket(BUCKET);
    let mut expected: Vec<String> = Vec::new();
    let mut generator = Generator::new(11);
    for minutes in [30, 20, 10] {
        let time = Timestamp::now() - SignedDuration::from_mins(minutes);
        let object =
            generator.object(&FlowLog::new("111122223333", "eu-west-3", "fl-0a1b2c3d4e5f60718"), time, 120);
        s3.put(BUCKET, &object.key, object.body());
        expected.extend(object.records.iter().filter(|record| !record.contains(" ACCEPT ")).cloned());
    }
    assert!(expected.len() > 20 && expected.len() < 300, "{}", expected.len());

    let template = committed("templates/aws-flowlogs.json");
    let nodes = &template["nodes"];
    assert_eq!(nodes["0"]["trigger_uuid"], committed("trigger_fetch_flowlogs.json")["uuid"]);
    assert_eq!(nodes["1"]["action_uuid"], committed("action_push_events.json")["uuid"]);
    let (trigger, action) = (trigger(), action());
    let tasks = [
        account_form(),
        Task {
            name: "trigger",
            given: nodes["0"].get("arguments").cloned().unwrap_or_else(|| json!({})),
            steps: vec![
                step(&trigger, "type", "bucket_name", BUCKET),
                step(&trigger, "type", "prefix", "AWSLogs/111122223333/"),
                step(&trigger, "type", "start_from", "beginning"),
                step(&trigger, "choose", "actions", "REJECT"),
                step(&trigger, "choose", "record_format", "raw"),
                step(&trigger, "type", "frequency", "1"),
                step(&trigger, "type", "chunk_size", "25"),
            ],
            schema: trigger,
        },
        Task {
            name: "action",
            given: nodes["1"]["arguments"].clone(),
            steps: vec![
                step(&action, "type", "intake_key", intake.key()),
                step(&action, "type", "intake_server", intake.server()),
                step(&action, "check", "compress", Value::Null),
            ],
            schema: action,
        },
    ];
    let outcomes = tokio::task::spawn_blocking(move || fill(&tasks)).await.unwrap();
    let [mut account, arguments, action_arguments] = [0, 1, 2].map(|index| submitted(&outcomes[index]));
    assert_eq!(action_arguments["events_path"], nodes["1"]["arguments"]["events_path"]);
    assert_eq!(arguments["actions"], json!(["REJECT"]));

    // The platform keeps the secrets apart, and hands a placeholder over in their place.
    let mut secrets = Map::new();
    for secret in ModuleConfiguration::SECRETS {
        if let Some(value) = account.get_mut(secret) {
            secrets.insert(secret.to_owned(), std::mem::replace(value, "**********".into()));
        }
    }
    assert_eq!(secrets["aws_secret_access_key"], SECRET);
    let storage = tempfile::tempdir().unwrap();
    let setup = Setup::new(storage.path()).module_secrets(Value::Object(secrets));
    let platform = Arc::new(Platform::start(setup).await);
    let module = |command| {
        Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), command)
            .value("module_configuration", &account)
            .aws_endpoint(&server.endpoint_url())
    };
    let mut process = module("fetch_flowlogs")
        .value("trigger_configuration", &arguments)
        .value("token", platform.token())
        .value("url_callback", platform.url_callback())
        .value("liveness_port", free_port())
        .value("metrics_port", free_port())
        .storage(storage.path())
        .start();

    let mut playbook = Playbook::load("templates/aws-flowlogs.json").unwrap();
    for (name, value) in action_arguments.as_object().unwrap() {
        playbook.set_argument("1", name, value.clone());
    }
    let runner = Runner::new(Arc::clone(&platform), playbook, module("push_events"));
    let mut delivered = 0;
    while delivered < expected.len() {
        let event = tokio::time::timeout(PATIENCE, platform.next_event()).await;
        let event = event.unwrap_or_else(|_| panic!("no event came:\n{}", process.stderr().text()));
        let records = event.records().len();
        assert!(records <= 25, "{records} records in a run");
        delivered += records;
        let run = runner.run(event).await.unwrap();
        assert!(run.is_success(), "{run:#?}");
    }
    let arrived = eventually(PATIENCE, || intake.events().len() >= expected.len()).await;
    let mut events = intake.events();
    assert!(arrived, "{} of {} events arrived", events.len(), expected.len());
    events.sort();
    expected.sort();
    assert_eq!(events, expected);
    assert_eq!(process.stop(Duration::from_secs(10)).await.and_then(|status| status.code()), Some(0));
}
