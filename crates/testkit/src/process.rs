//! Runs the built binary as its users do: its own process, its own data directory, ports on loopback; kills it, and
//! starts it again on what it left behind.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::nats::{NatsCluster, NatsServer};
use crate::redis::RedisServer;

/// How long a process may take to become ready, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The API key that the tests' processes take.
pub const API_KEY: &str = "test-key-0123456789abcdef";

/// The binary under test.
///
/// # Panics
/// When `FANFARE_BIN` does not name it; `cargo xtask test` sets it.
pub fn binary() -> PathBuf {
    match std::env::var_os("FANFARE_BIN") {
        Some(path) => PathBuf::from(path),
        None => panic!("FANFARE_BIN does not name the built binary; run the tests by `cargo xtask test`"),
    }
}

/// A free port on loopback, below the range that the system gives to outgoing connections, so that it stays free while
/// the process that had it is started again.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes run side by side: each begins elsewhere.
    let start = u16::try_from(std::process::id() % 1000).unwrap_or_default() * 12;
    for _ in 0..12_000 {
        let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let port = 20_000 + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port between 20000 and 32000 is free on loopback");
}

/// Which engine a process runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one.
    Embedded,
    /// The distributed one, on a `nats-server` and a `redis-server` of the test's own.
    Distributed,
}

/// The servers under a process on the distributed engine.
#[derive(Debug)]
pub struct Servers {
    /// NATS.
    pub nats: NatsServer,
    /// Redis.
    pub redis: RedisServer,
}

impl Servers {
    /// Starts both.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start() -> Self {
        let (nats, redis) = tokio::join!(NatsServer::start(), RedisServer::start());
        Self { nats, redis }
    }

    /// What a process needs in its environment to use them.
    pub fn environment(&self) -> Vec<(String, String)> {
        Self::environment_of(self.nats.url(), self.redis.url())
    }

    /// What a process needs in its environment to use servers at these URLs.
    pub fn environment_of(nats: String, redis: String) -> Vec<(String, String)> {
        environment(nats, redis)
    }
}

fn environment(nats: String, redis: String) -> Vec<(String, String)> {
    let set = |name: &str, value: String| (name.to_owned(), value);
    vec![
        set("FANFARE_DISTRIBUTED_NATS_URLS", nats),
        set("FANFARE_DISTRIBUTED_REDIS_URL", redis),
        // Set aside by each server: many tests run at once, and a disk need not have the default left for all.
        set("FANFARE_DISTRIBUTED_EVENT_MAX_BYTES", (1u64 << 30).to_string()),
        // 32 bytes in base64; the same in every process, and a secret nowhere but here.
        set("FANFARE_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
    ]
}

/// The same with a cluster of three NATS servers, every stream kept on all of them.
#[derive(Debug)]
pub struct ClusterServers {
    /// The NATS servers.
    pub nats: NatsCluster,
    /// Redis.
    pub redis: RedisServer,
}

impl ClusterServers {
    /// Starts all of them.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start() -> Self {
        let (nats, redis) = tokio::join!(NatsCluster::start(), RedisServer::start());
        Self { nats, redis }
    }

    /// What a process needs in its environment to use them.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment = environment(self.nats.urls(), self.redis.url());
        environment.push(("FANFARE_DISTRIBUTED_REPLICAS".to_owned(), self.nats.nodes.len().to_string()));
        environment
    }
}

/// A running `fanfare serve`, or one of its services alone. It is killed when this is dropped.
#[derive(Debug)]
pub struct Fanfare {
    role: &'static str,
    child: Option<Child>,
    servers: Option<Servers>,
    dir: Arc<TempDir>,
    environment: Vec<(String, String)>,
    api: SocketAddr,
    admin: SocketAddr,
    client: reqwest::Client,
    log: Arc<Mutex<Vec<String>>>,
}

