//! The connector, between an S3 server, a platform and an intake.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::eventually;
use support::intake::Intake;
use support::module::{Module, Process};
use support::script::Fault;

use crate::world::{PATIENCE, SECRET, World, stop};

const INTAKE_KEY: &str = "Kq3xZ8vT1mB5nR7wYc2dLf9hJg4sPa6u";
/// As many requests as are in flight at most.
const SIDE_BY_SIDE: usize = 5;

struct Connector {
    world: World,
    intake: Intake,
    arguments: Value,
}

impl Connector {
    /// A connector to an empty bucket: it polls every second, and sends 100 records a request from the beginning on.
    async fn new() -> Self {
        let (world, intake) = (World::new().await, Intake::start(INTAKE_KEY).await);
        let arguments = json!({
            "bucket_name": crate::world::BUCKET, "frequency": 1, "chunk_size": 100, "start_from": "beginning",
            "intake_key": INTAKE_KEY, "intake_server": intake.server(),
        });
        Self { world, intake, arguments }
    }

    /// Puts objects with records that must arrive.
    fn put(&mut self, objects: usize, records: usize) {
        let flow_log = self.world.generator.flow_log("111111111111", "eu-west-3");
        (0..objects).for_each(|_| drop(self.world.put(&flow_log, 10, records)));
    }

    fn module(&self) -> Module {
        self.world
            .module_as("collect_flowlogs")
            .without_value("trigger_configuration")
            .value("connector_configuration", &self.arguments)
    }

    /// How often each record is too many (or, negative, missing) at the intake.
    fn difference(&self) -> BTreeMap<String, i64> {
        self.world.difference(self.intake.events())
    }

    /// Waits until all expected records have arrived, each once and nothing else.
    async fn all_arrive(&self, process: &Process) {
        let arrived = eventually(PATIENCE, || self.intake.count() >= self.world.expected.len()).await;
        assert!(arrived, "{} arrived:\n{}", self.intake.count(), process.stderr().text());
        assert_eq!(self.difference(), BTreeMap::new(), "{}", process.stderr().text());
    }

    /// With an intake that does as usual again, the next process sends what is missing, and nothing twice.
    async fn a_new_start_sends_the_rest(&self) {
        self.intake.script().clear();
        let process = self.module().start();
        self.all_arrive(&process).await;
        self.stop(process).await;
    }

    /// Ends the connector as the platform does. Its key is nowhere.
    async fn stop(&self, process: Process) {
        let stderr = process.stderr();
        stop(process).await;
        let logs = format!("{:?}", self.world.platform.logs());
        for secret in [INTAKE_KEY, SECRET] {
            assert!(!stderr.text().contains(secret) && !logs.contains(secret), "{}", stderr.text());
        }
    }
}

#[tokio::test]
async fn records_reach_the_intake_and_no_run_is_started() {
    for (name, value) in [("compress", json!(false)), ("compress", json!(true)), ("intake_server", json!(""))]
    {
        let mut connector = Connector::new().await;
        connector.put(7, 150);
        connector.arguments[name] = value.clone();
        let module = connector.module().value("intake_url", connector.intake.server());
        let process = module.start();
        connector.all_arrive(&process).await;
        assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
        let posts = connector.intake.posts();
        assert!(posts.iter().all(|post| post.header("authorization").is_none() && post.events <= 100));
        assert!(posts.iter().all(|post| post.is_gzip == (value == true)));
        assert!(!connector.world.metrics().await.contains(INTAKE_KEY));
        assert_eq!(connector.world.metric("symphony_module_common_forwarded_events_total").await, 1050.0);
        connector.stop(process).await;
        assert!(connector.world.platform.events().is_empty());
        assert_eq!(connector.world.batch_folders(), 0);
    }
}

