//! The command `health`, as a container's health check runs it.

use std::time::Duration;

use support::module::Module;
use support::recorder::Recorder;
use support::s3::Operation;
use support::{eventually, free_port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(30);

/// Asks for the health on a port; gives the exit code, and what was written on stdout and stderr.
async fn ask(port: impl ToString) -> (i32, String, String) {
    let module = Module::new(env!("CARGO_BIN_EXE_aws-flowlogs"), "health");
    // A proxy has nothing to do with the own machine.
    let module = module.env("HTTP_PROXY", "http://127.0.0.1:1").value("liveness_port", port);
    let mut process = module.start();
    let exit = process.exited(PATIENCE).await.expect("it ends");
    (exit.code().unwrap(), process.stdout().text(), process.stderr().text())
}

#[tokio::test]
async fn a_trigger_that_works_is_healthy_and_one_that_hangs_or_has_ended_is_not() {
    let world = World::new().await;
    let port = free_port();
    let trigger = world.trigger("fetch_flowlogs").value("metrics_port", free_port());
    let mut trigger = trigger.value("liveness_port", port).start();
    assert!(
        eventually(PATIENCE, || world.s3.count(Operation::List) > 1).await,
        "{}",
        trigger.stderr().text()
    );
    let (code, stdout, stderr) = ask(port).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("healthy: {") && stdout.contains("last_heartbeat"), "{stdout}");

    // The system still takes connections for it.
    trigger.hold_up();
    let (code, stdout, stderr) = ask(port).await;
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains(&port.to_string()) && stderr.contains("no answer"), "{stderr}");

    trigger.kill();
    trigger.exited(PATIENCE).await.unwrap();
    let (code, _, stderr) = ask(port).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("no trigger serves its health there"), "{stderr}");
}

#[tokio::test]
async fn an_answer_that_says_no_or_is_of_something_else_is_not_healthy() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let answer = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 25\r\n\r\n{\"last_heartbeat\":\"long\"}";
            let _ = connection.read(&mut [0; 1024]).await;
            let _ = connection.write_all(answer.as_bytes()).await;
        }
    });
    let (code, _, stderr) = ask(port).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("500") && stderr.contains("last_heartbeat"), "{stderr}");

    let other = Recorder::start().await;
    let (code, _, stderr) = ask(other.url().rsplit(':').next().unwrap()).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("not a trigger's health"), "{stderr}");
    assert_eq!(other.received().len(), 1);

    let (code, _, stderr) = ask("none").await;
    assert_eq!(code, 1);
    assert!(stderr.contains("`liveness_port`"), "{stderr}");
}
