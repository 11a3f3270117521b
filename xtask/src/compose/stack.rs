//! The services, once they run.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use super::podman::{PROJECT, Podman, capture, until};
use crate::run::root;
use crate::say;

/// The published test vector of the README.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// One installation. It is taken down, with its volumes, when this is dropped.
pub(super) struct Stack<'a> {
    podman: &'a Podman,
    files: &'static [&'static str],
    /// Ports of this machine that are free, and the networks that the receiver may be in.
    variables: Vec<(String, String)>,
    console: u16,
    ingest: u16,
    /// The API key, once it has been asked for.
    key: OnceCell<String>,
}

/// The receiver of the README, on all addresses: containers reach this machine by another one than loopback.
pub(super) struct Receiver {
    child: Child,
    port: u16,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.down(true) {
            say(&error);
        }
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("no port is free: {error}"))
}

impl<'a> Stack<'a> {
    pub(super) fn new(podman: &'a Podman, files: &'static [&'static str]) -> Result<Self, String> {
        let (console, ingest) = (free_port()?, free_port()?);
        let mut variables = vec![
            ("FANFARE_EGRESS_ALLOW".to_owned(), "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16".to_owned()),
            ("CONSOLE_PORT".to_owned(), console.to_string()),
            ("INGEST_PORT".to_owned(), ingest.to_string()),
        ];
        for name in ["NATS_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT"] {
            variables.push((name.to_owned(), free_port()?.to_string()));
        }
        Ok(Self { podman, files, variables, console, ingest, key: OnceCell::new() })
    }

    /// Starts what is not running, and waits until all of it is healthy.
    pub(super) fn up(&self, options: &[&str]) -> Result<(), String> {
        self.podman.compose(self.files, &self.variables, &[&["up", "-d"], options].concat())?;
        self.healthy()
    }

    /// Ends it; its volumes stay unless they are to go too.
    pub(super) fn down(&self, volumes: bool) -> Result<(), String> {
        if volumes {
            // With whatever else uses them, which podman-compose may not know of. Where there is none, podman says so.
            let init = format!("{PROJECT}_init_1");
            let _ = self.podman.podman(&["rm", "--force", "--depend", "--time", "2", &init]);
        }
        let arguments: &[&str] = if volumes { &["down", "-v"] } else { &["down"] };
        self.podman.compose(self.files, &self.variables, arguments)?;
        let filter = format!("label=io.podman.compose.project={PROJECT}");
        let left = self.podman.podman(&["ps", "--all", "--quiet", "--filter", &filter])?;
        let kept = self.podman.podman(&["volume", "ls", "--quiet", "--filter", &filter])?;
        if !left.is_empty() || (volumes && !kept.is_empty()) {
            return Err(format!("containers or volumes are left: {left} {kept}"));
        }
        Ok(())
    }

    /// Ends one container that was added by scaling: podman-compose does not know of it when it takes the others down.
    pub(super) fn end(&self, container: &str) -> Result<(), String> {
        let name = format!("{PROJECT}_{container}");
        self.podman.podman(&["rm", "--force", "--time", "30", &name]).map(|_| ())
    }

    /// The names of the running containers.
    pub(super) fn containers(&self) -> Result<Vec<String>, String> {
        let filter = format!("label=io.podman.compose.project={PROJECT}");
        let names = self.podman.podman(&["ps", "--filter", &filter, "--format", "{{.Names}}"])?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// There is no systemd whose timers would ask: each health check is made here, in turn.
    fn healthy(&self) -> Result<(), String> {
        for name in self.containers()? {
            until(|| self.podman.podman(&["healthcheck", "run", &name])).map_err(|error| {
                let log = self.podman.podman(&["logs", "--tail", "20", &name]).unwrap_or_else(|error| error);
                format!("{name} is not healthy: {error}\n{log}")
            })?;
        }
        Ok(())
    }

    /// What the kernel says of each process: an unprivileged user, no capability, no way to get any; and what podman says of the
    /// root and the limits.
    pub(super) fn are_confined(&self) -> Result<(), String> {
        for name in self.containers()? {
            let limits = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}";
            let says = self.podman.podman(&["inspect", "--format", limits, &name])?;
            let status = self.status(&name)?;
            let field = |field: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
                line.split_whitespace().next().unwrap_or_default().to_owned()
            };
            let nothing = "0000000000000000";
            let capabilities = ["CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"].map(field);
            let confined = capabilities.iter().all(|set| set == nothing) && field("NoNewPrivs:") == "1";
            let bounded = says.starts_with("true ") && !says.contains(" 0");
            if !confined || !bounded || field("Uid:") == "0" {
                return Err(format!("{name} is not confined: {says}, {capabilities:?}, user {}", field("Uid:")));
            }
        }
        say(
            "every process: not root, no capability, no new privileges, a read-only root, bounded in memory and processors",
        );
        Ok(())
    }

