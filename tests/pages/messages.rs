//! The messages of the user guide are those that are said, and all of them.

use std::path::{Path, PathBuf};

use crate::page::{quoted, root, rows, text};

/// What is said by commands that a person runs at a terminal has a page of its own.
const ELSEWHERE: [&str; 1] = ["src/check"];
/// Tests in a file of their own say nothing.
const TESTS: &str = "tests.rs";

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if ELSEWHERE.iter().any(|elsewhere| name.starts_with(elsewhere)) || name.ends_with(TESTS) {
            continue;
        }
        if path.is_dir() { sources.extend(self::sources(&path)) } else { sources.push(path) }
    }
    sources
}

/// The code without its tests, in which a text that goes over several lines is one.
fn code() -> String {
    let mut code = String::new();
    for file in ["src", "flow-log/src"].iter().flat_map(|folder| sources(&root().join(folder))) {
        let source = std::fs::read_to_string(&file).unwrap();
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let mut parts = source.split("\\\n");
        code += parts.next().unwrap();
        for part in parts {
            code += part.trim_start();
        }
    }
    code
}

/// The messages that the user guide explains.
fn explained() -> Vec<String> {
    let page = text("docs/user.md");
    let rows = rows(&page, "## What a message means, and what to do");
    let messages = rows.iter().filter(|row| row.len() == 2 && row[0].contains(' '));
    messages.flat_map(|row| quoted(&row[0]).into_iter().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The parts of a message that do not differ from one time to the other.
fn fixed(message: &str) -> Vec<&str> {
    message.split('…').map(str::trim).filter(|part| part.len() > 3).collect()
}

#[test]
fn every_message_that_is_explained_is_said() {
    let (code, messages) = (code(), explained());
    assert!(messages.len() > 50, "{messages:#?}");
    for message in messages {
        let parts = fixed(&message);
        assert!(!parts.is_empty(), "{message}");
        for part in parts {
            // A message may be put together of two texts: `could not {what}` and `understand the checkpoint`.
            let halves = || {
                let mut spaces = part.match_indices(' ').map(|(at, _)| part.split_at(at));
                let is_said = |half: &str| half.trim().len() > 8 && code.contains(half.trim());
                spaces.any(|(before, after)| is_said(before) && is_said(after))
            };
            assert!(code.contains(part) || halves(), "nothing says {part:?} of {message:?}");
        }
    }
}

#[test]
fn every_warning_and_error_is_explained() {
    let (code, messages) = (code(), explained());
    let mut said = 0;
    for call in ["tracing::warn!(", "tracing::error!("] {
        for call in code.split(call).skip(1) {
            let message = call.split('"').nth(1).unwrap();
            // An error that is passed on as it is: its text is explained where it is made.
            if message.starts_with('{') && !message.contains(' ') {
                continue;
            }
            said += 1;
            let longest = message.split(['{', '}']).max_by_key(|part| part.len()).unwrap().trim();
            let longest = longest.trim_matches(['`', ' ', ';', ':']);
            let is_explained = messages.iter().any(|message| {
                message.contains(longest)
                    || fixed(message).iter().any(|part| part.len() > 12 && longest.contains(part))
            });
            assert!(is_explained, "docs/user.md does not explain {message:?}");
        }
    }
    assert!(said > 30, "{said}");
}

/// What S3's refusals are answered with is what the user reads in the log: all of it is in the guide.
#[test]
fn every_advice_about_s3_is_explained() {
    let messages = explained();
    let mut texts = Vec::new();
    for (file, advice) in
        [("src/s3/failure.rs", "pub fn advice(&self)"), ("src/http.rs", "pub fn advice(self)")]
    {
        let source = text(file);
        let (_, advice) = source.split_once(advice).unwrap();
        let advice = advice.split("\n    }\n").next().unwrap();
        let of_file = advice.split('"').skip(1).step_by(2).filter(|text| text.contains(' '));
        texts.extend(of_file.map(str::to_owned));
    }
    assert!(texts.len() > 16, "{texts:?}");
    for text in &texts {
        let is_nothing = text.starts_with("nothing to do") || text == "it is tried again";
        let is_explained = || {
            messages
                .iter()
                .any(|message| fixed(message).iter().any(|part| part.len() > 12 && text.contains(part)))
        };
        assert!(is_nothing || is_explained(), "docs/user.md does not explain {text:?}");
    }
}
