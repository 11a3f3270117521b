//! The scenario "backlog": what a long backlog for one slow receiver does to a well one of the same project.
//!
//! The well one gets events at a steady rate all the time, alone at first; then events for the slow one are published as fast
//! as the project's quota lets them. When all are published it goes on for a while; then the slow one becomes quick, so that
//! the whole backlog can be counted.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use crate::Failure;
use crate::numbers::Spread;
use crate::options::Options;
use crate::process::{Fanfare, Setup, now};
use crate::receiver::Receivers;
use crate::rig::Answer;
use crate::sender::{Kind, Published, Stream};

/// Deliveries for the slow one, and events a second for the well one, unless the options say so.
pub(crate) const DELIVERIES: usize = 200_000;
pub(crate) const RATE: u32 = 50;
/// How long the slow one takes.
pub(crate) const SLOW: Duration = Duration::from_millis(200);
/// How long the well one is alone, and how long it goes on when all are published.
const ALONE: Duration = Duration::from_secs(10);
const WAITING: Duration = Duration::from_secs(15);
/// What the first moments are.
const FIRST: Duration = Duration::from_secs(2);
/// How long the backlog may take once its receiver is quick, and how long the well one may have to publish at the most.
const DRAIN: Duration = Duration::from_secs(240);
const LONGEST: Duration = Duration::from_secs(900);

/// What the scenario gave.
#[derive(Clone, Debug)]
pub(crate) struct Backlog {
    pub(crate) deliveries: usize,
    /// How long publishing took, and how long the rest took once the receiver was quick.
    pub(crate) published_in: Duration,
    pub(crate) drained_in: Duration,
    /// How many had been received when that began.
    pub(crate) slowly: usize,
    /// How many deliveries came, each counted once, and requests beyond them.
    pub(crate) received: usize,
    pub(crate) duplicates: usize,
    pub(crate) held_back: [usize; 2],
    /// Of the well one, from acceptance to receipt: alone, in the first moments, while the backlog grows, while it stands, and
    /// while it is worked off.
    pub(crate) well: [Spread; 5],
    pub(crate) well_published: usize,
    pub(crate) peak_memory: u64,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Backlog, Failure> {
    let deliveries = options.deliveries.unwrap_or(DELIVERIES);
    let quick = Arc::new(AtomicBool::new(false));
    let getting_quick = Arc::clone(&quick);
    let slow = Receivers::start(1, move |_| {
        if getting_quick.load(Ordering::Relaxed) { Answer::Now(200) } else { Answer::After(SLOW, 200) }
    });
    let (slow, well) = (slow.await?, Receivers::well().await?);
    let fanfare = Fanfare::start_with(Setup::with_default_quotas(options.engine)).await?;
    fanfare.create(json!({"url": slow.url(0), "events": ["bench.backlog"]})).await?;
    fanfare.create(json!({"url": well.url(0), "events": ["bench.well"]})).await?;
    let stream = |kind| Stream { api: fanfare.api, bytes: options.bytes, kind };

    let (stop, stopped) = watch::channel(false);
    let backlog = async {
        tokio::time::sleep(ALONE).await;
        let mut moments = vec![now()];
        let held_back = stream(Kind::One("bench.backlog")).all_of(options.connections, deliveries).await?;
        moments.push(now());
        tokio::time::sleep(WAITING).await;
        let slowly = slow.taken();
        quick.store(true, Ordering::Relaxed);
        moments.push(now());
        // What is still missing then shows in the count.
        let _ = tokio::time::timeout(DRAIN, slow.wait_for(deliveries)).await;
        moments.push(now());
        stop.send_replace(true);
        Ok::<_, Failure>((moments, held_back, slowly))
    };
    let rate = options.rate_or(RATE);
    let beside = stream(Kind::One("bench.well")).open_loop(0, rate, LONGEST, stopped);
    let ((moments, held_back, slowly), sent) = tokio::try_join!(backlog, beside)?;
    // The last one published need not have been received yet.
    let _ = tokio::time::timeout(FIRST, well.wait_for(sent.published.len())).await;

    let first = moments[0] + u64::try_from(FIRST.as_micros())?;
    let bounds = [0, moments[0], first, moments[1].max(first), moments[2], u64::MAX];
    let between = |begin: u64, end: u64| {
        let within = move |published: &&Published| (begin..end).contains(&published.accepted);
        Spread::to_receipt(&well, sent.published.iter().filter(within), |published| published.accepted)
    };
    let arrivals = slow.arrivals();
    let received: HashSet<usize> = arrivals.iter().map(|arrival| arrival.number).collect();
    Ok(Backlog {
        deliveries,
        published_in: Duration::from_micros(moments[1] - moments[0]),
        drained_in: Duration::from_micros(moments[3] - moments[2]),
        slowly,
        received: received.len(),
        duplicates: arrivals.len() - received.len(),
        held_back: [held_back, sent.held_back],
        well: [0, 1, 2, 3, 4].map(|part| between(bounds[part], bounds[part + 1])),
        well_published: sent.published.len(),
        peak_memory: fanfare.peak_memory()?,
    })
}
