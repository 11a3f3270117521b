//! podman and podman-compose, with storage and settings of their own under `target/tools/compose`: what is made there is seen by no
//! other, and no image of anybody else's is replaced.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::{root, target};
use crate::say;
use crate::tools::{self, ContainerTools};

/// runc and plain control groups: there need be no systemd.
const CONTAINERS: &str = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
                          [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n";

/// The name of the project, as podman-compose calls it.
pub(super) const PROJECT: &str = "fanfare-check";

/// The two programs.
pub(super) struct Podman {
    pub(super) folder: PathBuf,
    pub(super) tools: ContainerTools,
}

impl Podman {
    pub(super) fn ready() -> Result<Self, String> {
        let tools = tools::containers()?;
        let folder = target().join("tools/compose");
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"/run/fanfare-compose\"\n",
            folder.join("storage").display()
        );
        for (name, text) in [("containers.conf", CONTAINERS), ("storage.conf", &storage)] {
            fs::write(folder.join(name), text).map_err(|error| format!("cannot write {name}: {error}"))?;
        }
        Ok(Self { folder, tools })
    }

    /// A command that is ended after so many seconds.
    pub(super) fn bounded(&self, seconds: u32, program: &str) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", &seconds.to_string(), program]).current_dir(root());
        command.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        command.env("CONTAINERS_STORAGE_CONF", self.folder.join("storage.conf"));
        command
    }

    /// What podman prints.
    pub(super) fn podman(&self, arguments: &[&str]) -> Result<String, String> {
        capture(self.bounded(300, "podman").args(arguments))
    }

    /// What podman-compose prints, told of these variables.
    pub(super) fn compose(
        &self,
        files: &[&str],
        variables: &[(String, String)],
        arguments: &[&str],
    ) -> Result<String, String> {
        let mut command = self.bounded(300, &self.tools.python.to_string_lossy());
        command.args(["-m", "podman_compose", "-p", PROJECT]);
        command.args(files.iter().flat_map(|file| ["-f", file])).args(arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        capture(&mut command)
    }
}

/// What a command prints on the standard output; what else it says is part of the error.
pub(super) fn capture(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("could not start {command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(said);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    // There is no systemd whose timers would make podman's health checks; it says so each time.
    let error: Vec<&str> = error.lines().filter(|line| !line.contains("systemd connection")).collect();
    Err(format!("{command:?} failed: {}\n{said}\n{}", output.status, error.join("\n")))
}

/// How long services may take to become healthy, and an event to arrive: several rounds of retries.
const PATIENCE: Duration = Duration::from_secs(180);

/// Tries until it succeeds; what it last failed with when that takes too long.
#[allow(clippy::disallowed_methods, reason = "what is waited for is in other processes")]
pub(super) fn until<T>(mut act: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match act() {
            Err(_) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(200)),
            done => return done,
        }
    }
}

/// Says what is done, and how long it took.
#[allow(clippy::disallowed_methods, reason = "a person is told how long it took")]
pub(super) fn timed<T>(what: &str, act: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let begun = Instant::now();
    let done = act().map_err(|error| format!("{what}: {error}"))?;
    say(&format!("{what}: {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(done)
}
