//! The platform's SDK in a virtual environment of its own, below the folder that cargo builds in.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::module::Module;

/// The SDK and all that it needs, each in one version.
const REQUIREMENTS: &str = include_str!("requirements.txt");

const HELP: &str = "the conformance tests compare this module with the platform's SDK: they need Python 3.11 or newer \
    with its module venv (on Debian: apt-get install python3-venv), and at the first run PyPI or an index that pip is \
    configured for";

/// The folder of this suite.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

/// The Python of the environment, which is made if it is not there or of other versions.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sekoia-automation-sdk");
        let lock = File::create(environment.with_extension("lock")).expect("a lock file");
        lock.lock().expect("the lock of the environment");
        let python = environment.join("bin/python");
        // Written last: an environment without it was not finished.
        let finished = environment.join("requirements.txt");
        if std::fs::read_to_string(&finished).is_ok_and(|text| text == REQUIREMENTS) && python.exists() {
            return python;
        }
        let _ = std::fs::remove_dir_all(&environment);
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment));
        let pip = || {
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"]);
            pip
        };
        let requirements = folder().join("requirements.txt");
        // It takes a quarter of pip's time, but does not know of an index that pip is configured for.
        run(pip().args(REQUIREMENTS.lines().filter(|line| line.starts_with("uv=="))));
        let mut uv = Command::new(environment.join("bin/uv"));
        uv.args(["pip", "install", "--quiet", "--no-cache", "--no-deps", "--python"]).arg(&python);
        let installed = uv.arg("--requirement").arg(&requirements).output();
        if !installed.is_ok_and(|output| output.status.success()) {
            run(pip().arg("--requirement").arg(&requirements));
        }
        std::fs::write(finished, REQUIREMENTS).expect("a note in the environment");
        python
    })
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; {HELP}"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}; {HELP}");
}

/// A command of the reference module.
pub fn reference(command: &str) -> Module {
    Module::new(python(), command)
        .script(folder().join("reference.py"))
        // Nothing is written beside the sources.
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

/// A tool of the SDK, with these arguments; gives what it printed, after it ended well.
pub fn tool(arguments: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(python());
    command.args(["-B", "-m", "sekoia_automation.cli"]).args(arguments);
    let output = command.env("HOME", home.path()).env("COLUMNS", "200").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    told
}
