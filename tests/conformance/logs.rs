//! Lines for the playbook's user: the same script of lines through the SDK and through our queue.

use std::collections::HashMap;

use aws_flowlogs::platform::callback::Callback;
use aws_flowlogs::platform::logs::LogQueue;
use aws_flowlogs::platform::values::Values;
use aws_flowlogs::shutdown::Shutdown;
use serde_json::{Value, json};
use support::eventually;
use support::platform::{Endpoint, Platform};
use support::script::Fault;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::world::{Case, PATIENCE, Side, World};

/// What a run says: levels and messages.
type Script = Vec<(&'static str, String)>;

/// Says it, as the trigger would.
fn say(level: &str, message: &str) {
    // What is said here has to come from the module: lines of libraries are not for the user.
    match level {
        "info" => tracing::info!(target: "aws_flowlogs", "{message}"),
        "warning" => tracing::warn!(target: "aws_flowlogs", "{message}"),
        "error" => tracing::error!(target: "aws_flowlogs", "{message}"),
        "critical" => tracing::error!(target: "aws_flowlogs", critical = true, "{message}"),
        _ => tracing::debug!(target: "aws_flowlogs", "{message}"),
    }
}

/// A queue that forwards to the platform of `world`.
fn forwarding(world: &World) -> (LogQueue, Shutdown, tokio::task::JoinHandle<()>) {
    let variables =
        [("TOKEN", world.platform.token().to_owned()), ("URL_CALLBACK", world.platform.url_callback())];
    let variables: HashMap<String, String> = variables.map(|(name, value)| (name.to_owned(), value)).into();
    let callback = Callback::from_values(&Values::new("/nowhere", variables)).unwrap();
    let (queue, shutdown) = (LogQueue::default(), Shutdown::default());
    let task = tokio::spawn(queue.clone().forward(callback, shutdown.clone()));
    (queue, shutdown, task)
}

fn lines(platform: &Platform) -> Vec<(String, String)> {
    platform.logs().into_iter().map(|line| (line.level, line.message)).collect()
}

/// The number of lines in each post, refused ones included.
fn posts(platform: &Platform) -> Vec<usize> {
    let posts = platform.received_at(Endpoint::Logs).into_iter();
    posts.map(|post| post.json()["logs"].as_array().map_or(0, Vec::len)).collect()
}

async fn reference(script: &Script) -> Vec<(String, String)> {
    let case = Case::new("log_lines");
    let mut world = World::new(&case).await;
    let script: Vec<Value> = script.iter().map(|(level, message)| json!([level, message])).collect();
    let module = world.module(&case, Side::Reference).env("REFERENCE_LINES", json!(script).to_string());
    let process = module.start();
    let ended = world.ended(process).await;
    assert_eq!(ended.exit, Some(0), "{}", ended.stderr);
    lines(&world.platform)
}

async fn ours(script: &Script) -> Vec<(String, String)> {
    let world = World::new(&Case::new("fetch_flowlogs")).await;
    let (queue, shutdown, task) = forwarding(&world);
    let subscriber = tracing_subscriber::registry().with(queue);
    tracing::subscriber::with_default(subscriber, || {
        script.iter().for_each(|(level, message)| say(level, message));
    });
    shutdown.stop();
    task.await.unwrap();
    lines(&world.platform)
}

#[tokio::test]
async fn the_same_lines_arrive_in_the_same_order() {
    let mut script: Script = Vec::new();
    let mut add = |level, message: &str| script.push((level, message.to_owned()));
    for _ in 0..3 {
        add("info", "said again and again");
    }
    add("warning", "said again and again");
    add("warning", "said again and again");
    add("error", "an error");
    add("error", "an error");
    add("critical", "the first critical line");
    add("critical", "the second critical line");
    add("critical", "the first critical line");
    for number in 0..120 {
        add("info", &format!("line {number}"));
    }
    let (reference, ours) = tokio::join!(reference(&script), ours(&script));
    assert_eq!(ours, reference);
    assert_eq!(ours.len(), 2 + 1 + 3 + 120);
}

#[tokio::test]
async fn fifty_lines_go_out_together_and_an_error_at_once() {
    let world = World::new(&Case::new("fetch_flowlogs")).await;
    let (queue, shutdown, task) = forwarding(&world);
    let say = |level: &str, messages: std::ops::Range<usize>| {
        let subscriber = tracing_subscriber::registry().with(queue.clone());
        tracing::subscriber::with_default(subscriber, || {
            messages.for_each(|number| say(level, &format!("line {number}")));
        });
    };
    say("info", 0..50);
    assert!(eventually(PATIENCE, || posts(&world.platform) == [50]).await, "{:?}", posts(&world.platform));
    say("error", 50..51);
    assert!(eventually(PATIENCE, || posts(&world.platform) == [50, 1]).await, "{:?}", posts(&world.platform));
    say("info", 51..171);
    shutdown.stop();
    task.await.unwrap();
    assert_eq!(posts(&world.platform), [50, 1, 50, 50, 20], "the rest, at the end");
    assert_eq!(lines(&world.platform).len(), 171);
}

#[tokio::test]
async fn lines_that_are_refused_at_the_end_are_sent_again() {
    let world = World::new(&Case::new("fetch_flowlogs")).await;
    let (queue, shutdown, task) = forwarding(&world);
    world.platform.script(Endpoint::Logs).then(Fault::status(503)).then(Fault::Drop);
    shutdown.stop();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(queue), || say("info", "the last"));
    task.await.unwrap();
    assert_eq!(lines(&world.platform), [("info".to_owned(), "the last".to_owned())]);
    assert_eq!(posts(&world.platform), [1, 1, 1]);
}