    fn process(&self, container: &str) -> Result<String, String> {
        self.podman.podman(&["inspect", "--format", "{{.State.Pid}}", container])
    }

    fn status(&self, container: &str) -> Result<String, String> {
        let path = format!("/proc/{}/status", self.process(container)?);
        fs::read_to_string(&path).map_err(|error| format!("cannot read {path} of {container}: {error}"))
    }

    pub(super) fn key(&self) -> Result<String, String> {
        let arguments = ["run", "--rm", "-T", "init", "--print", "keys/api-key"];
        let printed = self.podman.compose(self.files, &self.variables, &arguments)?;
        let key = printed.lines().map(str::trim).rfind(|line| line.starts_with("ffk_"));
        key.map(str::to_owned).ok_or_else(|| format!("init prints no key: {printed}"))
    }

    /// Starts the receiver of the README, which verifies what it gets and prints it.
    pub(super) fn receiver(&self) -> Result<Receiver, String> {
        let port = free_port()?;
        let failed = |error: std::io::Error| format!("cannot start the receiver: {error}");
        let log = File::create(self.podman.folder.join("receiver.log")).map_err(failed)?;
        let mut node = Command::new("node");
        node.arg("docs/receivers/node.mjs").current_dir(root()).stdin(Stdio::null()).stdout(log);
        node.env("HOST", "0.0.0.0").env("PORT", port.to_string()).env("WEBHOOK_SECRET", SECRET);
        Ok(Receiver { child: node.spawn().map_err(failed)?, port })
    }

    fn ask(&self, port: u16, path: &str, body: Option<&str>) -> Result<String, String> {
        if self.key.get().is_none() {
            // Nobody else sets it.
            let _ = self.key.set(self.key()?);
        }
        let key = self.key.get().map_or("", String::as_str);
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail-with-body", "--max-time", "10", "-H", "Content-Type: application/json"]);
        curl.args(["-H", &format!("X-API-Key: {key}"), &format!("http://127.0.0.1:{port}{path}")]);
        if let Some(body) = body {
            curl.args(["-d", body]);
        }
        capture(&mut curl).map_err(|error| error.replace(key, "(key)"))
    }

    /// Makes the webhook of the README.
    pub(super) fn subscribe(&self, receiver: &Receiver) -> Result<(), String> {
        let url = format!("http://host.containers.internal:{}/", receiver.port);
        let webhook = format!(r#"{{"url": "{url}", "events": ["order.*"], "secret": "{SECRET}"}}"#);
        self.ask(self.console, "/v1/webhooks", Some(&webhook)).map(|_| ())
    }

    /// Publishes an event, and waits until it is delivered.
    pub(super) fn arrives(&self, id: &str) -> Result<(), String> {
        let event = format!(r#"{{"id": "{id}", "type": "order.paid", "data": {{"order": 1, "total": 12.5}}}}"#);
        until(|| self.ask(self.ingest, "/v1/events", Some(&event)))?;
        self.has(id)
    }

    /// Waits until the console shows that the event is delivered.
    pub(super) fn has(&self, id: &str) -> Result<(), String> {
        until(|| {
            let shown = self.ask(self.console, &format!("/v1/events/{id}"), None)?;
            let delivered = shown.contains(r#""status":"delivered""#);
            if delivered { Ok(()) } else { Err(format!("{id} is not delivered: {shown}")) }
        })
    }

    /// Ends the first container of a service as a crash would, starts it again, and sees an event arrive.
    pub(super) fn survives_a_kill(&self, service: &str) -> Result<(), String> {
        let name = format!("{PROJECT}_{service}_1");
        capture(Command::new("kill").args(["-KILL", &self.process(&name)?]))?;
        // Docker restarts it. podman does not, where a one-shot service it depends on has ended: it starts both again.
        until(|| self.podman.podman(&["start", &name]))?;
        self.arrives(&format!("after-{service}"))?;
        self.healthy()
    }
}
