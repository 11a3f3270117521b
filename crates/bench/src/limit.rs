//! The scenario "limit": a webhook with a rate limit and a backlog, delivered by several processes.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use crate::Failure;
use crate::options::Options;
use crate::process::{Fanfare, OWN_EVENTS, Setup};
use crate::receiver::Receivers;
use crate::sender::{Kind, Stream};

/// How many deliveries there are, unless the options say so.
pub(crate) const DELIVERIES: usize = 2000;
/// The limit: so many a second, and so many at once.
pub(crate) const COUNT: usize = 50;
pub(crate) const BURST: usize = 10;
/// How many processes deliver, on the distributed engine.
pub(crate) const WORKERS: usize = 3;
const SECOND: u64 = 1_000_000;

/// What the scenario gave.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) deliveries: usize,
    pub(crate) received: usize,
    pub(crate) duplicates: usize,
    /// The most that were received in any second, wherever it begins.
    pub(crate) most: usize,
    /// From the first to the last, in microseconds.
    pub(crate) took: u64,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Limit, Failure> {
    let deliveries = options.deliveries.unwrap_or(DELIVERIES);
    let receiver = Receivers::well().await?;
    let fanfare = Fanfare::start_with(Setup { workers: WORKERS, ..Setup::usual(options.engine) }).await?;
    let limit = json!({"count": COUNT, "period_seconds": 1, "burst": BURST});
    fanfare.create(json!({"url": receiver.url(0), "events": [OWN_EVENTS], "rate_limit": limit})).await?;
    let stream = Stream { api: fanfare.api, bytes: options.bytes, kind: Kind::One("bench.sent") };
    stream.all_of(options.connections, deliveries).await?;
    // Half as long again as the limit makes it take. What is still missing then shows in the count.
    let patience = Duration::from_secs((deliveries * 3 / 2 / COUNT + 10) as u64);
    let _ = tokio::time::timeout(patience, receiver.wait_for(deliveries)).await;
    let arrivals = receiver.arrivals();
    let mut times: Vec<u64> = arrivals.iter().map(|arrival| arrival.at).collect();
    times.sort_unstable();
    let within_a_second = |begin: usize| times[begin..].partition_point(|at| *at < times[begin] + SECOND);
    let received = arrivals.iter().map(|arrival| arrival.number).collect::<HashSet<_>>().len();
    Ok(Limit {
        deliveries,
        received,
        duplicates: arrivals.len() - received,
        most: (0..times.len()).map(within_a_second).max().unwrap_or(0),
        took: times.last().zip(times.first()).map_or(0, |(last, first)| last - first),
    })
}
