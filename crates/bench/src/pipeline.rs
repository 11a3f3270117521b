//! The scenarios, each on a fresh process and data directory.

use std::time::Duration;

use crate::Failure;
use crate::alone;
use crate::numbers::Spread;
use crate::options::Options;
use crate::process::{Fanfare, now};
use crate::receiver::Receivers;
use crate::sender::{Kind, Stream, to_the_end};
use crate::usage;

/// What a closed loop gave.
#[derive(Clone, Debug)]
pub(crate) struct Throughput {
    pub(crate) webhooks: u64,
    pub(crate) deliveries: u64,
    pub(crate) per_second: f64,
    pub(crate) processor_per_delivery: Duration,
    /// How many cores each process used, the bench's own included.
    pub(crate) cores: Vec<(&'static str, f64)>,
    pub(crate) peak_memory: u64,
    pub(crate) data_bytes: u64,
}

/// What the open loop gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) events: usize,
    pub(crate) from_acceptance: Spread,
    pub(crate) from_sending: Spread,
    /// What of it is the disk's: how long a write alone takes at this rate, before and after, until it is durable.
    pub(crate) sync_alone: Spread,
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

/// How long each sends, in seconds, and how many events a second the open loop has, unless the options say so.
pub(crate) const SECONDS: u64 = 10;
pub(crate) const RATE: u32 = 300;

/// How long a scenario may take to deliver what is still on its way when sending has ended.
const DRAIN: Duration = Duration::from_secs(120);

/// Runs all scenarios.
pub(crate) async fn all(options: &Options) -> Result<Results, Failure> {
    let receiver = Receivers::well().await?;
    let half = options.duration_or(SECONDS) / 2;
    // Half before and half after, so that a machine that changes its speed shows in both.
    let before = alone::requests_per_second(&receiver, options.connections, options.bytes, half).await?;
    let one = throughput(options, &receiver, 1).await?;
    let five = throughput(options, &receiver, 5).await?;
    let latency = latency(options, &receiver).await?;
    let after = alone::requests_per_second(&receiver, options.connections, options.bytes, half).await?;
    Ok(Results { alone: f64::midpoint(before, after), one, five, latency })
}

async fn throughput(options: &Options, receiver: &Receivers, webhooks: u64) -> Result<Throughput, Failure> {
    receiver.reset();
    let fanfare = prepared(options, receiver, webhooks).await?;
    let processor_before = fanfare.processor_time()?;
    let (processes, start) = (fanfare.processes(), now());
    let used = || processes.iter().map(|(_, process)| usage::processor_time(*process)).collect::<Result<Vec<_>, _>>();
    let used_before = used()?;
    let sent = stream(options, &fanfare).closed_loop(options.connections, options.duration_or(SECONDS)).await?;
    let deliveries = sent.len() as u64 * webhooks;
    drained(receiver, sent.len() * usize::try_from(webhooks)?).await?;
    let seconds = Duration::from_micros(now() - start).as_secs_f64();
    let processor = fanfare.processor_time()?.saturating_sub(processor_before);
    let used =
        used()?.into_iter().zip(used_before).map(|(now, before)| now.saturating_sub(before).as_secs_f64() / seconds);
    let cores = processes.iter().map(|(name, _)| *name).zip(used).collect();
    Ok(Throughput {
        webhooks,
        deliveries,
        #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
        per_second: deliveries as f64 / seconds,
        processor_per_delivery: processor / u32::try_from(deliveries.max(1))?,
        cores,
        peak_memory: fanfare.peak_memory()?,
        data_bytes: fanfare.data_bytes(),
    })
}

async fn latency(options: &Options, receiver: &Receivers) -> Result<Latency, Failure> {
    receiver.reset();
    let fanfare = prepared(options, receiver, 1).await?;
    let (rate, duration) = (options.rate_or(RATE), options.duration_or(SECONDS));
    let mut syncs = alone::syncs(options.bytes, rate, duration / 2).await?;
    let sent = stream(options, &fanfare).open_loop(0, rate, duration, to_the_end()).await?.published;
    drained(receiver, sent.len()).await?;
    syncs.extend(alone::syncs(options.bytes, rate, duration / 2).await?);
    Ok(Latency {
        events: sent.len(),
        from_acceptance: Spread::to_receipt(receiver, &sent, |published| published.accepted),
        from_sending: Spread::to_receipt(receiver, &sent, |published| published.sent),
        sync_alone: Spread::of(syncs),
        peak_memory: fanfare.peak_memory()?,
    })
}

async fn prepared(options: &Options, receiver: &Receivers, webhooks: u64) -> Result<Fanfare, Failure> {
    let fanfare = Fanfare::start(options.engine).await?;
    for number in 0..webhooks {
        fanfare.create_webhook(&format!("{}/{number}", receiver.url(0))).await?;
    }
    Ok(fanfare)
}

fn stream(options: &Options, fanfare: &Fanfare) -> Stream {
    Stream { api: fanfare.api, bytes: options.bytes, kind: Kind::One("bench.sent") }
}

async fn drained(receiver: &Receivers, deliveries: usize) -> Result<(), Failure> {
    let waiting = tokio::time::timeout(DRAIN, receiver.wait_for(deliveries)).await;
    waiting.map_err(|_| format!("only {} of {deliveries} deliveries arrived", receiver.taken()).into())
}
