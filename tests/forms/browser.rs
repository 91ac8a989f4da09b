//! The browser, driven by Node.js with what `package.json` names, in one version each.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What is copied beside the installed packages, the lock of their versions first.
const FILES: [(&str, &str); 5] = [
    ("package-lock.json", include_str!("package-lock.json")),
    ("package.json", include_str!("package.json")),
    ("drive.mjs", include_str!("drive.mjs")),
    ("page.html", include_str!("page.html")),
    ("page.jsx", include_str!("page.jsx")),
];

const HELP: &str = "the tests of the forms fill them in in a browser: they need Node.js 18 or newer with npm, Chromium \
    (on Debian: apt-get install nodejs npm chromium; elsewhere name its file in the variable CHROMIUM), and at the \
    first run npm's registry";

/// A form to fill in.
#[derive(Clone, Debug)]
pub struct Task {
    /// What the screenshot is called.
    pub name: &'static str,
    /// The schema.
    pub schema: Value,
    /// What the form holds before the user comes, e.g. from a template.
    pub given: Value,
    /// What the user does: `{"type": [title, text]}` and the others that `drive.mjs` knows.
    pub steps: Vec<Value>,
}

/// What came of it.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    /// The description that is seen under each title.
    pub shown: Map<String, Value>,
    /// All that is read in the form.
    pub text: String,
    /// What the form gave out.
    pub submitted: Option<Value>,
    /// Why it did not.
    pub refused: Vec<String>,
}

/// Fills in the forms one after the other in one browser.
pub fn fill(tasks: &[Task]) -> Vec<Outcome> {
    let chromium =
        std::env::var_os("CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from);
    assert!(chromium.exists(), "{} is missing: {HELP}", chromium.display());
    let (folder, pictures) = (packages(), Path::new(env!("CARGO_TARGET_TMPDIR")).join("forms-pictures"));
    std::fs::create_dir_all(&pictures).unwrap();
    let tasks: Vec<Value> = tasks
        .iter()
        .map(|task| json!({"name": task.name, "schema": task.schema, "given": task.given, "steps": task.steps}))
        .collect();
    let given = json!({"chromium": chromium, "folder": pictures, "tasks": tasks});
    let mut node = Command::new("node");
    node.arg("drive.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = node.spawn().unwrap_or_else(|error| panic!("node: {error}; {HELP}"));
    process.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = ended_well("drive.mjs", process.wait_with_output().unwrap());
    let outcomes: Vec<Outcome> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcomes.len(), tasks.len());
    outcomes
}

/// The folder of the packages, which are installed if they are not there or of other versions.
fn packages() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("forms");
        std::fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text).unwrap();
        }
        // Written last: a folder without it was not finished.
        let finished = folder.join("installed");
        if std::fs::read_to_string(&finished).is_ok_and(|text| text == FILES[0].1) {
            return folder;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        let output = npm.output().unwrap_or_else(|error| panic!("npm: {error}; {HELP}"));
        ended_well("npm ci", output);
        std::fs::write(finished, FILES[0].1).unwrap();
        folder
    })
}

fn ended_well(what: &str, output: Output) -> Output {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}: {told}; {HELP}", output.status);
    output
}
