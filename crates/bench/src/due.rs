//! The scenario "due": many deliveries that fall due together, within a minute, and how late each is.
//!
//! The receiver refuses every delivery once, and says by `Retry-After` in which second of the window it is to come back; the
//! webhooks' own schedules are shorter. What it waits for is the second request of each, against the time that it named.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;

use crate::Failure;
use crate::numbers::percentile;
use crate::options::Options;
use crate::process::{Fanfare, Setup, now};
use crate::rig::{Answer, Got, Rig, number};
use crate::sender::{Kind, Stream};
use crate::usage;

/// To so many webhooks each event goes: enough that no lane is the bottleneck, and that none fails as often as would open its breaker.
const WEBHOOKS: usize = 40;
/// How many deliveries, unless the options say so.
const DELIVERIES: usize = 200_000;
/// In how many seconds all fall due, unless the options say so.
pub(crate) const WINDOW: u64 = 60;
/// How many first attempts a second are reckoned with; all are to be made before the window begins.
const FIRST_ATTEMPTS: u64 = 1500;
/// How long the last ones may take after the window.
const PATIENCE: Duration = Duration::from_secs(300);
const SECOND: u64 = 1_000_000;
/// How often it is noted how far it is.
const STEP: Duration = Duration::from_secs(5);
/// Receivers that refuse everything once would open their breakers, and what they are sent would wait for probes. This is the
/// most that the options allow.
const NO_BREAKERS: &[(&str, &str)] =
    &[("FANFARE_DELIVERY_BREAKER_FAILURES", "10000"), ("FANFARE_DELIVERY_BREAKER_WINDOW_ATTEMPTS", "100000")];

/// What the scenario gave.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) deliveries: usize,
    /// Those whose first attempt came too late for the window.
    pub(crate) after_window: usize,
    /// Requests beyond the two that each delivery takes.
    pub(crate) duplicates: u64,
    /// Microseconds at the 50th and 99th percentile, and the most.
    pub(crate) late: [u64; 3],
    /// How it went, one for every [`STEP`].
    pub(crate) steps: Vec<Step>,
    /// The processes whose cores the steps tell of.
    pub(crate) processes: Vec<&'static str>,
    pub(crate) nats_memory: Option<u64>,
    pub(crate) peak_memory: u64,
}

/// How far it was at one time.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Seconds since the window began.
    pub(crate) at: u64,
    /// How many had fallen due.
    pub(crate) due: usize,
    /// How many had come.
    pub(crate) come: usize,
    /// How many JetStream had made ready and nobody had leased yet, and how many were leased; on the distributed engine.
    pub(crate) at_server: Option<(usize, usize)>,
    /// How many cores each process has used since the step before.
    pub(crate) cores: Vec<f64>,
}

