//! `scripts/setup`, as a machine meets it that lacks something: with tools that only say their version.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at what it did not expect")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// What the script itself is made of.
const SHELL: [&str; 13] =
    ["sh", "bash", "cat", "chmod", "dirname", "env", "grep", "head", "id", "mkdir", "sed", "sort", "uname"];
/// Everything that `make test` needs, each with what it says of its version.
const TOOLS: [(&str, &str); 14] = [
    ("cc", ""),
    ("make", ""),
    ("git", ""),
    ("autoreconf", ""),
    ("automake", ""),
    ("libtoolize", ""),
    ("nasm", "NASM version 2.16.01"),
    ("valgrind", ""),
    ("python3", "Python 3.11.2"),
    ("node", "v18.20.4"),
    ("npm", ""),
    ("chromium", ""),
    ("cargo", "cargo 1.95.0"),
    ("rustc", "rustc 1.95.0 (59807616e 2026-04-14)"),
];

/// A machine that has these tools and no others.
struct Machine(TempDir);

impl Machine {
    fn with(tools: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for name in SHELL {
            let found = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(name));
            let found = found.iter().find(|path| path.exists()).unwrap();
            symlink(found, machine.0.path().join(name)).unwrap();
        }
        for (name, says) in tools {
            machine.tool(name, &format!("echo '{says}'"));
        }
        // Where a packager installs and root needs buildah as well, that is not what is asked for here.
        machine.tool("id", "echo 1000");
        machine
    }

    fn without(missing: &str) -> Self {
        Self::with(TOOLS.into_iter().filter(|(name, _)| *name != missing))
    }

    fn tool(&self, name: &str, script: &str) {
        let path = self.0.path().join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn set_up(&self, purpose: &str) -> Output {
        self.set_up_with_cargo_home(purpose, self.0.path())
    }

    fn set_up_with_cargo_home(&self, purpose: &str, cargo_home: &Path) -> Output {
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/setup"))
            .arg(purpose)
            .env_clear()
            .env("PATH", self.0.path())
            .env("CARGO_HOME", cargo_home)
            .env("CHROMIUM", self.0.path().join("chromium"))
            .output()
            .unwrap()
    }
}

/// What it said, which must be one line, and that it ended with 2.
fn refusal(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_machine_that_has_everything_is_left_alone() {
    for purpose in ["demo", "test"] {
        let output = Machine::with(TOOLS).set_up(purpose);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn each_missing_tool_is_named_in_one_line_with_what_to_type() {
    for (missing, _) in TOOLS.into_iter().filter(|(name, _)| !["cargo", "rustc"].contains(name)) {
        let machine = Machine::without(missing);
        machine.tool("apt-get", "exit 100");
        let said = refusal(&machine.set_up("test"));
        let package = match missing {
            "cc" => "gcc",
            "autoreconf" => "autoconf",
            "libtoolize" => "libtool",
            "node" => "nodejs",
            other => other,
        };
        let words: Vec<&str> = said.split_whitespace().collect();
        assert!(said.contains("type: sudo apt-get") && words.contains(&package), "{said}");
    }
    let said = refusal(&Machine::without("nasm").set_up("test"));
    assert!(said.contains("nasm") && said.contains("package manager of this system"), "{said}");
}

#[test]
fn the_demo_needs_rust_a_c_compiler_and_make_alone() {
    let needed = ["cargo", "cc", "make", "rustc"];
    let machine = Machine::with(TOOLS.into_iter().filter(|(name, _)| needed.contains(name)));
    assert_eq!(machine.set_up("demo").status.code(), Some(0));
    for missing in needed {
        refusal(&Machine::without(missing).set_up("demo"));
    }
}

#[test]
fn a_tool_that_is_too_old_is_missing() {
    for (tool, says) in [
        ("node", "v16.20.2"),
        ("python3", "Python 3.9.2"),
        ("nasm", "NASM version 2.13.03"),
        ("rustc", "rustc 1.94.1 (e408947bf 2026-03-25)"),
    ] {
        let machine = Machine::with(TOOLS);
        machine.tool(tool, &format!("echo '{says}'"));
        let said = refusal(&machine.set_up("test")).to_lowercase();
        assert!(said.contains(tool.trim_end_matches(['c', '3'])), "{said}");
    }
}

#[test]
fn what_is_missing_is_installed_where_that_needs_no_question() {
    let machine = Machine::without("nasm");
    let installed = machine.0.path().join("nasm");
    let script = format!(
        "case \" $* \" in *' --no-download nasm ') echo \"echo NASM version 2.16\" >{path}; chmod +x {path};; esac",
        path = installed.display()
    );
    machine.tool("apt-get", &script);
    machine.tool("sudo", "[ \"$1\" = -n ] && shift; exec \"$@\"");
    machine.tool("true", "");
    let output = machine.set_up("test");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(installed.exists());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "setup: installing nasm\n");
}

#[test]
fn a_home_that_cannot_be_written_to_is_named() {
    let home = Path::new("/dev/null/home");
    let said = refusal(&Machine::with(TOOLS).set_up_with_cargo_home("demo", home));
    assert!(said.contains("/dev/null/home") && said.contains("CARGO_HOME"), "{said}");
}
