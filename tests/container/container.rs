//! A container of the image, started by runc as an engine starts it: nothing may be written but what is mounted, no
//! rights beyond those of the user that the image names.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::module::{Module, Process};
use tempfile::TempDir;

use crate::image::Image;

/// How a container is started. Removed, with what runs in it, when dropped.
pub struct Container {
    folder: TempDir,
    id: String,
    health: Vec<String>,
}

impl Container {
    /// A container that runs `command` of the image, with these values and variables, on `storage`, which is given to
    /// the user of the image.
    pub fn new(
        image: &Image,
        command: &str,
        values: &[(&str, String)],
        variables: &[(&str, String)],
        storage: &Path,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (config, text) = (&image.config, |value: &Value| value.as_str().unwrap().to_owned());
        let texts = |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        let user = text(&config["User"]);
        let (user, group) = user.split_once(':').unwrap();
        let (user, group): (u32, u32) = (user.parse().unwrap(), group.parse().unwrap());
        chown(storage, Some(user), Some(group)).unwrap();

        let symphony = folder.path().join("symphony");
        std::fs::create_dir(&symphony).unwrap();
        for (name, value) in values {
            std::fs::write(symphony.join(name), value).unwrap();
        }
        let mut arguments = texts(&config["Entrypoint"]);
        arguments.push(command.to_owned());
        let mut environment = texts(&config["Env"]);
        environment.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
        let bound = |destination: &str, source: &Path, mode: &str| json!({"destination": destination, "type": "bind", "source": source, "options": ["bind", "nosuid", "nodev", mode]});
        let described = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": arguments,
                "env": environment,
                "cwd": config["WorkingDir"],
                "capabilities": {},
                "noNewPrivileges": true,
            },
            "root": {"path": image.files, "readonly": true},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "noexec", "mode=1777"]},
                bound("/symphony", &symphony, "ro"),
                bound("/symphony_data", storage, "rw"),
            ],
            // The network is that of the machine, where the servers of the test are.
            "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}]},
        });
        std::fs::write(folder.path().join("config.json"), described.to_string()).unwrap();
        let id = format!("aws-flowlogs-{}", folder.path().file_name().unwrap().to_str().unwrap());
        let health = texts(&config["Healthcheck"]["Test"]);
        let (kind, health) = health.split_first().unwrap();
        assert_eq!(kind, "CMD", "without a shell");
        Self { folder, id, health: health.to_vec() }
    }

    /// Starts it. A signal to the process goes on to the first process in the container.
    pub fn start(&self) -> Process {
        let script = self.folder.path().join("start.sh");
        let path = std::env::var("PATH").unwrap();
        let (folder, id) = (self.folder.path().display(), &self.id);
        let text = format!("PATH={path} exec runc --root {folder}/runc \"$1\" --bundle {folder} {id}\n");
        std::fs::write(&script, text).unwrap();
        Module::new("/bin/sh", "run").script(script).start()
    }

    /// Runs the image's own check of health in the container.
    pub fn health(&self) -> Output {
        self.runc(&["exec", &self.id], &self.health)
    }

    /// The real user of the first process in the container, and the capabilities that it has, e.g. `1000` and `0`.
    pub fn rights(&self) -> (String, u64) {
        let state = self.runc(&["state", &self.id], &[]);
        let state: Value = serde_json::from_slice(&state.stdout).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", state["pid"])).unwrap();
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let user = line("Uid:").split_whitespace().next().unwrap().to_owned();
        let capabilities = ["CapEff:", "CapPrm:", "CapBnd:"]
            .map(|kind| u64::from_str_radix(line(kind).trim(), 16).unwrap())
            .into_iter()
            .fold(0, |all, one| all | one);
        (user, capabilities)
    }

    fn runc(&self, arguments: &[&str], more: &[String]) -> Output {
        let root = self.folder.path().join("runc");
        Command::new("runc").arg("--root").arg(root).args(arguments).args(more).output().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.runc(&["delete", "--force", &self.id], &[]);
    }
}
