//! A storage that never answers must not keep the process.

use support::eventually;
use support::s3::Operation;
use support::silent::SilentFile;

use crate::state::files;
use crate::world::{PATIENCE, World, stop, stop_at_once};

/// Guarantee 6: SIGTERM at any moment ends the process within 10 s with exit code 0, loses nothing and repeats
/// nothing.
#[tokio::test]
async fn a_file_of_the_state_that_never_answers_does_not_hold_up_the_end() {
    let mut world = World::new().await;
    let process = world.start().await;
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 10);
    world.all_arrive(&process).await;
    stop(process).await;
    let entry = files(&world, ".entry").pop().unwrap();
    let content = std::fs::read(&entry).unwrap();
    let silent = SilentFile::at(&entry);
    let process = world.module().start();
    let held = silent.read_by_somebody(PATIENCE).await.expect("the trigger reads its state");
    stop(process).await;
    drop(held);
    std::fs::remove_file(&entry).unwrap();
    std::fs::write(&entry, content).unwrap();
    world.put(&flow_log, 1, 10);
    let process = world.start().await;
    world.all_arrive(&process).await;
    stop(process).await;

    // What is looked for at a first start alone.
    let world = World::new().await;
    std::fs::create_dir(world.storage.path().join("AWSLogs")).unwrap();
    let silent = SilentFile::at(world.storage.path().join("AWSLogs/context.json"));
    let process = world.module().start();
    let _held =
        silent.read_by_somebody(PATIENCE).await.expect("the trigger looks for the Python module's state");
    stop(process).await;
}

/// Guarantee 6: SIGTERM at any moment ends the process within 10 s with exit code 0, loses nothing and repeats
/// nothing.
#[tokio::test]
async fn a_value_that_never_answers_does_not_hold_up_the_end() {
    let world = World::new().await;
    let values = tempfile::tempdir().unwrap();
    for command in ["fetch_flowlogs", "push_events", "validate_module_configuration"] {
        let silent = SilentFile::at(values.path().join("url_logs"));
        let process = world.module_as(command).values_in(values.path()).start();
        let _held = silent.read_by_somebody(PATIENCE).await.expect("the value is read");
        stop_at_once(process).await;
    }
}

/// What hangs is said, not only waited for.
#[tokio::test]
async fn a_storage_that_never_answers_is_named() {
    let world = World::new().await;
    stop(world.start().await).await;
    let snapshot = files(&world, ".snapshot").pop().unwrap();
    let content = std::fs::read(&snapshot).unwrap();
    let silent = SilentFile::at(&snapshot);
    let process = world.module().start();
    let held = silent.read_by_somebody(PATIENCE).await.expect("the trigger reads its state");
    let named = process.stderr().wait_for("the storage does not answer", 2 * PATIENCE).await;
    assert!(named && process.stderr().contain(&snapshot.display().to_string()));
    // It answers at last, and all goes on.
    std::io::Write::write_all(&mut &held, &content).unwrap();
    drop(held);
    let listed = world.s3.count(Operation::List);
    assert!(eventually(PATIENCE, || world.s3.count(Operation::List) > listed).await);
    stop(process).await;
}