struct Seen {
    /// When the window begins, and how many seconds it lasts.
    begins: u64,
    window: u64,
    /// Microseconds at which each is due; 0 before its first request.
    due: Vec<AtomicU64>,
    /// How late its second request was, plus one; 0 before it.
    late: Vec<AtomicU64>,
    duplicates: AtomicU64,
    left: watch::Sender<usize>,
    steps: Mutex<Vec<Step>>,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Due, Failure> {
    let events = (options.deliveries.unwrap_or(DELIVERIES) / WEBHOOKS).max(1);
    let deliveries = events * WEBHOOKS;
    let fanfare = Fanfare::start_with(Setup { options: NO_BREAKERS, ..Setup::usual(options.engine) }).await?;
    let window = options.duration_or(WINDOW).as_secs();
    let begins = now() + (5 + deliveries as u64 / FIRST_ATTEMPTS) * SECOND;
    let none = || (0..deliveries).map(|_| AtomicU64::new(0)).collect();
    let seen = Arc::new(Seen {
        begins,
        window,
        due: none(),
        late: none(),
        duplicates: AtomicU64::new(0),
        left: watch::Sender::new(deliveries),
        steps: Mutex::default(),
    });
    let seeing = Arc::clone(&seen);
    let rig = Rig::start(1, move |got| seeing.answer(got)).await?;
    for webhook in 0..WEBHOOKS {
        fanfare.create_webhook(&format!("http://{}/{webhook}", rig.addresses[0])).await?;
    }
    let stream = Stream { api: fanfare.api, bytes: options.bytes, kind: Kind::One("bench.sent") };
    stream.all_of(options.connections, events).await?;
    let mut left = seen.left.subscribe();
    let processes = fanfare.processes();
    let stepping = tokio::spawn(steps(Arc::clone(&seen), fanfare.nats, processes.clone()));
    let within = Duration::from_micros(begins.saturating_sub(now())) + Duration::from_secs(window) + PATIENCE;
    let waiting = tokio::time::timeout(within, left.wait_for(|left| *left == 0)).await;
    if waiting.is_err() {
        return Err(format!("{} of {deliveries} deliveries have not come again", *seen.left.borrow()).into());
    }
    stepping.abort();
    let steps = std::mem::take(&mut *seen.steps.lock());
    let end = begins + window * SECOND;
    let after_window = seen.due.iter().filter(|due| due.load(Ordering::Relaxed) >= end).count();
    let mut late: Vec<u64> = seen.late.iter().map(|late| late.load(Ordering::Relaxed) - 1).collect();
    late.sort_unstable();
    Ok(Due {
        deliveries,
        after_window,
        duplicates: seen.duplicates.load(Ordering::Relaxed),
        steps,
        processes: processes.iter().map(|(name, _)| *name).collect(),
        late: [50, 99, 100].map(|percent| percentile(&late, percent)),
        nats_memory: fanfare.peak_memory_of("nats-server")?,
        peak_memory: fanfare.peak_memory()?,
    })
}

/// Notes how far it is from the window's beginning on, until it is stopped.
async fn steps(seen: Arc<Seen>, nats: Option<SocketAddr>, processes: Vec<(&'static str, u32)>) -> Result<(), Failure> {
    let client = match nats {
        Some(nats) => Some(async_nats::connect(format!("nats://{nats}")).await?),
        None => None,
    };
    tokio::time::sleep(Duration::from_micros(seen.begins.saturating_sub(now()))).await;
    let used = || processes.iter().map(|(_, process)| usage::processor_time(*process)).collect::<Result<Vec<_>, _>>();
    let (mut used_before, mut looked) = (used()?, now());
    let mut ticks = tokio::time::interval(STEP);
    loop {
        ticks.tick().await;
        let at_server = match &client {
            Some(client) => {
                let answer = client.request("$JS.API.CONSUMER.INFO.FANFARE_DELIVERIES.workers", Bytes::new()).await?;
                let info: Value = serde_json::from_slice(&answer.payload)?;
                let count = |name: &str| info[name].as_u64().and_then(|count| usize::try_from(count).ok());
                count("num_pending").zip(count("num_ack_pending"))
            }
            None => None,
        };
        let now = now();
        let (used_now, seconds) = (used()?, Duration::from_micros(now - looked).as_secs_f64().max(0.001));
        let both = used_now.iter().zip(&used_before);
        let cores = both.map(|(now, before)| now.saturating_sub(*before).as_secs_f64() / seconds).collect();
        (used_before, looked) = (used_now, now);
        let is_due = |due: &&AtomicU64| (1..=now).contains(&due.load(Ordering::Relaxed));
        let step = Step {
            at: (now - seen.begins) / SECOND,
            due: seen.due.iter().filter(is_due).count(),
            come: seen.due.len() - *seen.left.borrow(),
            at_server,
            cores,
        };
        seen.steps.lock().push(step);
    }
}

impl Seen {
    fn answer(&self, got: &Got<'_>) -> Answer {
        let webhook = got.path.trim_start_matches('/').parse::<usize>().ok();
        let index = number(got.body).zip(webhook).map(|(number, webhook)| number * WEBHOOKS + webhook);
        let Some(index) = index.filter(|index| *index < self.due.len()) else { return Answer::Now(200) };
        let due = self.due[index].load(Ordering::Relaxed);
        if due == 0 {
            // Spread evenly over the window's seconds; whole seconds from now on, as the header counts.
            let wanted = self.begins + index as u64 % self.window * SECOND;
            let wait = wanted.saturating_sub(got.at).div_ceil(SECOND).max(1);
            self.due[index].store(got.at + wait * SECOND, Ordering::Relaxed);
            return Answer::RetryAfter(wait);
        }
        let late = 1 + got.at.saturating_sub(due);
        if self.late[index].compare_exchange(0, late, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.left.send_modify(|left| *left -= 1);
        } else {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
        }
        Answer::Now(200)
    }
}
