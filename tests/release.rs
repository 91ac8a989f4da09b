//! `scripts/release` on a copy of the project: what it would do, what it changes, what it refuses.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends at what it did not expect"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const CURRENT: &str = env!("CARGO_PKG_VERSION");
/// The files that name the version.
const FILES: [&str; 5] = ["CHANGELOG.md", "Cargo.lock", "Cargo.toml", "fuzz/Cargo.lock", "manifest.json"];

/// A copy of the project with a repository of its own, in which all is committed.
struct Copy {
    folder: TempDir,
}

impl Copy {
    fn new() -> Self {
        let copy = Self { folder: tempfile::tempdir().unwrap() };
        copy_files(Path::new(env!("CARGO_MANIFEST_DIR")), &copy.project());
        copy.git(&["init", "--quiet"]);
        for (name, value) in [("user.name", "Tests"), ("user.email", "tests@example.com")] {
            copy.git(&["config", name, value]);
        }
        let changelog = copy.text("CHANGELOG.md");
        if !changelog.contains("## Unreleased\n\n### ") {
            // Right after a release there is nothing new.
            let news = "## Unreleased\n\n### Added\n\n- Something\n";
            copy.write("CHANGELOG.md", &changelog.replace("## Unreleased\n", news));
        }
        copy.commit();
        copy
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.project().join(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.project().join(name), text).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").args(arguments).current_dir(self.project()).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "A copy"]);
    }

    /// Everything that a release could change: files, commits, tags.
    fn state(&self) -> BTreeMap<String, Vec<u8>> {
        let mut state = BTreeMap::new();
        for command in [["log", "--format=%H"], ["tag", "--list"], ["status", "--porcelain"]] {
            state.insert(command.join(" "), self.git(&command).into_bytes());
        }
        for file in files(&self.project()) {
            let name = file.strip_prefix(self.project()).unwrap().to_str().unwrap().to_owned();
            if !name.starts_with(".git/") {
                state.insert(name, std::fs::read(&file).unwrap());
            }
        }
        state
    }

    /// Programs in the place of those that take minutes: an image is built that is as it must be.
    fn working_tools(&self) -> Vec<(&'static str, String)> {
        let image = self.folder.path().join("image");
        for file in ["usr/local/bin/aws-flowlogs", "etc/ssl/certs/ca-certificates.crt"] {
            std::fs::create_dir_all(image.join(file).parent().unwrap()).unwrap();
            std::fs::write(image.join(file), "what is there").unwrap();
        }
        let buildah = format!(
            "#!/bin/sh\ncase $1 in from) echo container ;; mount) echo '{}' ;; esac\n",
            image.display()
        );
        let cargo = "#!/bin/sh\necho \"{\\\"at\\\":\\\"file://$(pwd -P)\\\"}\" > sbom.json\n";
        vec![
            ("buildah", buildah),
            ("readelf", "#!/bin/sh\necho '[ 1] .dep-v0 '\n".to_owned()),
            ("make", "#!/bin/sh\n".to_owned()),
            ("cargo", cargo.to_owned()),
        ]
    }

