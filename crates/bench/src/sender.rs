//! The sender of the bench: keep-alive connections that publish numbered events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::Failure;
use crate::process::{API_KEY, now};

/// One published event: its number, when its request began, and when it was answered 202.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) number: usize,
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
}

/// One keep-alive connection.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

impl Connection {
    async fn open(api: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(api).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // Ends when the sender is dropped.
            let _ = connection.await;
        });
        Ok(Self { sender, host: api.to_string() })
    }

    async fn publish(&mut self, body: Bytes) -> Result<StatusCode, Failure> {
        let request = Request::post("/v1/events")
            .header("host", &self.host)
            .header("x-api-key", API_KEY)
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        Ok(status)
    }
}

/// An event whose data has about `bytes` bytes and begins with its number.
fn event(number: usize, bytes: usize) -> Bytes {
    let filler = "x".repeat(bytes.saturating_sub(24));
    Bytes::from(format!("{{\"type\":\"bench.sent\",\"data\":{{\"n\":{number},\"f\":\"{filler}\"}}}}"))
}

/// Each connection publishes, waits for the answer, and publishes again, until the time is over.
pub(crate) async fn closed_loop(
    api: SocketAddr,
    connections: usize,
    bytes: usize,
    duration: Duration,
) -> Result<Vec<Published>, Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let until = now() + u64::try_from(duration.as_micros())?;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let next = Arc::clone(&next);
        senders.spawn(async move {
            let mut connection = Connection::open(api).await?;
            let mut published = Vec::new();
            while now() < until {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let sent = now();
                match connection.publish(event(number, bytes)).await? {
                    StatusCode::ACCEPTED => published.push(Published { number, sent, accepted: now() }),
                    // Held back: a sender does what Retry-After says, in spirit.
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    other => return Err(Failure::from(format!("an event was answered {other}"))),
                }
            }
            Ok(published)
        });
    }
    let mut all = Vec::new();
    while let Some(published) = senders.join_next().await {
        all.extend(published??);
    }
    Ok(all)
}

/// Publishes so many events, as fast as they are taken.
pub(crate) async fn all_of(api: SocketAddr, connections: usize, bytes: usize, events: usize) -> Result<(), Failure> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let next = Arc::clone(&next);
        senders.spawn(async move {
            let mut connection = Connection::open(api).await?;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= events {
                    return Ok::<(), Failure>(());
                }
                loop {
                    match connection.publish(event(number, bytes)).await? {
                        StatusCode::ACCEPTED => break,
                        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                        other => return Err(format!("an event was answered {other}").into()),
                    }
                }
            }
        });
    }
    while let Some(done) = senders.join_next().await {
        done??;
    }
    Ok(())
}

/// Publishes at a steady rate, whether or not earlier events have been answered.
pub(crate) async fn open_loop(
    api: SocketAddr,
    rate: u32,
    bytes: usize,
    duration: Duration,
) -> Result<Vec<Published>, Failure> {
    const CONNECTIONS: usize = 32;
    let (orders, taken) = mpsc::channel::<(usize, u64)>(4096);
    let taken = Arc::new(tokio::sync::Mutex::new(taken));
    let published = Arc::new(Mutex::new(Vec::new()));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (taken, published) = (Arc::clone(&taken), Arc::clone(&published));
        senders.spawn(async move {
            let mut connection = Connection::open(api).await?;
            loop {
                let order = taken.lock().await.recv().await;
                let Some((number, sent)) = order else { return Ok::<(), Failure>(()) };
                let status = connection.publish(event(number, bytes)).await?;
                if status != StatusCode::ACCEPTED {
                    return Err(format!("an event was answered {status}").into());
                }
                published.lock().push(Published { number, sent, accepted: now() });
            }
        });
    }
    let count = usize::try_from(duration.as_secs())? * rate as usize;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for number in 0..count {
        ticks.tick().await;
        orders.send((number, now())).await?;
    }
    drop(orders);
    while let Some(done) = senders.join_next().await {
        done??;
    }
    let published = std::mem::take(&mut *published.lock());
    Ok(published)
}
