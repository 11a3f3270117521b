//! What the HTTP client alone does against the same receiver, the roof over any dispatcher that uses it; and what the disk alone
//! does, which is waited for before an event is accepted.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::Failure;
use crate::process::now;
use crate::receiver::Receivers;

/// Requests per second with so many at a time, each as large and with as many headers as a delivery.
pub(crate) async fn requests_per_second(
    receiver: &Receivers,
    concurrency: usize,
    bytes: usize,
    duration: Duration,
) -> Result<f64, Failure> {
    receiver.reset();
    let client = reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true).build()?;
    let url = format!("http://{}/alone", receiver.address(0));
    let next = Arc::new(AtomicUsize::new(0));
    let start = now();
    let until = start + u64::try_from(duration.as_micros())?;
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..concurrency {
        let (client, url, next) = (client.clone(), url.clone(), Arc::clone(&next));
        loops.spawn(async move {
            let filler = "x".repeat(bytes.saturating_sub(24));
            while now() < until {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let mut request = client.post(&url).body(Bytes::from(format!("{{\"n\":{number},\"f\":\"{filler}\"}}")));
                for (name, value) in HEADERS {
                    request = request.header(*name, *value);
                }
                let answer = request.send().await?;
                answer.bytes().await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = loops.join_next().await {
        done??;
    }
    let seconds = Duration::from_micros(now() - start).as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    Ok(receiver.taken() as f64 / seconds)
}

/// How long it takes, in microseconds, until so many bytes more of a file are on disk, at so many times a second.
pub(crate) async fn syncs(bytes: usize, rate: u32, duration: Duration) -> Result<Vec<u64>, Failure> {
    let (mut file, event) = (tempfile::tempfile()?, vec![b'x'; bytes]);
    let (mut times, mut ticks) = (Vec::new(), tokio::time::interval(Duration::from_secs(1) / rate));
    let until = now() + u64::try_from(duration.as_micros())?;
    while now() < until {
        ticks.tick().await;
        let begun = now();
        tokio::task::block_in_place(|| file.write_all(&event).and_then(|()| file.sync_data()))?;
        times.push(now() - begun);
    }
    Ok(times)
}

/// Headers of the number and size that a delivery has.
const HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("user-agent", "Fanfare/0.1.0"),
    ("x-webhook-event", "bench.sent"),
    ("x-webhook-signature", "6aa5e9acb37cedd26d8dc70ab2412c5d94a66f6bbdd7c404052aa935d6989a51"),
    ("x-idempotency-key", "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11"),
    ("x-webhook-payload-version", "v2"),
    ("x-webhook-attempt", "1"),
    ("webhook-id", "5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11"),
    ("webhook-timestamp", "1765000001"),
    ("webhook-signature", "v1,4kZKzLsxVDfXXD/5QmtKg2JIbh0Par/PVRjDMWIBN2M="),
];
