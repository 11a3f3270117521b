//! The product under measurement: its process, what the system says of it, and the bench's own clock.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Failure;

/// The key that the bench publishes with.
pub(crate) const API_KEY: &str = "bench-key-0123456789";

/// Microseconds since the first call, at least 1.
#[allow(clippy::disallowed_methods, reason = "a bench measures with the system's clock")]
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(|| Instant::now().checked_sub(Duration::from_micros(1)).unwrap_or_else(Instant::now));
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// A running `fanfare serve`; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Fanfare {
    child: Child,
    pub(crate) api: SocketAddr,
    client: reqwest::Client,
    dir: TempDir,
}

impl Drop for Fanfare {
    fn drop(&mut self) {
        // It is our own child, and its data is thrown away.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fanfare {
    /// Starts it on a fresh data directory and waits until it is ready.
    pub(crate) async fn start() -> Result<Self, Failure> {
        let binary =
            std::env::var_os("FANFARE_BIN").ok_or("FANFARE_BIN does not name the binary; use cargo xtask bench")?;
        let (api, admin) = (free_address()?, free_address()?);
        let dir = tempfile::tempdir()?;
        let child = Command::new(binary)
            .arg("serve")
            // Only options may begin so; an unknown one is refused.
            .env_remove("FANFARE_BIN")
            .env("FANFARE_LISTEN", api.to_string())
            .env("FANFARE_ADMIN_LISTEN", admin.to_string())
            .env("FANFARE_DATA_DIR", dir.path().join("data"))
            .env("FANFARE_API_KEY", API_KEY)
            .env("FANFARE_EGRESS_ALLOW", "127.0.0.0/8")
            .env("FANFARE_LOG", "warn")
            // The closed loop is to be held back by the machine, not by the quota.
            .env("FANFARE_INGEST_EVENTS_PER_SECOND", "1000000")
            .env("FANFARE_INGEST_BURST", "1000000")
            .stdin(Stdio::null())
            .spawn()?;
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
        let mut fanfare = Self { child, api, client, dir };
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1500 {
            ticks.tick().await;
            if let Some(status) = fanfare.child.try_wait()? {
                return Err(format!("fanfare ended with {status} instead of becoming ready").into());
            }
            let ready = fanfare.client.get(format!("http://{admin}/readyz")).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(fanfare);
            }
        }
        Err("fanfare was not ready after 30 s".into())
    }

    /// Creates a webhook for every event type.
    pub(crate) async fn create_webhook(&self, url: &str) -> Result<(), Failure> {
        let body: Value = json!({"url": url, "events": ["**"]});
        let request = self.client.post(format!("http://{}/v1/webhooks", self.api));
        let request = request.header("x-api-key", API_KEY).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await?;
        if answer.status().as_u16() == 201 {
            return Ok(());
        }
        Err(format!("the webhook was not created: {} {}", answer.status(), answer.text().await?).into())
    }

    /// Processor time it has used so far.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The program's name, in parentheses, may hold anything; the numbers come after it (proc(5), fields 14 and 15).
        let after_name = stat.rsplit_once(')').ok_or("no name in /proc/<pid>/stat")?.1;
        let mut fields = after_name.split_whitespace().skip(11);
        let mut ticks =
            || fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or("no times in /proc/<pid>/stat");
        // Linux counts in hundredths of a second wherever Fanfare runs.
        Ok(Duration::from_millis(10 * (ticks()? + ticks()?)))
    }

    /// Its peak resident memory in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/<pid>/status")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
    }

    /// The size of its data directory in bytes.
    pub(crate) fn data_bytes(&self) -> u64 {
        let Ok(entries) = std::fs::read_dir(self.dir.path().join("data")) else { return 0 };
        entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
