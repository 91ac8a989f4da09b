//! The rules that a `Dockerfile` should keep, as a reading of it: what is pinned, who runs, what is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test ends at what it did not expect"
)]

use std::collections::BTreeMap;
use std::path::Path;

/// An instruction: its name, e.g. `RUN`, and the rest with its lines joined.
type Instruction = (String, String);

fn dockerfile() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap()
}

fn instructions(text: &str) -> Vec<Instruction> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>();
    let joined = lines.join("\n").replace("\\\n", " ");
    let found = joined.lines().filter_map(|line| line.trim().split_once(' '));
    found.map(|(name, rest)| (name.to_uppercase(), rest.trim().to_owned())).collect()
}

/// The stages: what each is built from, its name, and its instructions.
fn stages(all: &[Instruction]) -> Vec<(String, Option<String>, Vec<Instruction>)> {
    let mut stages: Vec<(String, Option<String>, Vec<Instruction>)> = Vec::new();
    for (name, rest) in all {
        if name == "FROM" {
            let words: Vec<&str> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
            let alias = words.iter().position(|word| word.eq_ignore_ascii_case("as"));
            stages.push((words[0].to_owned(), alias.map(|place| words[place + 1].to_owned()), Vec::new()));
        } else if let Some(stage) = stages.last_mut() {
            stage.2.push((name.clone(), rest.clone()));
        }
    }
    stages
}

/// The commands of a `RUN`, e.g. `apt-get update`.
fn commands(run: &str) -> impl Iterator<Item = &str> {
    run.split("&&")
        .flat_map(|part| part.split(';'))
        .map(|part| part.trim().trim_start_matches("then "))
        .map(str::trim)
}

/// What breaks a rule, a sentence each.
fn faults(text: &str) -> Vec<String> {
    let all = instructions(text);
    let stages = stages(&all);
    let mut faults = base_faults(&all, &stages);
    for (_, _, instructions) in &stages {
        faults.extend(argument_faults(instructions));
        for (name, rest) in instructions {
            match name.as_str() {
                "RUN" => faults.extend(run_faults(rest)),
                "ADD" => faults.push(format!("ADD unpacks and downloads, COPY does not: {rest}")),
                "MAINTAINER" => faults.push("MAINTAINER is a label today".to_owned()),
                "WORKDIR" if !rest.starts_with('/') => {
                    faults.push(format!("WORKDIR is not absolute: {rest}"));
                }
                "ENTRYPOINT" | "CMD" if !rest.starts_with('[') => {
                    faults.push(format!("{name} needs a shell, which takes the signals: {rest}"));
                }
                "HEALTHCHECK" if !rest.contains("CMD [") => {
                    faults.push(format!("HEALTHCHECK needs a shell: {rest}"));
                }
                "ENV" | "ARG"
                    if ["TOKEN", "SECRET", "PASSWORD", "API_KEY"].iter().any(|word| rest.contains(word)) =>
                {
                    faults.push(format!("a secret stays in the image: {rest}"));
                }
                _ => {}
            }
        }
    }
    faults.extend(last_faults(stages.last().map_or(&[], |stage| &stage.2)));
    faults
}

fn base_faults(all: &[Instruction], stages: &[(String, Option<String>, Vec<Instruction>)]) -> Vec<String> {
    let mut faults = Vec::new();
    let defaults: BTreeMap<&str, &str> = all
        .iter()
        .take_while(|(name, _)| name == "ARG")
        .filter_map(|(_, rest)| rest.split_once('='))
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for (base, alias, instructions) in stages {
        let variable = base.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let image = variable.map_or(base.as_str(), |name| defaults.get(name).copied().unwrap_or(""));
        let (tagged, digest) = image.split_once("@sha256:").unwrap_or((image, ""));
        let tag = tagged.rsplit('/').next().and_then(|name| name.split_once(':')).map_or("", |(_, tag)| tag);
        if !names.contains(&image) && image != "scratch" {
            if digest.len() != 64 || !digest.chars().all(|digit| digit.is_ascii_hexdigit()) {
                faults.push(format!("{base} is not pinned by a digest: {image}"));
            }
            if tag.is_empty() || tag == "latest" {
                faults.push(format!("{base} has no tag that says what it is: {image}"));
            }
        }
        for (_, rest) in instructions.iter().filter(|(name, _)| name == "COPY") {
            let from = rest.split_whitespace().find_map(|word| word.strip_prefix("--from="));
            if from.is_some_and(|from| !names.contains(&from)) {
                faults.push(format!("COPY from what is no earlier stage: {rest}"));
            }
        }
        let place = |wanted: &str| instructions.iter().position(|(name, _)| name == wanted);
        let relative = instructions.iter().position(|(name, rest)| {
            name == "COPY" && !rest.split_whitespace().last().is_some_and(|to| to.starts_with('/'))
        });
        if relative.is_some_and(|copy| place("WORKDIR").is_none_or(|folder| folder > copy))
            && !names.contains(&image)
        {
            faults.push(format!("COPY to a relative path without WORKDIR in the stage from {base}"));
        }
        if let Some(alias) = alias {
            if names.contains(&alias.as_str()) {
                faults.push(format!("two stages are named {alias}"));
            }
            names.push(alias);
        }
    }
    faults
}