impl Fanfare {
    /// Starts `fanfare serve` on a fresh data directory with loopback allowed, and waits until it is ready. `environment`
    /// adds to or overrides the options given by environment variables.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_on(Engine::Embedded, environment).await
    }

    /// The same on either engine.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start_on(engine: Engine, environment: &[(&str, &str)]) -> Self {
        let servers = match engine {
            Engine::Embedded => None,
            Engine::Distributed => Some(Servers::start().await),
        };
        let own = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = servers.iter().flat_map(Servers::environment).chain(own).collect();
        let mut fanfare = Self::stopped("serve", servers, environment);
        fanfare.start_again().await;
        fanfare
    }

    /// Starts one service of its own on servers that others use too.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start_role(role: &'static str, servers: &Servers, environment: &[(&str, &str)]) -> Self {
        let mut fanfare = Self::stopped_role(role, servers, environment);
        fanfare.start_again().await;
        fanfare
    }

    /// The same, not started yet.
    pub fn stopped_role(role: &'static str, servers: &Servers, environment: &[(&str, &str)]) -> Self {
        let own = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self::stopped(role, None, servers.environment().into_iter().chain(own).collect())
    }

    /// One service with everything that it needs of servers in `environment`, not started yet.
    pub fn stopped_role_with(role: &'static str, environment: Vec<(String, String)>) -> Self {
        Self::stopped(role, None, environment)
    }

    fn stopped(role: &'static str, servers: Option<Servers>, environment: Vec<(String, String)>) -> Self {
        let port = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        // Only the tests of this workspace install a provider, and all install this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("the options are valid");
        Self {
            role,
            child: None,
            servers,
            dir: Arc::new(tempfile::tempdir().expect("a temporary directory")),
            environment,
            api: port(),
            admin: port(),
            client,
            log: Arc::default(),
        }
    }

    /// The same stopped process with other options given by environment variables.
    ///
    /// # Panics
    /// When it runs.
    pub fn with_environment(self, environment: &[(&str, &str)]) -> Self {
        assert!(self.child.is_none(), "it runs");
        let added = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let environment = self.environment.iter().cloned().chain(added).collect();
        Self { environment, ..self }
    }

    /// Starts it on the same data and ports, after [`Fanfare::kill`] or [`Fanfare::terminate`].
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn start_again(&mut self) {
        self.launch();
        self.wait_until_ready().await;
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// When it runs, or cannot be started.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut child = self.command().spawn().expect("the binary can be started");
        let stderr = child.stderr.take().expect("standard error is piped");
        let log = Arc::clone(&self.log);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.lock().push(line);
            }
        });
        self.child = Some(child);
    }

    /// The command that starts it, for tests that want to see it fail.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.arg(self.role).env_clear();
        // What programs need to run at all; the rest of the caller's environment must not change a test.
        for name in ["PATH", "HOME", "LANG", "TMPDIR", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("FANFARE_LISTEN", self.api.to_string())
            .env("FANFARE_ADMIN_LISTEN", self.admin.to_string())
            .env("FANFARE_DATA_DIR", self.data_dir())
            .env("FANFARE_API_KEY", API_KEY)
            .env("FANFARE_EGRESS_ALLOW", "127.0.0.0/8,::1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it ends, or is not ready after a minute.
    pub async fn wait_until_ready(&mut self) {
        let url = self.admin_url("/readyz");
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let ready = async {
            loop {
                ticks.tick().await;
                if let Some(child) = &mut self.child
                    && let Ok(Some(status)) = child.try_wait()
                {
                    return Err(status);
                }
                if self.client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                    return Ok(());
                }
            }
        };
        match tokio::time::timeout(PATIENCE, ready).await {
            Ok(Ok(())) => {}
            Ok(Err(status)) => panic!("the process ended with {status} instead of becoming ready:\n{}", self.log()),
            Err(_) => panic!("the process was not ready after {PATIENCE:?}:\n{}", self.log()),
        }
    }

    /// The servers under it, if it runs on the distributed engine.
    pub fn servers(&mut self) -> Option<&mut Servers> {
        self.servers.as_mut()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A directory of its own for files that a test gives it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Everything it has logged, over all its lives.
    pub fn log(&self) -> String {
        self.log.lock().join("\n")
    }

    /// A URL of the API and ingest.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }

    /// A URL of the admin listener.
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// A client for requests of one's own.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Ends it at once, as a power cut would for the process: SIGKILL.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.expect("a child can be killed");
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    ///
    /// # Panics
    /// When it does not run, or does not stop.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let id = child.id().expect("it has not ended");
        let sent = Command::new("kill").args(["-TERM", &id.to_string()]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "kill -TERM {id} failed");
        match tokio::time::timeout(PATIENCE, child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!("the process did not stop within {PATIENCE:?}:\n{}", self.log()),
        }
    }

    /// Stops it in the middle of whatever it does (SIGSTOP), as a paused virtual machine or a swapping host would: its
    /// connections stay, and it does nothing until [`Fanfare::thaw`].
    ///
    /// # Panics
    /// When it does not run.
    pub async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on (SIGCONT) after [`Fanfare::freeze`].
    ///
    /// # Panics
    /// When it does not run.
    pub async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let id = self.id().expect("it runs");
        let sent = Command::new("kill").args([signal, &id.to_string()]).status().await;
        assert!(sent.is_ok_and(|status| status.success()), "kill {signal} {id} failed");
    }

    /// What `/readyz` answers; `None` while nobody listens yet.
    pub async fn readiness(&self) -> Option<(u16, String)> {
        let answer = self.client.get(self.admin_url("/readyz")).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// One request with the key, JSON in and out: the status and the answer, null if it is empty.
    ///
    /// # Panics
    /// When no answer comes, or it is not JSON.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("tests use valid methods");
        let mut request = self.client.request(method, self.url(path)).header("x-api-key", API_KEY);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}\n{}", self.log()));
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("the answer is text");
        if text.is_empty() {
            return (status, Value::Null);
        }
        let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {status} {text:?}: {error}"));
        (status, json)
    }

    /// Creates a webhook and returns what the API answers.
    ///
    /// # Panics
    /// When it is not created.
    pub async fn create_webhook(&self, webhook: Value) -> Value {
        let (status, created) = self.call("POST", "/v1/webhooks", Some(webhook)).await;
        assert_eq!(status, 201, "{created}");
        created
    }

    /// Publishes an event and returns its id.
    ///
    /// # Panics
    /// When it is not accepted.
    pub async fn publish(&self, event: Value) -> String {
        let (status, answer) = self.call("POST", "/v1/events", Some(event)).await;
        assert_eq!(status, 202, "{answer}");
        answer["id"].as_str().expect("an accepted event has an id").to_owned()
    }

    /// Asks until the answer is as wanted, and returns it.
    ///
    /// # Panics
    /// When it is not after a minute.
    pub async fn eventually(&self, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let mut last = (0, Value::Null);
        let asking = async {
            loop {
                ticks.tick().await;
                last = self.call("GET", path, None).await;
                if wanted(last.0, &last.1) {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            panic!("{path} did not become as wanted; last: {} {:#}\n{}", last.0, last.1, self.log());
        }
        last.1
    }

    /// What `/metrics` says.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn metrics(&self) -> String {
        let answer = self.client.get(self.admin_url("/metrics")).send().await.expect("the admin listener answers");
        answer.text().await.expect("metrics are text")
    }

    /// The value of one series, such as `fanfare_delivery_attempts_total{outcome="success"}`.
    ///
    /// # Panics
    /// When there is no such series.
    pub async fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics().await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        match line.and_then(|value| value.parse().ok()) {
            Some(value) => value,
            None => panic!("no series {series} in:\n{metrics}"),
        }
    }

    /// Asks until a series has the value that is wanted.
    ///
    /// # Panics
    /// When it has not after a minute, or there is no such series.
    pub async fn until_metric(&self, series: &str, wanted: impl Fn(f64) -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let asking = async {
            loop {
                ticks.tick().await;
                if wanted(self.metric(series).await) {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            panic!("{series} did not become as wanted\n{}", self.log());
        }
    }
}