#[tokio::test]
async fn whatever_the_intake_answers_nothing_is_lost_or_sent_twice_and_refusals_are_told_at_once() {
    let elsewhere = Intake::start(INTAKE_KEY).await;
    let check_key = Some("check `intake_key`");
    let faults = [
        (Fault::Html, "warning", Some("in the place of the intake's answer")),
        (Fault::status(401), "error", check_key),
        (Fault::status(403), "error", check_key),
        (Fault::status(404), "error", Some("check `intake_server`")),
        (Fault::status(400), "error", Some("the intake refused a batch")),
        (Fault::Redirect(format!("{}/batch", elsewhere.server())), "error", Some("not followed")),
        (Fault::status(408), "warning", None),
        (Fault::status(429), "warning", None),
        (Fault::status(500), "warning", None),
        (Fault::status(503), "warning", None),
        (Fault::NotHttp, "warning", None),
        (Fault::Drop, "warning", None),
    ];
    let tried = faults.map(async |(fault, level, told)| {
        let mut connector = Connector::new().await;
        connector.put(3, 150);
        connector.intake.script().then_times(2, &fault);
        let process = connector.module().start();
        connector.all_arrive(&process).await;
        connector.world.until_logged(level, told.unwrap_or("the intake did not take a batch")).await;
        connector.stop(process).await;
        assert!(connector.intake.posts().len() >= 7, "{fault:?}");
    });
    futures_util::future::join_all(tried).await;
    assert_eq!(elsewhere.posts().len(), 0, "the key went to another server");
}

