//! The scenario "hostile": what a healthy project feels of another one that floods the intake, with what is no event or with more
//! events than its quota lets through. Both are in the same partition of the intake, the worst place to be.

use std::time::Duration;

use tokio::sync::watch;

use crate::Failure;
use crate::direct::{self, Flood};
use crate::numbers::Spread;
use crate::options::{Engine, Options};
use crate::process::{Fanfare, Setup, now};
use crate::receiver::Receivers;
use crate::sender::{Kind, Published, Stream, to_the_end};

/// How long each phase sends, in seconds, unless the options say so.
pub(crate) const SECONDS: u64 = 10;
/// What the healthy project publishes each second, over HTTP and again straight to NATS.
pub(crate) const HEALTHY: u32 = 100;
/// What the hostile project may send each second, where it floods with events.
pub(crate) const HOSTILE_QUOTA: u32 = 500;
/// What is published before that is not looked at: connections are made, pages are read.
const WARM_UP: Duration = Duration::from_secs(2);
/// The numbers of events that are published straight to NATS begin here.
const STRAIGHT: usize = 2_000_000;
/// How long all healthy events may take to arrive after the last one was published.
const PATIENCE: Duration = Duration::from_secs(60);
/// Into how many parts the server divides the intake.
const PARTITIONS: u32 = 8;

/// What one phase gave.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    /// From acceptance to receipt.
    pub(crate) over_http: Spread,
    pub(crate) straight: Spread,
    /// What the hostile project published, and what came of it.
    pub(crate) flood: u64,
    pub(crate) rejected: u64,
    pub(crate) waiting: u64,
    /// How many cores each process of Fanfare, NATS and Redis used.
    pub(crate) cores: Vec<(&'static str, f64)>,
}

/// All phases, each on fresh processes.
#[derive(Clone, Debug)]
pub(crate) struct Hostile {
    pub(crate) before: Phase,
    pub(crate) invalid: Phase,
    /// Beside a project that sends just what its quota allows: what is left then is no matter of the intake.
    pub(crate) within_quota: Phase,
    pub(crate) over_quota: Phase,
    pub(crate) after: Phase,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Hostile, Failure> {
    if options.engine != Engine::Distributed {
        return Err("only the distributed engine has producers that publish straight to NATS".into());
    }
    let receiver = Receivers::well().await?;
    Ok(Hostile {
        before: phase(options, &receiver, None).await?,
        invalid: phase(options, &receiver, Some((Flood::Invalid, options.flood))).await?,
        within_quota: phase(options, &receiver, Some((Flood::Valid, HOSTILE_QUOTA.min(options.flood)))).await?,
        over_quota: phase(options, &receiver, Some((Flood::Valid, options.flood))).await?,
        after: phase(options, &receiver, None).await?,
    })
}

async fn phase(options: &Options, receiver: &Receivers, flood: Option<(Flood, u32)>) -> Result<Phase, Failure> {
    receiver.reset();
    // Where its events go; only that they are received is of interest.
    let sink = Receivers::well().await?;
    let fanfare = Fanfare::start_with(Setup::with_default_quotas(options.engine)).await?;
    let nats = fanfare.nats.ok_or("there is no NATS")?;
    fanfare.create_webhook(&receiver.url(0)).await?;
    let hostile = neighbour();
    // What is no event is looked at as long as the default quota allows, which is more than is sent here.
    let quota = if matches!(flood, Some((Flood::Valid, _))) { HOSTILE_QUOTA } else { 10_000 };
    fanfare.create_project(&hostile, quota, &sink.url(0)).await?;

    let (stop, stopped) = watch::channel(false);
    let flooding = tokio::spawn({
        let (hostile, bytes) = (hostile.clone(), options.bytes);
        async move {
            match flood {
                Some((flood, rate)) => direct::flood(nats, &hostile, flood, (rate, bytes), stopped).await,
                None => Ok(0),
            }
        }
    });
    let (processor, start) = (fanfare.processor_times()?, now());
    let duration = WARM_UP + options.duration_or(SECONDS);
    let stream = Stream { api: fanfare.api, bytes: options.bytes, kind: Kind::One("bench.sent") };
    let (over_http, straight) = tokio::try_join!(
        stream.open_loop(0, HEALTHY, duration, to_the_end()),
        direct::open_loop(nats, HEALTHY, options.bytes, STRAIGHT, duration),
    )?;
    let seconds = Duration::from_micros(now() - start).as_secs_f64();
    let used = processor.into_iter().zip(fanfare.processor_times()?);
    let cores = used.map(|((name, before), (_, after))| (name, after.saturating_sub(before).as_secs_f64() / seconds));
    let cores = cores.collect();
    let over_http = over_http.published;
    let all = over_http.len() + straight.len();
    let arriving = tokio::time::timeout(PATIENCE, receiver.wait_for(all)).await;
    arriving.map_err(|_| format!("only {} of {all} healthy events arrived", receiver.taken()))?;
    stop.send_replace(true);
    let flood = flooding.await??;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let whole = |value: f64| value as u64;
    let from = start + u64::try_from(WARM_UP.as_micros())?;
    Ok(Phase {
        over_http: times(receiver, &over_http, from),
        straight: times(receiver, &straight, from),
        flood,
        rejected: whole(fanfare.ingest_metric("fanfare_ingest_events_total{result=\"invalid\"}").await?),
        waiting: whole(fanfare.ingest_metric("fanfare_intake_waiting").await?),
        cores,
    })
}

/// From acceptance to receipt, of what was sent after the warm-up. An event may be received before its sender has the answer.
fn times(receiver: &Receivers, sent: &[Published], from: u64) -> Spread {
    let measured = sent.iter().filter(|published| published.sent >= from);
    Spread::to_receipt(receiver, measured, |published| published.accepted)
}

/// A project in the same partition of the intake as `default`.
fn neighbour() -> String {
    let names = (0_u32..).map(|number| format!("hostile-{number}"));
    let beside = |name: &String| hash(name) % PARTITIONS == hash("default") % PARTITIONS;
    names.into_iter().find(beside).unwrap_or_default()
}

/// The hash by which NATS divides subjects: FNV-1a, 32 bits.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // Test vectors of the hash's authors.
        assert_eq!([hash(""), hash("a"), hash("foobar")], [0x811C_9DC5, 0xE40C_292C, 0xBF9C_F968]);
        assert_eq!(hash(&neighbour()) % PARTITIONS, hash("default") % PARTITIONS);
    }
}
