//! The product under measurement: its processes, and the bench's own clock.

mod asking;

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Failure;
use crate::options::Engine;
use crate::usage;

pub(crate) use asking::OWN_EVENTS;

/// The key that the bench publishes with.
pub(crate) const API_KEY: &str = "bench-key-0123456789";
/// The operator's key.
const ADMIN_KEY: &str = "bench-admin-key-0123456789";

/// Microseconds since the first call, at least 1.
#[allow(clippy::disallowed_methods, reason = "a bench measures with the system's clock")]
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(|| Instant::now().checked_sub(Duration::from_micros(1)).unwrap_or_else(Instant::now));
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What is started, if it is not the usual.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) engine: Engine,
    /// How many processes deliver, on the distributed engine.
    pub(crate) workers: usize,
    /// Whether ingest has the quotas that Fanfare has by itself, or some that nobody reaches.
    pub(crate) quotas: bool,
    /// Options beyond the usual ones, as environment variables.
    pub(crate) options: &'static [(&'static str, &'static str)],
}

const UNLIMITED: &[(&str, &str)] = &[
    ("FANFARE_INGEST_EVENTS_PER_SECOND", "1000000"),
    ("FANFARE_INGEST_BURST", "1000000"),
    ("FANFARE_INGEST_MAX_PROJECT_BACKLOG", "0"),
];

impl Setup {
    /// One process of each service; quotas that nobody reaches, so that it is the machine that holds senders back.
    pub(crate) fn usual(engine: Engine) -> Self {
        Self { engine, workers: 1, quotas: false, options: &[] }
    }

