//! Objects that end the process, and ends that no object is to blame for.

use support::eventually;
use support::flowlogs::LogObject;
use support::parquet::{self, Compression, Form};
use support::s3::{Operation, Rule, Trouble};

use crate::state::files;
use crate::world::{BUCKET, PATIENCE, World, stop};

/// The system kills a process that makes a file longer than this, of some 256 KiB: the temporary one of a Parquet object
/// is.
const LIMIT: &str = "ulimit -c 0; ulimit -f 512";
const DEADLY_RECORDS: usize = 20_000;
/// The process cannot have more memory than these 88 MiB, and ends when it asks for it.
const MEMORY: &str = "ulimit -c 0; ulimit -d 90112";

/// An object under which the process dies of [`LIMIT`].
fn deadly(world: &mut World, minutes: i64) -> LogObject {
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.object(&flow_log, minutes, DEADLY_RECORDS);
    let form = Form { compression: Compression::UNCOMPRESSED, has_dictionaries: false, ..Form::default() };
    let body = parquet::file(HEADER, &object.records, &form);
    assert!(body.len() > 1_000_000);
    world.s3.put(BUCKET, &object.key, body);
    object
}

const HEADER: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                      action log-status";

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what can
/// be put right is tried again.
#[tokio::test]
async fn an_object_that_kills_the_process_is_rejected_by_name_and_the_others_arrive() {
    dies_and_goes_on(LIMIT, deadly).await;
}

/// Guarantee 7: One bad object or folder holds back no other: it is named in the log with the cause, counted, and what can
/// be put right is tried again.
#[tokio::test]
async fn an_object_that_needs_more_memory_than_there_is_is_rejected_by_name_and_the_others_arrive() {
    dies_and_goes_on(MEMORY, hungry).await;
}

/// An object of which one page and what is made of it take more than [`MEMORY`], and no more than is allowed.
fn hungry(world: &mut World, minutes: i64) -> LogObject {
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let object = world.object(&flow_log, minutes, 1);
    let record = object.records[0].replace("eni-", &format!("eni-{}", "0".repeat(60 << 20)));
    let form = Form { has_dictionaries: false, ..Form::default() };
    world.s3.put(BUCKET, &object.key, parquet::file(HEADER, &[record], &form));
    object
}

async fn dies_and_goes_on(limit: &str, deadly: fn(&mut World, i64) -> LogObject) {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for minutes in [30, 20, 10] {
        world.put(&flow_log, minutes, 30);
    }
    let deadly = deadly(&mut world, 15);
    let module = world.module().limited(limit);
    // Once among others, then five times alone.
    for death in 1..=6 {
        let mut process = module.start();
        let ended = process.exited(PATIENCE).await;
        assert!(ended.is_some_and(|status| !status.success()), "{death}: {}", process.stderr().text());
        // The others need not wait for the sentence.
        if death == 3 {
            world.exactly_expected();
        }
    }
    let process = module.start();
    world.until_logged("error", "object rejected: the process died").await;
    assert!(world.is_logged("error", &deadly.key));
    world.until_counted(r#"aws_flowlogs_objects_rejected_total{cause="crash"} 1"#).await;
    world.put(&flow_log, 1, 30);
    world.all_arrive(&process).await;
    stop(process).await;
    let reads = world.reads(&deadly.key);
    let process = module.start();
    world.put(&flow_log, 0, 30);
    world.all_arrive(&process).await;
    assert!(!process.stderr().contain("without order"));
    stop(process).await;
    assert_eq!(world.reads(&deadly.key), reads);
}

#[tokio::test]
async fn two_objects_that_kill_the_process_are_rejected_one_after_the_other() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 10, 30);
    let both = [deadly(&mut world, 15), deadly(&mut world, 5)];
    let module = world.module().limited(LIMIT);
    let is_rejected = |object: &LogObject| {
        world
            .platform
            .logs()
            .iter()
            .any(|line| line.message.starts_with("object rejected") && line.message.contains(&object.key))
    };
    let mut deaths = 0;
    while !both.iter().all(is_rejected) {
        let mut process = module.start();
        let ended = || both.iter().all(is_rejected) || !process.is_running();
        assert!(eventually(PATIENCE, ended).await, "{}", process.stderr().text());
        if process.is_running() {
            stop(process).await;
        } else {
            deaths += 1;
        }
        assert!(deaths <= 20);
    }
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;
}

/// A kill from outside is no object's fault, though one was waited for.
#[tokio::test]
async fn an_object_that_was_open_when_the_process_was_killed_arrives() {
    let mut world = World::new().await;
    world.argument("start_from", "beginning");
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    let open = world.put(&flow_log, 10, 30);
    world.s3.add_rule(Rule::new(Operation::Get, Trouble::Hang).key_contains(&open.key));
    let is_open = |world: &World, times: usize| world.reads(&open.key) == times;
    for kill in 1..=8 {
        let mut process = world.module().start();
        assert!(eventually(PATIENCE, || is_open(&world, kill)).await, "{}", process.stderr().text());
        process.kill();
        process.exited(PATIENCE).await.unwrap();
    }
    world.s3.clear_rules();
    // More kills, while it waits for its turn.
    for _ in 0..3 {
        let mut process = world.module().start();
        assert!(process.stderr().wait_for("the last run ended without order", PATIENCE).await);
        process.kill();
        process.exited(PATIENCE).await.unwrap();
    }
    let process = world.module().start();
    world.all_arrive(&process).await;
    stop(process).await;
    // Eleven kills, of which five in a row would have rejected it. One of the last three may have met it being decoded.
    assert!(!world.is_logged("error", "object rejected"));
}

#[tokio::test]
async fn an_ordinary_end_leaves_neither_a_sign_nor_a_suspicion() {
    let mut world = World::new().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    for _ in 0..2 {
        let process = world.start().await;
        world.put(&flow_log, 5, 30);
        world.all_arrive(&process).await;
        assert_eq!(files(&world, "crashes.json").len(), 0);
        assert!(!process.stderr().contain("without order"));
        stop(process).await;
        let signs = files(&world, "").into_iter().filter(|file| file.to_string_lossy().contains("alive-"));
        assert_eq!(signs.count(), 0);
    }
}
