//! The product under measurement: its process, what the system says of it, and the bench's own clock.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Failure;
use crate::options::Engine;

/// The key that the bench publishes with.
pub(crate) const API_KEY: &str = "bench-key-0123456789";
/// The operator's key.
const ADMIN_KEY: &str = "bench-admin-key-0123456789";

/// What each project may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quota {
    /// Whatever the machine takes.
    Open,
    /// What Fanfare's defaults say.
    Default,
}

/// Microseconds since the first call, at least 1.
#[allow(clippy::disallowed_methods, reason = "a bench measures with the system's clock")]
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(|| Instant::now().checked_sub(Duration::from_micros(1)).unwrap_or_else(Instant::now));
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The processes under measurement; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Fanfare {
    members: Vec<Member>,
    /// Where events go.
    pub(crate) api: SocketAddr,
    manage: SocketAddr,
    /// Where NATS listens, on the distributed engine.
    pub(crate) nats: Option<SocketAddr>,
    /// Where ingest tells its metrics.
    ingest_admin: Option<SocketAddr>,
    quota: Quota,
    client: reqwest::Client,
    dir: TempDir,
}

/// One of our own child processes.
#[derive(Debug)]
struct Member(Child, &'static str);

impl Drop for Member {
    fn drop(&mut self) {
        // It is our own child, and its data is thrown away.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Fanfare {
    /// Starts what the engine needs on a fresh directory and waits until all of it is ready.
    pub(crate) async fn start(engine: Engine, quota: Quota) -> Result<Self, Failure> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let dir = tempfile::tempdir()?;
        let mut started = Self {
            members: Vec::new(),
            api: free_address()?,
            manage: free_address()?,
            nats: None,
            ingest_admin: None,
            quota,
            client,
            dir,
        };
        match engine {
            Engine::Embedded => {
                started.manage = started.api;
                started.service("serve", started.api, &[]).await?;
            }
            Engine::Distributed => {
                let (nats, redis) = started.servers()?;
                started.nats = Some(nats);
                let environment = [
                    ("FANFARE_DISTRIBUTED_NATS_URLS", format!("nats://{nats}")),
                    ("FANFARE_DISTRIBUTED_REDIS_URL", format!("redis://{redis}")),
                    ("FANFARE_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
                ];
                started.service("console", started.manage, &environment).await?;
                started.service("ingest", started.api, &environment).await?;
                // These have no API to listen for.
                let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
                started.service("fanout", nowhere, &environment).await?;
                started.service("delivery", nowhere, &environment).await?;
            }
        }
        Ok(started)
    }

    /// Starts NATS and Redis; the services wait for them by themselves.
    fn servers(&mut self) -> Result<(SocketAddr, SocketAddr), Failure> {
        let (nats, redis) = (free_address()?, free_address()?);
        let dir = self.dir.path();
        let program = |variable: &str, name: &str| std::env::var_os(variable).unwrap_or_else(|| name.into());
        let mut server = Command::new(program("FANFARE_NATS_SERVER", "nats-server"));
        server.args(["-js", "-a", "127.0.0.1", "-p", &nats.port().to_string(), "-sd"]).arg(dir.join("nats"));
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        self.members.push(Member(server, "nats-server"));
        let mut server = Command::new(program("FANFARE_REDIS_SERVER", "redis-server"));
        server.args(["--bind", "127.0.0.1", "--port", &redis.port().to_string(), "--save", "", "--appendonly", "yes"]);
        server.arg("--dir").arg(dir);
        let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        self.members.push(Member(server, "redis-server"));
        Ok((nats, redis))
    }

    /// Starts one process of Fanfare and waits until it is ready.
    async fn service(
        &mut self,
        role: &'static str,
        listen: SocketAddr,
        environment: &[(&str, String)],
    ) -> Result<(), Failure> {
        let binary =
            std::env::var_os("FANFARE_BIN").ok_or("FANFARE_BIN does not name the binary; use cargo xtask bench")?;
        let admin = free_address()?;
        let mut command = Command::new(binary);
        if self.quota == Quota::Open {
            // The closed loop is to be held back by the machine, not by the quota.
            command.env("FANFARE_INGEST_EVENTS_PER_SECOND", "1000000").env("FANFARE_INGEST_BURST", "1000000");
        }
        let child = command
            .arg(role)
            // Only options may begin so; an unknown one is refused.
            .env_remove("FANFARE_BIN")
            .env_remove("FANFARE_NATS_SERVER")
            .env_remove("FANFARE_REDIS_SERVER")
            .env("FANFARE_LISTEN", listen.to_string())
            .env("FANFARE_ADMIN_LISTEN", admin.to_string())
            .env("FANFARE_DATA_DIR", self.dir.path().join("data"))
            .env("FANFARE_API_KEY", API_KEY)
            .env("FANFARE_EGRESS_ALLOW", "127.0.0.0/8")
            .env("FANFARE_ADMIN_KEY", ADMIN_KEY)
            .env("FANFARE_LOG", "warn")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .spawn()?;
        self.members.push(Member(child, role));
        if matches!(role, "ingest" | "serve") {
            self.ingest_admin = Some(admin);
        }
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1500 {
            ticks.tick().await;
            for Member(child, _) in &mut self.members {
                if let Some(status) = child.try_wait()? {
                    return Err(format!("a process ended with {status} while {role} was to become ready").into());
                }
            }
            let ready = self.client.get(format!("http://{admin}/readyz")).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
        }
        Err(format!("{role} was not ready after 30 s").into())
    }

    /// Creates a webhook for every event type.
    pub(crate) async fn create_webhook(&self, url: &str) -> Result<(), Failure> {
        self.create(API_KEY, "/v1/webhooks", &json!({"url": url, "events": ["**"]})).await.map(drop)
    }

    /// Makes a project of its own quotas, with a webhook for every event type.
    pub(crate) async fn create_project(&self, id: &str, events_per_second: u32, url: &str) -> Result<(), Failure> {
        let quotas = json!({"events_per_second": events_per_second, "burst": events_per_second.max(500)});
        let project = json!({"id": id, "egress_allow": ["127.0.0.0/8"], "quotas": quotas});
        self.create(ADMIN_KEY, "/v1/projects", &project).await?;
        let key = json!({"name": "bench", "scopes": ["publish", "manage"]});
        let key = self.create(ADMIN_KEY, &format!("/v1/api-keys?project={id}"), &key).await?;
        let key = key["key"].as_str().ok_or("the answer has no key")?;
        self.create(key, "/v1/webhooks", &json!({"url": url, "events": ["**"]})).await.map(drop)
    }

    async fn create(&self, key: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.client.post(format!("http://{}{path}", self.manage));
        let request = request.header("x-api-key", key).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if status.as_u16() == 201 {
            return Ok(serde_json::from_str(&text)?);
        }
        Err(format!("{path} was answered {status}: {text}").into())
    }

    /// One series of ingest's metrics.
    pub(crate) async fn ingest_metric(&self, series: &str) -> Result<f64, Failure> {
        let admin = self.ingest_admin.ok_or("there is no ingest")?;
        let metrics = self.client.get(format!("http://{admin}/metrics")).send().await?.text().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.ok_or_else(|| format!("ingest has no series {series}"))?.parse()?)
    }

    /// Processor time that all processes together have used so far.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        self.members.iter().map(|Member(child, _)| processor_time(child.id())).sum()
    }

    /// Peak resident memory of all processes together, in bytes: the sum of each one's peak.
    pub(crate) fn peak_memory(&self) -> Result<u64, Failure> {
        self.members.iter().map(|Member(child, _)| peak_memory(child.id())).sum()
    }

    /// Peak resident memory of one of them, in bytes; `None` if it is not there.
    pub(crate) fn peak_memory_of(&self, name: &str) -> Result<Option<u64>, Failure> {
        let found = self.members.iter().find(|Member(_, found)| *found == name);
        found.map(|Member(child, _)| peak_memory(child.id())).transpose()
    }

    /// The size of all that is kept, in bytes.
    pub(crate) fn data_bytes(&self) -> u64 {
        size_of(self.dir.path())
    }
}

fn processor_time(process: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The program's name, in parentheses, may hold anything; the numbers come after it (proc(5), fields 14 and 15).
    let after_name = stat.rsplit_once(')').ok_or("no name in /proc/<pid>/stat")?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or("no times in /proc/<pid>/stat");
    // Linux counts in hundredths of a second wherever Fanfare runs.
    Ok(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

fn peak_memory(process: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/<pid>/status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

fn size_of(directory: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