    /// The same with the quotas that Fanfare has by itself.
    pub(crate) fn with_default_quotas(engine: Engine) -> Self {
        Self { quotas: true, ..Self::usual(engine) }
    }
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
    client: reqwest::Client,
    environment: Vec<(&'static str, String)>,
    dir: TempDir,
}

/// One of our own child processes.
#[derive(Debug)]
struct Member {
    child: Child,
    name: &'static str,
    /// Where it listens, and where its metrics are; unspecified for servers.
    listen: SocketAddr,
    admin: SocketAddr,
}

/// Where nothing listens.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

impl Drop for Member {
    fn drop(&mut self) {
        // It is our own child, and its data is thrown away.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until what others have written is on disk, an earlier scenario's hundreds of MiB among it: it would be written while this
/// one is measured.
async fn disk_at_rest() {
    const AT_MOST: Duration = Duration::from_secs(60);
    // A system that has no such command is measured as it is.
    let _ = tokio::time::timeout(AT_MOST, tokio::process::Command::new("sync").kill_on_drop(true).status()).await;
}

impl Fanfare {
    /// Starts the usual on a fresh directory and waits until all of it is ready.
    pub(crate) async fn start(engine: Engine) -> Result<Self, Failure> {
        Self::start_with(Setup::usual(engine)).await
    }

    /// Starts what the engine needs on a fresh directory and waits until all of it is ready.
    pub(crate) async fn start_with(setup: Setup) -> Result<Self, Failure> {
        disk_at_rest().await;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let (api, dir) = (free_address()?, tempfile::tempdir()?);
        let unlimited: &[_] = if setup.quotas { &[] } else { UNLIMITED };
        let options = unlimited.iter().chain(setup.options);
        let environment = options.map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut started = Self { members: Vec::new(), api, manage: api, nats: None, client, environment, dir };
        match setup.engine {
            Engine::Embedded => started.service("serve", api).await?,
            Engine::Distributed => {
                started.manage = free_address()?;
                started.servers()?;
                started.service("console", started.manage).await?;
                started.service("ingest", api).await?;
                // These have no API to listen for.
                started.service("fanout", NOWHERE).await?;
                for _ in 0..setup.workers {
                    started.service("delivery", NOWHERE).await?;
                }
            }
        }
        Ok(started)
    }

    /// Starts NATS and Redis; the services wait for them by themselves.
    fn servers(&mut self) -> Result<(), Failure> {
        let (nats, redis) = (free_address()?, free_address()?);
        let dir = self.dir.path();
        let program = |variable: &str, name: &str| std::env::var_os(variable).unwrap_or_else(|| name.into());
        let quiet =
            |server: &mut Command| server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut server = Command::new(program("FANFARE_NATS_SERVER", "nats-server"));
        server.args(["-js", "-a", "127.0.0.1", "-p", &nats.port().to_string(), "-sd"]).arg(dir.join("nats"));
        let member = |child, name| Member { child, name, listen: NOWHERE, admin: NOWHERE };
        self.members.push(member(quiet(&mut server)?, "nats-server"));
        let mut server = Command::new(program("FANFARE_REDIS_SERVER", "redis-server"));
        server.args(["--bind", "127.0.0.1", "--port", &redis.port().to_string(), "--save", "", "--appendonly", "yes"]);
        server.arg("--dir").arg(dir);
        self.members.push(member(quiet(&mut server)?, "redis-server"));
        self.nats = Some(nats);
        self.environment.extend([
            ("FANFARE_DISTRIBUTED_NATS_URLS", format!("nats://{nats}")),
            ("FANFARE_DISTRIBUTED_REDIS_URL", format!("redis://{redis}")),
            // By itself it reserves more than JetStream may have on a small disk; a bench does not run for long.
            ("FANFARE_DISTRIBUTED_EVENT_MAX_BYTES", (1_u64 << 30).to_string()),
            ("FANFARE_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
        ]);
        Ok(())
    }

    /// Starts one process of Fanfare and waits until it is ready.
    async fn service(&mut self, role: &'static str, listen: SocketAddr) -> Result<(), Failure> {
        let admin = free_address()?;
        let child = self.spawn(role, listen, admin)?;
        self.members.push(Member { child, name: role, listen, admin });
        self.until_ready(role, admin).await
    }

    fn spawn(&self, role: &str, listen: SocketAddr, admin: SocketAddr) -> Result<Child, Failure> {
        let binary =
            std::env::var_os("FANFARE_BIN").ok_or("FANFARE_BIN does not name the binary; use cargo xtask bench")?;
        let child = Command::new(binary)
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
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .spawn()?;
        Ok(child)
    }

    async fn until_ready(&mut self, role: &str, admin: SocketAddr) -> Result<(), Failure> {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1500 {
            ticks.tick().await;
            for member in &mut self.members {
                if let Some(status) = member.child.try_wait()? {
                    let name = member.name;
                    return Err(format!("{name} ended with {status} while {role} was to become ready").into());
                }
            }
            let ready = self.client.get(format!("http://{admin}/readyz")).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
        }
        Err(format!("{role} was not ready after 30 s").into())
    }

    /// Which of its processes deliver.
    pub(crate) fn workers(&self) -> Vec<usize> {
        let delivers = |member: &Member| matches!(member.name, "serve" | "delivery");
        (0..self.members.len()).filter(|index| delivers(&self.members[*index])).collect()
    }

    /// Ends a process as a power cut would.
    pub(crate) fn kill(&mut self, member: usize) -> Result<(), Failure> {
        let child = &mut self.members[member].child;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts it again on what it left, and waits until it is ready.
    pub(crate) async fn start_again(&mut self, member: usize) -> Result<(), Failure> {
        let Member { name, listen, admin, .. } = self.members[member];
        self.members[member].child = self.spawn(name, listen, admin)?;
        self.until_ready(name, admin).await
    }

    /// Processor time that all processes together have used so far.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        self.members.iter().map(|member| usage::processor_time(member.child.id())).sum()
    }

    /// Processor time that each process has used so far, with its name.
    pub(crate) fn processor_times(&self) -> Result<Vec<(&'static str, Duration)>, Failure> {
        let of = |member: &Member| Ok((member.name, usage::processor_time(member.child.id())?));
        self.members.iter().map(of).collect()
    }

    /// Its processes by name, and the bench's own, in which sender and receiver are.
    pub(crate) fn processes(&self) -> Vec<(&'static str, u32)> {
        let members = self.members.iter().map(|member| (member.name, member.child.id()));
        members.chain([("bench", std::process::id())]).collect()
    }

    /// Resident memory of all processes together, in bytes.
    pub(crate) fn memory(&self) -> Result<u64, Failure> {
        self.members.iter().map(|member| usage::memory(member.child.id())).sum()
    }

    /// Peak resident memory of all processes together, in bytes: the sum of each one's peak.
    pub(crate) fn peak_memory(&self) -> Result<u64, Failure> {
        self.members.iter().map(|member| usage::peak_memory(member.child.id())).sum()
    }

    /// Peak resident memory of one of them, in bytes; `None` if it is not there.
    pub(crate) fn peak_memory_of(&self, name: &str) -> Result<Option<u64>, Failure> {
        let found = self.members.iter().find(|member| member.name == name);
        found.map(|member| usage::peak_memory(member.child.id())).transpose()
    }

    /// The size of all that is kept, in bytes.
    pub(crate) fn data_bytes(&self) -> u64 {
        usage::size_of(self.dir.path())
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
