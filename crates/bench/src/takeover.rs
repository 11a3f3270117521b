//! The scenario "takeover": whoever works off a gate is killed at random moments, again and again.
//!
//! The receiver says 410 to the first delivery, so that the webhook is paused and everything else stands behind its gate in
//! the order of publication; then it is activated and worked off one at a time. On the distributed engine another process
//! takes over; the embedded one is started again at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Failure;
use crate::options::{Engine, Options};
use crate::process::{Fanfare, Setup, now};
use crate::receiver::Receivers;
use crate::rig::Answer;
use crate::sender::{Kind, Stream};

/// How many deliveries there are, unless the options say so, and how often somebody is killed.
pub(crate) const DELIVERIES: usize = 4000;
pub(crate) const KILLS: usize = 30;
/// How many processes deliver, on the distributed engine.
pub(crate) const WORKERS: usize = 3;
/// How long the receiver takes until the last kill.
const TAKES: Duration = Duration::from_millis(20);
/// How long it may take until somebody goes on, and until everything is received in the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The least and the most that is waited from the first delivery after one kill to the next kill.
const BETWEEN: [u64; 2] = [200, 2000];

/// What the scenario gave.
#[derive(Clone, Debug)]
pub(crate) struct Takeover {
    pub(crate) deliveries: usize,
    /// How long nothing was received after each kill, in microseconds, in order.
    pub(crate) gaps: Vec<u64>,
    pub(crate) received: usize,
    /// Requests beyond one for each delivery.
    pub(crate) duplicates: usize,
    /// Deliveries that came first after one that was published later.
    pub(crate) overtaken: usize,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Takeover, Failure> {
    let deliveries = options.deliveries.unwrap_or(DELIVERIES);
    let (is_there, is_quick) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (there, quick) = (Arc::clone(&is_there), Arc::clone(&is_quick));
    let receiver = Receivers::start(1, move |_| match (there.load(Ordering::Relaxed), quick.load(Ordering::Relaxed)) {
        (false, _) => Answer::Now(410),
        (true, false) => Answer::After(TAKES, 200),
        (true, true) => Answer::Now(200),
    });
    let receiver = receiver.await?;
    let one_at_a_time = &[("FANFARE_DELIVERY_LANE_LIMIT", "1")];
    let setup = Setup { workers: WORKERS, options: one_at_a_time, ..Setup::usual(options.engine) };
    let mut fanfare = Fanfare::start_with(setup).await?;
    let webhook = fanfare.create_webhook(&receiver.url(0)).await?;
    let stream = Stream { api: fanfare.api, bytes: options.bytes, kind: Kind::OneLine("bench.sent") };
    stream.all_of(1, 1).await?;
    until("the webhook is paused", async || {
        // The gate comes up first, then that delivery behind it: what is published in between would stand before it.
        let (_, shown) = fanfare.call("GET", &format!("/v1/webhooks/{webhook}/health")).await?;
        Ok(shown["state"] == "paused" && shown["waiting"] == 1)
    })
    .await?;
    // The first one again is a duplicate, and is answered as the first time was.
    stream.all_of(1, deliveries).await?;
    is_there.store(true, Ordering::Relaxed);
    receiver.reset();
    let (status, answer) = fanfare.call("POST", &format!("/v1/webhooks/{webhook}/activate")).await?;
    if status != 200 {
        return Err(format!("the webhook was not activated: {status} {answer}").into());
    }

    let mut gaps = Vec::new();
    let mut seen = HashMap::new();
    for kill in 0..KILLS {
        let taken = receiver.taken();
        until("it is worked off", async || Ok(receiver.taken() > taken)).await?;
        // Spread over the whole range, in no order: multiples of the golden ratio.
        let share = (kill as u64 * 618 + 309) % 1000;
        tokio::time::sleep(Duration::from_millis(BETWEEN[0] + (BETWEEN[1] - BETWEEN[0]) * share / 1000)).await;
        let owner = owner(&fanfare, &mut seen).await?;
        let (killed, taken) = (now(), receiver.taken());
        if taken >= deliveries {
            break;
        }
        fanfare.kill(owner)?;
        seen.remove(&owner);
        match options.engine {
            Engine::Embedded => fanfare.start_again(owner).await?,
            Engine::Distributed => {}
        }
        // What had been sent when it was killed may be among them, but for that there are no more than one.
        until("somebody goes on", async || Ok(receiver.taken() > taken + 1)).await?;
        let next = receiver.arrivals().into_iter().map(|arrival| arrival.at).find(|at| *at > killed + 20_000);
        gaps.push(next.unwrap_or_else(now).saturating_sub(killed));
        match options.engine {
            Engine::Embedded => {}
            Engine::Distributed => fanfare.start_again(owner).await?,
        }
    }
    is_quick.store(true, Ordering::Relaxed);
    let distinct = || receiver.arrivals().iter().map(|arrival| arrival.number).collect::<HashSet<_>>().len();
    // What is still missing then shows in the count.
    let _ = until("everything is received", async || Ok(distinct() >= deliveries)).await;
    let arrivals = receiver.arrivals();
    let (mut highest, mut overtaken, mut come) = (0, 0, HashSet::new());
    for arrival in &arrivals {
        if come.insert(arrival.number) {
            overtaken += usize::from(arrival.number < highest);
            highest = highest.max(arrival.number);
        }
    }
    Ok(Takeover { deliveries, gaps, received: come.len(), duplicates: arrivals.len() - come.len(), overtaken })
}

/// The process that has sent most since it was looked last.
async fn owner(fanfare: &Fanfare, seen: &mut HashMap<usize, u64>) -> Result<usize, Failure> {
    let mut most = None;
    for worker in fanfare.workers() {
        let attempts = fanfare.attempts(worker).await?;
        let before = seen.insert(worker, attempts).unwrap_or(0);
        most = most.max(Some((attempts.saturating_sub(before), worker)));
    }
    most.map(|(_, worker)| worker).ok_or_else(|| "nobody delivers".into())
}

async fn until(what: &str, is_so: impl AsyncFn() -> Result<bool, Failure>) -> Result<(), Failure> {
    let waiting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while !is_so().await? {
            ticks.tick().await;
        }
        Ok(())
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| Err(format!("waited {PATIENCE:?} in vain until {what}").into()))
}
