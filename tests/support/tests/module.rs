//! Processes, with a shell script in the place of the module.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use support::module::Module;

const LONG: Duration = Duration::from_secs(10);

fn script(folder: &tempfile::TempDir, text: &str) -> Module {
    let path = folder.path().join("script.sh");
    std::fs::write(&path, text).unwrap();
    Module::new("/bin/sh", path.to_str().unwrap())
}

#[tokio::test]
async fn values_are_variables_or_files() {
    let folder = tempfile::tempdir().unwrap();
    let module = script(&folder, "echo token=$TOKEN home=$HOME; /bin/cat $SYMPHONY_DIR/token >&2");
    let mut process = module.clone().value("token", "t").start();
    assert!(process.exited(LONG).await.is_some());
    assert_eq!(process.stdout().all(), ["token=t home="]);
    let mut process = module.value("token", "t").values_in(folder.path().join("values")).start();
    assert!(process.exited(LONG).await.unwrap().success());
    assert_eq!(process.stdout().all(), ["token= home="]);
    assert_eq!(process.stderr().all(), ["t"]);
}

#[tokio::test]
async fn signals_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let module =
        script(&folder, "trap 'echo asked >&2; exit 0' TERM; echo up >&2; while :; do /bin/sleep 0.05; done");
    let mut process = module.start();
    assert!(process.stderr().wait_for("up", LONG).await);
    assert!(process.exited(Duration::from_millis(50)).await.is_none());
    assert!(process.stop(LONG).await.unwrap().success());
    assert_eq!(process.stderr().all(), ["up", "asked"]);
    let mut process = module.start();
    assert!(process.stderr().wait_for("up", LONG).await);
    process.kill();
    assert_eq!(process.exited(LONG).await.unwrap().code(), None);
}