/// Arguments are those of a stage: not every builder hands them on to the stages that are built on it.
fn argument_faults(instructions: &[Instruction]) -> Vec<String> {
    let mut known = Vec::new();
    let mut faults = Vec::new();
    for (name, rest) in instructions {
        if name == "ARG" {
            known.push(rest.split('=').next().unwrap());
        }
        for used in rest.split('$').skip(1) {
            let used = used.trim_start_matches('{');
            let end = used.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            let used = &used[..end.unwrap_or(used.len())];
            if !known.contains(&used) {
                faults.push(format!("{used} is no argument of the stage: {rest}"));
            }
        }
    }
    faults
}

fn run_faults(run: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |rule: &str, command: &str| faults.push(format!("{rule}: {command}"));
    if run.contains("apt-get install") && !run.contains("rm -rf /var/lib/apt/lists/*") {
        fault("the lists of apt stay in the layer", run);
    }
    if run.replace("||", "").contains('|') {
        fault("a pipe hides what fails before it", run);
    }
    for command in commands(run) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words.as_slice() {
            ["apt", ..] => fault("apt is for people, apt-get for scripts", command),
            ["apt-get", "install", options @ ..] => {
                if !options.contains(&"-y") || !options.contains(&"--no-install-recommends") {
                    fault("without -y --no-install-recommends", command);
                }
                if options.iter().any(|word| !word.starts_with('-') && !word.contains('=')) {
                    fault("a package without its version", command);
                }
            }
            ["apt-get", "upgrade" | "dist-upgrade", ..] => fault("what it installs is not pinned", command),
            ["cargo", "install", options @ ..] => {
                if options.iter().any(|word| !word.starts_with('-') && !word.contains('@')) {
                    fault("a tool without its version", command);
                }
                if !options.contains(&"--locked") {
                    fault("without --locked", command);
                }
            }
            ["cargo", ..] if !words.contains(&"--locked") => fault("without --locked", command),
            ["sudo", ..] => fault("sudo does not belong into an image", command),
            ["cd", ..] => fault("WORKDIR says it for all that follow", command),
            ["curl" | "wget", ..] => fault("what it fetches is not checked", command),
            _ => {}
        }
    }
    faults
}

/// What the image that is kept must say.
fn last_faults(last: &[Instruction]) -> Vec<String> {
    let mut faults = Vec::new();
    let of = |wanted: &str| {
        last.iter().filter(|(name, _)| name == wanted).map(|(_, rest)| rest.as_str()).collect::<Vec<_>>()
    };
    for name in ["USER", "ENTRYPOINT", "HEALTHCHECK", "STOPSIGNAL", "WORKDIR"] {
        if of(name).len() != 1 {
            faults.push(format!("the image has {name} {} times, not once", of(name).len()));
        }
    }
    if let Some(user) = of("USER").last() {
        let parts: Vec<Option<u32>> = user.split(':').map(|part| part.parse().ok()).collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_none_or(|id| id == 0)) {
            faults.push(format!("USER is not the numbers of a user and a group without rights: {user}"));
        }
    }
    if !of("RUN").is_empty() {
        faults.push("the image that is kept runs something: it would need a shell".to_owned());
    }
    if let Some(copy) = of("COPY").into_iter().find(|copy| copy.split_whitespace().any(|word| word == ".")) {
        faults.push(format!("the whole context is copied into the image that is kept: {copy}"));
    }
    for name in ["title", "description", "version", "revision", "licenses"] {
        if !of("LABEL").iter().any(|label| label.contains(&format!("org.opencontainers.image.{name}="))) {
            faults.push(format!("no label org.opencontainers.image.{name}"));
        }
    }
    faults
}

