//! Commands in the pages: each is run, or at least read by the shell.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::page::{Block, blocks, pages, root, text};
use crate::world::World;

/// The languages of blocks, and what tests of them there are: a block in another one would be tested by nobody.
const LANGUAGES: [&str; 4] = ["", "json", "sh", "text"];

fn shell_blocks() -> Vec<(String, Block)> {
    let all = pages().into_iter().flat_map(|name| {
        let blocks = blocks(&text(&name));
        blocks.into_iter().map(move |block| (name.clone(), block))
    });
    all.filter(|(_, block)| block.language == "sh").collect()
}

#[test]
fn every_block_is_of_a_language_that_is_checked_and_json_is_json() {
    let mut count = 0;
    for name in pages() {
        for block in blocks(&text(&name)) {
            assert!(
                LANGUAGES.contains(&block.language.as_str()),
                "{name}: {:?} is checked by nobody",
                block.language
            );
            if block.language == "json" {
                let parsed = serde_json::from_str::<serde_json::Value>(&block.text);
                assert!(parsed.is_ok(), "{name}: {parsed:?}: {}", block.text);
                count += 1;
            }
        }
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn every_command_is_one_that_a_shell_reads() {
    let blocks = shell_blocks();
    assert!(blocks.len() >= 3, "{blocks:?}");
    for (name, block) in blocks {
        let mut shell = Command::new("bash");
        shell.args(["-n", "-c", &block.text]).stderr(Stdio::piped());
        let output = shell.output().unwrap();
        assert!(
            output.status.success(),
            "{name}: {}: {}",
            block.text,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// `make` says what it would do, which it does not for a target that is not there.
#[test]
fn every_make_can_be_made() {
    let mut count = 0;
    for (name, block) in shell_blocks() {
        for line in block.text.lines().filter(|line| line.starts_with("make")) {
            let mut shell = Command::new("bash");
            let told = format!("make() {{ command make --dry-run \"$@\"; }}\n{line}");
            let output = shell.args(["-c", &told]).current_dir(root()).output().unwrap();
            assert!(output.status.success(), "{name}: {line}: {}", String::from_utf8_lossy(&output.stderr));
            count += 1;
        }
    }
    assert!(count >= 2, "{count}");
}

/// What the guides tell to type at a module that runs, typed at one, on the ports that it has here.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_guides_tell_to_type_is_answered() {
    let mut world = World::start("").await;
    let folder = tempfile::tempdir().unwrap();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_aws-flowlogs")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut run = 0;
    for page in ["docs/user.md", "docs/operator.md"] {
        for block in blocks(&text(page)).into_iter().filter(|block| block.language == "sh") {
            for line in block.text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
                let command = line
                    .replace("localhost:8000", &format!("127.0.0.1:{}", world.liveness_port))
                    .replace("localhost:8020", &format!("127.0.0.1:{}", world.metrics_port));
                if let Some(url) = command.strip_prefix("curl --fail ") {
                    let answer = reqwest::get(url.split_whitespace().next().unwrap()).await.unwrap();
                    assert_eq!(answer.status(), 200, "{page}: {line}");
                    assert!(!answer.text().await.unwrap().is_empty(), "{page}: {line}");
                } else {
                    assert!(command.starts_with("aws-flowlogs "), "{page}: no test runs {line:?}");
                    let mut shell = Command::new("bash");
                    shell.args(["-c", &command]).current_dir(folder.path()).env("PATH", &path);
                    let output = shell.output().unwrap();
                    let told = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(output.status.success(), "{page}: {line}: {told}");
                    assert!(!output.stdout.is_empty(), "{page}: {line}");
                }
                run += 1;
            }
        }
    }
    assert!(run >= 4, "{run}");
    assert_eq!(world.process.stop(Duration::from_secs(10)).await.and_then(|status| status.code()), Some(0));
}
