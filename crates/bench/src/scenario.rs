//! The scenarios, each on a fresh process and data directory.

use std::time::Duration;

use crate::Failure;
use crate::alone;
use crate::options::Options;
use crate::process::{Fanfare, Quota, now};
use crate::receiver::Receiver;
use crate::sender::{self, Published};

/// What a closed loop gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    pub(crate) webhooks: u64,
    pub(crate) deliveries: u64,
    pub(crate) per_second: f64,
    pub(crate) processor_per_delivery: Duration,
    pub(crate) peak_memory: u64,
    pub(crate) data_bytes: u64,
}

/// What the open loop gave: microseconds at the 50th and 99th percentile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) events: usize,
    pub(crate) from_acceptance: (u64, u64),
    pub(crate) from_sending: (u64, u64),
    pub(crate) peak_memory: u64,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    pub(crate) alone: f64,
    pub(crate) one: Throughput,
    pub(crate) five: Throughput,
    pub(crate) latency: Latency,
}

/// How long a scenario may take to deliver what is still on its way when sending has ended.
const DRAIN: Duration = Duration::from_secs(120);

/// Runs all scenarios.
pub(crate) async fn all(options: &Options) -> Result<Results, Failure> {
    let receiver = Receiver::start().await?;
    let half = options.duration / 2;
    // Half before and half after, so that a machine that changes its speed shows in both.
    let before = alone::requests_per_second(&receiver, options.connections, options.bytes, half).await?;
    let one = throughput(options, &receiver, 1).await?;
    let five = throughput(options, &receiver, 5).await?;
    let latency = latency(options, &receiver).await?;
    let after = alone::requests_per_second(&receiver, options.connections, options.bytes, half).await?;
    Ok(Results { alone: f64::midpoint(before, after), one, five, latency })
}

async fn throughput(options: &Options, receiver: &Receiver, webhooks: u64) -> Result<Throughput, Failure> {
    receiver.reset();
    let fanfare = prepared(options, receiver, webhooks).await?;
    let processor_before = fanfare.processor_time()?;
    let start = now();
    let sent = sender::closed_loop(fanfare.api, options.connections, options.bytes, options.duration).await?;
    let deliveries = sent.len() as u64 * webhooks;
    drained(receiver, deliveries).await?;
    let seconds = Duration::from_micros(now() - start).as_secs_f64();
    let processor = fanfare.processor_time()?.saturating_sub(processor_before);
    Ok(Throughput {
        webhooks,
        deliveries,
        #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        per_second: deliveries as f64 / seconds,
        processor_per_delivery: processor / u32::try_from(deliveries.max(1))?,
        peak_memory: fanfare.peak_memory()?,
        data_bytes: fanfare.data_bytes(),
    })
}

async fn latency(options: &Options, receiver: &Receiver) -> Result<Latency, Failure> {
    receiver.reset();
    let fanfare = prepared(options, receiver, 1).await?;
    let sent = sender::open_loop(fanfare.api, options.rate, options.bytes, options.duration).await?;
    drained(receiver, sent.len() as u64).await?;
    Ok(Latency {
        events: sent.len(),
        from_acceptance: percentiles(receiver, &sent, |published| published.accepted),
        from_sending: percentiles(receiver, &sent, |published| published.sent),
        peak_memory: fanfare.peak_memory()?,
    })
}

async fn prepared(options: &Options, receiver: &Receiver, webhooks: u64) -> Result<Fanfare, Failure> {
    let fanfare = Fanfare::start(options.engine, Quota::Open).await?;
    for number in 0..webhooks {
        fanfare.create_webhook(&format!("http://{}/{number}", receiver.address)).await?;
    }
    Ok(fanfare)
}

async fn drained(receiver: &Receiver, deliveries: u64) -> Result<(), Failure> {
    let waiting = tokio::time::timeout(DRAIN, receiver.wait_for(deliveries)).await;
    waiting.map_err(|_| format!("only {} of {deliveries} deliveries arrived", receiver.count()).into())
}

/// The 50th and 99th percentile of the time from a moment of the sender's to the receipt. Sender and receiver share a
/// process, so that their clocks are one.
fn percentiles(receiver: &Receiver, sent: &[Published], from: impl Fn(&Published) -> u64) -> (u64, u64) {
    let arrival = |published: &Published| Some(receiver.arrival(published.number)?.saturating_sub(from(published)));
    middle_and_high(sent.iter().filter_map(arrival).collect())
}

/// The 50th and 99th percentile.
pub(crate) fn middle_and_high(mut times: Vec<u64>) -> (u64, u64) {
    times.sort_unstable();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied();
    (at(50).unwrap_or_default(), at(99).unwrap_or_default())
}
