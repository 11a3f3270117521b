//! Senders that publish straight to NATS: one that waits for acknowledgements, and one that means no good.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Failure;
use crate::process::now;
use crate::sender::Published;

/// How often a flood sends what has come together since.
const TICK: Duration = Duration::from_millis(5);

/// Publishes for the project `default` at a steady rate, whether or not earlier events have been acknowledged. Numbers begin
/// at `first`.
pub(crate) async fn open_loop(
    nats: SocketAddr,
    rate: u32,
    bytes: usize,
    first: usize,
    duration: Duration,
) -> Result<Vec<Published>, Failure> {
    let stream = jetstream::new(async_nats::connect(format!("nats://{nats}")).await?);
    let published = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = JoinSet::new();
    let count = usize::try_from(duration.as_secs())? * rate as usize;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let filler = "x".repeat(bytes.saturating_sub(24));
    for number in first..first + count {
        ticks.tick().await;
        let (stream, published) = (stream.clone(), Arc::clone(&published));
        let body = Bytes::from(format!("{{\"data\":{{\"n\":{number},\"f\":\"{filler}\"}}}}"));
        waiting.spawn(async move {
            let sent = now();
            stream.publish("fanfare.events.default.bench.sent", body).await?.await?;
            published.lock().push(Published { number, sent, accepted: now() });
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = waiting.join_next().await {
        done??;
    }
    Ok(std::mem::take(&mut *published.lock()))
}

/// What a flood is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flood {
    /// Messages that are no events, each for one of several reasons.
    Invalid,
    /// Events.
    Valid,
}

impl Flood {
    fn message(self, number: usize, bytes: usize) -> Bytes {
        let filler = "x".repeat(bytes.saturating_sub(24));
        Bytes::from(match (self, number % 4) {
            (Self::Valid, _) => format!("{{\"data\":{{\"f\":\"{filler}\",\"hostile\":{number}}}}}"),
            (Self::Invalid, 0) => format!("{{\"data\":{{\"f\":\"{filler}\""),
            (Self::Invalid, 1) => format!("{{\"nothing\":{{\"f\":\"{filler}\"}}}}"),
            (Self::Invalid, 2) => format!("{{\"type\":\"another\",\"data\":{{\"f\":\"{filler}\"}}}}"),
            (Self::Invalid, _) => format!("{{\"id\":\"a b\",\"data\":{{\"f\":\"{filler}\"}}}}"),
        })
    }
}

/// Publishes at that rate to the project, without caring for answers, until it is told to stop; returns how many.
pub(crate) async fn flood(
    nats: SocketAddr,
    project: &str,
    flood: Flood,
    (rate, bytes): (u32, usize),
    mut stop: watch::Receiver<bool>,
) -> Result<u64, Failure> {
    let client = async_nats::connect(format!("nats://{nats}")).await?;
    let subject = async_nats::Subject::from(format!("fanfare.events.{project}.bench.sent"));
    let start = now();
    let mut sent = 0_u64;
    let mut ticks = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(sent),
            _ = ticks.tick() => {}
        }
        let wanted = (now() - start) * u64::from(rate) / 1_000_000;
        while sent < wanted {
            client.publish(subject.clone(), flood.message(usize::try_from(sent)?, bytes)).await?;
            sent += 1;
        }
        client.flush().await?;
    }
}