    /// Runs the script; programs of `tools` come before those of the system.
    fn release(&self, arguments: &[&str], tools: &[(&str, String)]) -> Output {
        let folder = self.folder.path().join("tools");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, script) in tools {
            let path = folder.join(name);
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        let script = self.project().join("scripts/release");
        Command::new(script).args(arguments).env("PATH", path).output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(self::files(&path)) } else { files.push(path) }
    }
    files
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let is_left_out = [".git", ".tools", "artifacts", "dist", "target"].iter().any(|left| name == *left);
        if is_left_out {
            continue;
        }
        if path.is_dir() {
            copy_files(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// The version after the current one, with the number in this place raised.
fn raised(place: usize) -> String {
    let mut numbers: Vec<u64> = CURRENT.split('.').map(|number| number.parse().unwrap()).collect();
    numbers[place] += 1;
    numbers[place + 1..].fill(0);
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

#[test]
fn a_dry_run_says_what_it_would_do_and_changes_nothing() {
    let copy = Copy::new();
    let before = copy.state();
    let output = copy.release(&["--dry-run", "minor"], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let (told, version) = (stdout(&output), raised(1));
    for file in FILES {
        assert!(told.contains(&format!("--- {file}\n+++ {file}\n")), "{file}: {told}");
    }
    for line in [format!("+version = \"{version}\""), format!("+  \"version\": \"{version}\",")] {
        assert!(told.contains(&line), "{line}: {told}");
    }
    assert!(told.lines().any(|line| line.starts_with("+## ") && line.ends_with(&format!(" - {version}"))));
    let changed = told.lines().filter(|line| line.starts_with('-') && !line.starts_with("---")).count();
    assert_eq!(changed, 4, "one line in each file, and none is taken from the changelog: {told}");
    let steps: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("== would ")).collect();
    let image = format!("build the image ghcr.io/sekoia-io/automation-module-aws-flowlogs:{version} for");
    let expected = [
        "change the files that name the version",
        "run make test",
        &format!("commit that as \"Version {version}\""),
        &format!("{image} amd64"),
        &format!("{image} arm64"),
        &format!("write the SBOM dist/aws-flowlogs-{version}.cdx.json"),
        "write dist/SHA256SUMS",
        &format!("tag v{version}"),
    ];
    assert_eq!(steps.len(), expected.len(), "{told}");
    for (step, expected) in steps.iter().zip(expected) {
        assert!(step.starts_with(expected), "{step}: {expected}");
    }
    assert!(copy.state() == before, "the dry run changed something");
}

#[test]
fn a_new_version_is_in_every_file_that_names_it_and_cargo_agrees() {
    let copy = Copy::new();
    let before = copy.state();
    let version = raised(2);
    let output = copy.release(&["--prepare", "patch"], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let after = copy.state();
    let changed: Vec<&str> = after
        .iter()
        .filter(|(name, content)| before[*name] != **content && !name.contains(' '))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(changed, FILES);
    let manifest: Value = serde_json::from_str(&copy.text("manifest.json")).unwrap();
    assert_eq!(manifest["version"], version.as_str());
    let changelog = copy.text("CHANGELOG.md");
    let (_, released) = changelog.split_once("\n## Unreleased\n\n## ").unwrap();
    let (date, rest) = released.split_once(" - ").unwrap();
    assert!(date.parse::<jiff::civil::Date>().is_ok(), "{date}");
    assert!(rest.starts_with(&format!("{version}\n\n### ")), "{rest}");
    for lock in ["Cargo.lock", "fuzz/Cargo.lock"] {
        assert!(
            copy.text(lock).contains(&format!("name = \"aws-flowlogs\"\nversion = \"{version}\"\n")),
            "{lock}"
        );
    }
    // The lock file is the one that cargo would write.
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--depth", "0"])
        .current_dir(copy.project())
        .output()
        .unwrap();
    let told = stdout(&output);
    assert!(told.starts_with(&format!("aws-flowlogs v{version} ")), "{told}{}", stderr(&output));
}

#[test]
fn what_cannot_be_done_is_named_at_the_end_and_nothing_is_tagged() {
    let copy = Copy::new();
    let fails = "#!/bin/sh\necho it does not work >&2\nexit 1\n";
    let version = raised(0);
    let output = copy
        .release(&["--skip-tests", "major"], &[("make", fails.to_owned()), ("buildah", fails.to_owned())]);
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(3), "{told}{}", stderr(&output));
    let (_, missing) = told.split_once(", NOT tagged, because this is missing:\n").unwrap();
    for part in ["make test was skipped", "image for amd64", "image for arm64", "SBOM"] {
        assert!(missing.contains(&format!("   - {part}")), "{part}: {missing}");
    }
    assert!(missing.contains(&format!("git tag --annotate v{version} ")), "{missing}");
    assert_eq!(copy.git(&["tag", "--list"]), "");
    assert_eq!(copy.git(&["log", "-1", "--format=%s"]).trim(), format!("Version {version}"));
    assert_eq!(copy.git(&["status", "--porcelain"]), "");

    // Once it can be done, the same version is completed, by the commit that is there.
    let commits = copy.git(&["log", "--format=%H"]);
    let output = copy.release(&["current"], &copy.working_tools());
    let told = stdout(&output);
    if told.contains("that needs root") || stderr(&output).contains("that needs root") {
        assert_eq!(output.status.code(), Some(3), "{told}");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{told}{}", stderr(&output));
    assert_eq!(copy.git(&["log", "--format=%H"]), commits);
    assert_eq!(copy.git(&["tag", "--list"]).trim(), format!("v{version}"));
    let sums = copy.text("dist/SHA256SUMS");
    for file in ["linux-amd64", "linux-arm64"].map(|file| format!("aws-flowlogs-{version}-{file}")) {
        assert!(sums.contains(&file), "{file}: {sums}");
    }
    let sbom = copy.text(&format!("dist/aws-flowlogs-{version}.cdx.json"));
    assert_eq!(sbom.trim(), r#"{"at":"file:///project"}"#);
}

#[test]
fn an_image_that_is_not_as_it_must_be_is_no_release() {
    for (name, script, complaint) in [
        ("readelf", "#!/bin/sh\necho '[ 1] .symtab [ 2] .dep-v0 '\n", "has its symbols"),
        ("readelf", "#!/bin/sh\necho '[ 1] .text '\n", "does not name its dependencies"),
        ("readelf", "#!/bin/sh\nexit 1\n", "readelf cannot read the binary"),
    ] {
        let copy = Copy::new();
        let mut tools = copy.working_tools();
        tools.push((name, script.to_owned()));
        let output = copy.release(&["minor"], &tools);
        assert_eq!(output.status.code(), Some(3), "{complaint}");
        let said = stderr(&output);
        assert!(said.contains(complaint) || said.contains("that needs root"), "{complaint}: {said}");
        assert_eq!(copy.git(&["tag", "--list"]), "");
    }
}

#[test]
fn a_test_that_fails_ends_the_release_before_anything_is_committed() {
    let copy = Copy::new();
    let before = copy.git(&["log", "--format=%H"]);
    let output = copy.release(&["minor"], &[("make", "#!/bin/sh\nexit 2\n".to_owned())]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stderr(&output).contains("make test failed"), "{}", stderr(&output));
    assert_eq!(copy.git(&["log", "--format=%H"]), before);
}

/// What a test makes of a copy before the script is run on it.
type Change = fn(&Copy);

#[test]
fn what_is_no_release_is_refused() {
    let nothing: Change = |_| {};
    let cases: [(&[&str], &str, Change); 9] = [
        (&[], "which version?", nothing),
        (&["--quick", "minor"], "--quick is no option", nothing),
        (&["1.2"], "is no version", nothing),
        (&["01.2.3"], "is no version", nothing),
        (&["0.0.1"], "is older than", nothing),
        (&["9.0.0", "9.0.1"], "two versions", nothing),
        (&["minor"], "not committed", |copy| copy.write("README.md", "changed")),
        (&["9.0.0"], "there is a tag v9.0.0", |copy| {
            copy.git(&["tag", "v9.0.0"]);
        }),
        (&["minor"], "says nothing under", |copy| {
            copy.write(
                "CHANGELOG.md",
                "# Changelog\n\n## Unreleased\n\n## 2026-01-01 - 0.0.1\n\n- Something\n",
            );
            copy.commit();
        }),
    ];
    for (arguments, message, change) in cases {
        let copy = Copy::new();
        change(&copy);
        let before = copy.state();
        let output = copy.release(arguments, &[]);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
        assert!(copy.state() == before, "{arguments:?}");
    }
}