#[test]
fn the_dockerfile_keeps_the_rules() {
    assert_eq!(faults(&dockerfile()), Vec::<String>::new());
}

#[test]
fn each_rule_is_broken_by_a_dockerfile_that_breaks_it() {
    let good = dockerfile();
    // What is changed in the real file, and the words of the fault that it must make.
    let broken = [
        ("cc-debian12:nonroot@sha256:", "cc-debian12:latest@sha256:", "has no tag"),
        ("debian12:nonroot@sha256:", "debian12:nonroot@sha256:0", "is not pinned by a digest"),
        ("--from=build ", "--from=builder ", "no earlier stage"),
        (" AS build", " AS toolchain", "two stages are named toolchain"),
        ("USER 1000:1000", "USER nonroot", "USER is not the numbers"),
        ("USER 1000:1000", "USER 0:0", "USER is not the numbers"),
        ("USER 1000:1000\n", "", "has USER 0 times"),
        ("WORKDIR /app", "WORKDIR app", "WORKDIR is not absolute"),
        ("WORKDIR /app\n", "", "relative path without WORKDIR"),
        ("COPY --chmod=0644 manifest.json", "ADD manifest.json", "COPY does not"),
        ("COPY --chmod=0644 manifest.json", "COPY . manifest.json", "the whole context"),
        ("ENTRYPOINT [\"/usr/local/bin/aws-flowlogs\"]", "ENTRYPOINT aws-flowlogs", "takes the signals"),
        ("CMD [\"/usr/local/bin/aws-flowlogs\", \"health\"]", "CMD aws-flowlogs health", "needs a shell"),
        ("STOPSIGNAL SIGTERM\n", "", "has STOPSIGNAL 0 times"),
        ("STOPSIGNAL SIGTERM\n", "STOPSIGNAL SIGTERM\nRUN true\n", "runs something"),
        ("ARG REVISION\n", "ARG REVISION\nARG REGISTRY_TOKEN\n", "a secret stays"),
        ("org.opencontainers.image.revision", "revision", "no label org.opencontainers.image.revision"),
        ("ARG REVISION\n", "", "REVISION is no argument of the stage"),
        ("AS build\nARG TARGETARCH\n", "AS build\nARG A\nWORKDIR /${B}\n", "B is no argument of the stage"),
        ("rm -rf /var/lib/apt/lists/*", "true", "the lists of apt"),
        ("install -y --no-install-recommends", "install -y", "--no-install-recommends"),
        (
            "gcc-aarch64-linux-gnu=${CROSS_GCC_VERSION}",
            "gcc-aarch64-linux-gnu",
            "a package without its version",
        ),
        ("cargo-auditable@${CARGO_AUDITABLE_VERSION}", "cargo-auditable", "a tool without its version"),
        ("cargo install --locked", "cargo install", "without --locked"),
        ("RUN sh scripts/skeleton /skeleton", "RUN cd / && cargo build", "WORKDIR says it"),
        ("RUN sh scripts/skeleton /skeleton", "RUN cd / && cargo build", "without --locked: cargo build"),
        ("RUN sh scripts/skeleton /skeleton", "RUN curl https://sh.rustup.rs | sh", "a pipe hides"),
        ("RUN sh scripts/skeleton /skeleton", "RUN curl https://sh.rustup.rs | sh", "is not checked"),
        ("RUN sh scripts/skeleton /skeleton", "RUN sudo apt upgrade", "sudo does not belong"),
        ("RUN sh scripts/skeleton /skeleton", "RUN apt install gcc", "apt is for people"),
        ("RUN sh scripts/skeleton /skeleton", "RUN apt-get upgrade", "is not pinned"),
    ];
    for (part, instead, fault) in broken {
        assert!(good.contains(part), "{part}");
        let faults = faults(&good.replace(part, instead));
        assert!(
            faults.iter().any(|found| found.contains(fault)),
            "{instead}: {fault:?} is not in {faults:?}"
        );
    }
}

/// The two that compile are the same compiler: that of the image, and the oldest that the project is for.
#[test]
fn the_image_compiles_with_the_version_that_the_project_asks_for() {
    let asked = concat!(env!("CARGO_PKG_RUST_VERSION"), ".");
    assert!(dockerfile().contains(&format!("ARG RUST_IMAGE=docker.io/library/rust:{asked}")), "{asked}");
}