#[tokio::test]
async fn an_answer_without_ids_or_with_too_few_is_an_acceptance_and_told() {
    let answer = |text: &str| Fault::Status(200, text.to_owned());
    for (answer, told) in [
        (answer(""), "has no event_ids"),
        (Fault::HalfBody, "has no event_ids"),
        (answer(r#"{"event_ids": ["a"]}"#), "another number of event_ids"),
    ] {
        let mut connector = Connector::new().await;
        connector.put(1, 50);
        connector.intake.script().then(answer);
        let process = connector.module().start();
        connector.world.until_logged("warning", told).await;
        assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
        connector.stop(process).await;
        assert_eq!(connector.intake.posts().len(), 1);
    }
}

#[tokio::test]
async fn an_intake_that_takes_half_a_minute_for_an_answer_gets_each_record_once() {
    let mut connector = Connector::new().await;
    connector.put(1, 150);
    connector.intake.script().then_times(2, &Fault::Delay(Duration::from_secs(30)));
    let process = connector.module().start();
    let arrived = eventually(2 * PATIENCE, || connector.intake.count() == 150).await;
    assert!(arrived, "{}", process.stderr().text());
    connector.stop(process).await;
    assert_eq!(connector.difference(), BTreeMap::new());
    assert_eq!(connector.intake.posts().len(), 2);
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_and_a_record_that_is_named() {
    for compress in [false, true] {
        let mut connector = Connector::new().await;
        connector.arguments["compress"] = compress.into();
        connector.put(1, 50);
        connector.intake.script().then_times(3, &Fault::status(413));
        let process = connector.module().start();
        connector.all_arrive(&process).await;
        connector.stop(process).await;
        assert_eq!(connector.intake.posts().iter().filter(|post| post.events > 0).count(), 4);

        let mut connector = Connector::new().await;
        connector.arguments["compress"] = compress.into();
        connector.put(1, 3);
        connector.intake.script().always(Fault::status(413));
        let process = connector.module().start();
        connector.world.until_logged("error", "the intake says that it is too large").await;
        connector.world.until_counted("aws_flowlogs_records_rejected_total 3").await;
        assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
        connector.stop(process).await;
    }
}

#[tokio::test]
async fn a_record_that_is_longer_than_the_intake_takes_is_rejected_and_named() {
    let mut connector = Connector::new().await;
    let flow_log = connector.world.generator.flow_log("111111111111", "eu-west-3");
    let mut object = connector.world.object(&flow_log, 10, 3);
    let long = object.records[1].replacen("eni-", &format!("eni-{}", "x".repeat(250_000)), 1);
    connector.world.expected.extend([object.records[0].clone(), object.records[2].clone()]);
    object.records[1] = long;
    connector.world.s3.put(crate::world::BUCKET, &object.key, object.body());
    let process = connector.module().start();
    connector.all_arrive(&process).await;
    connector.world.until_counted("aws_flowlogs_records_rejected_total 1").await;
    assert!(process.stderr().wait_for("longer than the 250,000 bytes", PATIENCE).await);
    assert!(process.stderr().contain(&object.key));
    connector.stop(process).await;
}

#[tokio::test]
async fn five_requests_are_in_flight_at_most_and_the_end_does_not_wait_for_them() {
    let mut connector = Connector::new().await;
    connector.put(10, 150);
    connector.intake.script().always(Fault::Hang);
    let process = connector.module().start();
    assert!(eventually(PATIENCE, || connector.intake.posts().len() == SIDE_BY_SIDE).await);
    // Within the next poll there would be more.
    let listed = connector.world.s3.requests().len();
    connector.put(1, 10);
    assert!(!eventually(Duration::from_secs(2), || connector.intake.posts().len() > SIDE_BY_SIDE).await);
    assert!(connector.world.s3.requests().len() >= listed);
    connector.stop(process).await;
    connector.a_new_start_sends_the_rest().await;
}

#[tokio::test]
async fn the_end_waits_for_answers_that_come_in_time_so_that_nothing_is_repeated() {
    let mut connector = Connector::new().await;
    connector.put(10, 150);
    connector.intake.script().always(Fault::Delay(Duration::from_secs(1)));
    let process = connector.module().start();
    assert!(eventually(PATIENCE, || connector.intake.posts().len() == SIDE_BY_SIDE).await);
    connector.stop(process).await;
    assert!(connector.intake.count() > 0);
    connector.a_new_start_sends_the_rest().await;
}

/// Guarantee 5, at the intake: SIGKILL at any moment loses nothing and repeats at most the batches in flight.
#[tokio::test]
async fn sigkills_lose_nothing_and_each_repeats_five_batches_at_most() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut connector = Connector::new().await;
    connector.arguments["chunk_size"] = 10.into();
    const KILLS: usize = 25;
    for kill in 1..=KILLS {
        connector.put(3, random.usize(1..40));
        let delay = Fault::Delay(Duration::from_millis(random.u64(0..20)));
        connector.intake.script().always(delay);
        let count = || connector.world.s3.requests().len() + connector.intake.posts().len();
        let moment = count() + random.usize(1..30);
        let mut process = connector.module().start();
        assert!(eventually(PATIENCE, || count() >= moment).await, "kill {kill}: {}", process.stderr().text());
        process.kill();
        process.exited(PATIENCE).await.unwrap();
    }
    connector.intake.script().clear();
    connector.put(1, 10);
    let process = connector.module().start();
    let is_there = || connector.difference().values().all(|count| *count > 0);
    let told = || {
        let logs = connector.world.platform.logs().into_iter().map(|line| line.message);
        let named = logs.filter(|message| message.contains("died")).collect::<Vec<_>>().join("\n");
        format!("{}\n{named}", process.stderr().text())
    };
    assert!(eventually(PATIENCE, is_there).await, "{:#?}\n{}", connector.difference(), told());
    assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
    let repeated: i64 = connector.difference().values().sum();
    assert!(repeated <= i64::try_from(KILLS * SIDE_BY_SIDE * 10).unwrap(), "{repeated} records repeated");
    connector.stop(process).await;
}

#[tokio::test]
async fn the_connector_goes_on_where_a_playbook_of_the_same_bucket_stopped() {
    let mut connector = Connector::new().await;
    connector.arguments["prefix"] = "AWSLogs/".into();
    connector.put(3, 150);
    connector.world.argument("start_from", "beginning");
    let process = connector.world.module().start();
    connector.world.all_arrive(&process).await;
    assert!(process.stderr().wait_for("poll ended", PATIENCE).await);
    stop(process).await;
    connector.world.expected.clear();
    connector.put(2, 150);
    let process = connector.module().start();
    connector.all_arrive(&process).await;
    assert!(process.stderr().wait_for("going on where another", PATIENCE).await);
    connector.stop(process).await;
    // The trigger has its own state still, and knows nothing of what the connector sent.
    let process = connector.world.module().start();
    let again = || connector.world.platform.records().len() == 750;
    assert!(eventually(PATIENCE, again).await, "{}", process.stderr().text());
    stop(process).await;
}

#[tokio::test]
async fn what_is_wrong_with_the_configuration_is_said_on_the_intakes_page() {
    let mut connector = Connector::new().await;
    connector.arguments["intake_key"] = "".into();
    let process = connector.module().start();
    connector.world.until_logged("critical", "correct it on the intake's page").await;
    assert!(connector.world.is_logged("critical", "property `intake_key`"));
    connector.stop(process).await;
}
