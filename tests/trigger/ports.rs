//! The ports of health and metrics, and those who only hold a connection.

use support::eventually;
use support::free_port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::{PATIENCE, World, stop};

/// Open files that the process may have: fewer than there are connections below.
const FILES: u64 = 128;
const CONNECTIONS: usize = 150;

#[tokio::test]
async fn requests_that_never_end_take_neither_files_nor_the_ports_away() {
    let mut world = World::new().await;
    let liveness_port = free_port();
    let module = world.module().value("liveness_port", liveness_port);
    let process = module.start();
    assert!(process.stderr().wait_for("looking for flow logs", PATIENCE).await);
    let url = format!("http://127.0.0.1:{liveness_port}/health");
    let health = async || Some(reqwest::get(&url).await.ok()?.status().as_u16());
    process.limit_files(FILES);
    let mut held = Vec::new();
    for begin in ["", "GET /health HTTP/1.1\r\nHost: ", "POST /metrics HTTP/1.1\r\nContent-Length: 9\r\n\r\n"]
    {
        for port in [liveness_port, world.metrics_port] {
            for _ in 0..CONNECTIONS / 3 {
                let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                // Those that came before may be ended already.
                let _ = connection.write_all(begin.as_bytes()).await;
                held.push(connection);
            }
        }
    }
    assert_eq!(health().await, Some(200), "{}", process.stderr().text());
    let flow_log = world.generator.flow_log("111111111111", "eu-west-3");
    world.put(&flow_log, 5, 250);
    world.all_arrive(&process).await;
    assert!(world.metrics().await.contains("# EOF"));
    for mut connection in held {
        let ended = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "a connection is kept open");
    }
    stop(process).await;
}

#[tokio::test]
async fn the_ports_answer_what_they_know_and_nothing_else() {
    let world = World::new().await;
    let port = free_port();
    let process = world.module().value("liveness_port", port).start();
    let client = reqwest::Client::new();
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(eventually(PATIENCE, listens).await);
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("HEAD", "/health", 200),
        ("POST", "/health", 405),
        ("GET", "/", 404),
        ("GET", "/health/", 404),
    ] {
        let request = client.request(method.parse().unwrap(), format!("http://127.0.0.1:{port}{path}"));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        if status == 404 {
            let body: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(body["reason"], "Endpoint doesn't exist");
        }
    }
    stop(process).await;
}
