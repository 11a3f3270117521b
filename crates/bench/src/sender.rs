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
use tokio::sync::{mpsc, watch};

use crate::Failure;
use crate::process::{API_KEY, now};

/// One published event: its number, when its request began, and when it was answered 202.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) number: usize,
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
}

/// Which types events have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// All this one.
    One(&'static str),
    /// All this one, and all about one subject, so that they stay in order.
    OneLine(&'static str),
    /// So many, in turn: `bench.for0`, `bench.for1`, …
    InTurn(usize),
}

impl Kind {
    /// The type of one of those in turn.
    pub(crate) fn in_turn(index: usize) -> String {
        format!("bench.for{index}")
    }
}

/// A stream of events to one API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) api: SocketAddr,
    /// About how large an event's data is.
    pub(crate) bytes: usize,
    pub(crate) kind: Kind,
}

/// What came of a stream at a steady rate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// What was accepted, in order of acceptance.
    pub(crate) published: Vec<Published>,
    /// How often a publisher was told to wait, 429 or 503, and tried again.
    pub(crate) held_back: usize,
}

/// How long a publisher waits that is told to: it does what `Retry-After` says, in spirit.
const HELD_BACK: Duration = Duration::from_millis(100);

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

    /// Publishes until it is accepted. Returns how often it was told to wait.
    async fn publish(&mut self, body: &Bytes) -> Result<usize, Failure> {
        let mut held_back = 0;
        loop {
            match self.publish_once(body.clone()).await? {
                StatusCode::ACCEPTED => return Ok(held_back),
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                    held_back += 1;
                    tokio::time::sleep(HELD_BACK).await;
                }
                other => return Err(format!("an event was answered {other}").into()),
            }
        }
    }

    async fn publish_once(&mut self, body: Bytes) -> Result<StatusCode, Failure> {
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

impl Stream {
    /// An event whose data has about so many bytes and begins with its number.
    fn event(&self, number: usize) -> Bytes {
        let filler = "x".repeat(self.bytes.saturating_sub(24));
        let attributes = match self.kind {
            Kind::One(name) => format!("\"type\":\"{name}\""),
            Kind::OneLine(name) => format!("\"type\":\"{name}\",\"id\":\"{number}\",\"subject\":\"all\""),
            Kind::InTurn(count) => format!("\"type\":\"{}\"", Kind::in_turn(number % count)),
        };
        Bytes::from(format!("{{{attributes},\"data\":{{\"n\":{number},\"f\":\"{filler}\"}}}}"))
    }

    /// Each connection publishes, waits for the answer, and publishes again, until the time is over.
    pub(crate) async fn closed_loop(self, connections: usize, duration: Duration) -> Result<Vec<Published>, Failure> {
        let next = Arc::new(AtomicUsize::new(0));
        let until = now() + u64::try_from(duration.as_micros())?;
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..connections {
            let next = Arc::clone(&next);
            senders.spawn(async move {
                let mut connection = Connection::open(self.api).await?;
                let mut published = Vec::new();
                while now() < until {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let sent = now();
                    connection.publish(&self.event(number)).await?;
                    published.push(Published { number, sent, accepted: now() });
                }
                Ok::<_, Failure>(published)
            });
        }
        let mut all = Vec::new();
        while let Some(published) = senders.join_next().await {
            all.extend(published??);
        }
        Ok(all)
    }

    /// Publishes so many events, as fast as they are taken. Returns how often a publisher was told to wait.
    pub(crate) async fn all_of(self, connections: usize, events: usize) -> Result<usize, Failure> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..connections {
            let next = Arc::clone(&next);
            senders.spawn(async move {
                let mut connection = Connection::open(self.api).await?;
                let mut held_back = 0;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= events {
                        return Ok::<_, Failure>(held_back);
                    }
                    held_back += connection.publish(&self.event(number)).await?;
                }
            });
        }
        let mut held_back = 0;
        while let Some(done) = senders.join_next().await {
            held_back += done??;
        }
        Ok(held_back)
    }

    /// Publishes at a steady rate for so long, or until told to stop, whether or not earlier events have been answered. The
    /// first event has this number.
    pub(crate) async fn open_loop(
        self,
        first: usize,
        rate: u32,
        duration: Duration,
        stop: watch::Receiver<bool>,
    ) -> Result<Sent, Failure> {
        const CONNECTIONS: usize = 32;
        let (orders, taken) = mpsc::channel::<(usize, u64)>(4096);
        let taken = Arc::new(tokio::sync::Mutex::new(taken));
        let all = Arc::new(Mutex::new(Sent::default()));
        let mut senders = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (taken, all) = (Arc::clone(&taken), Arc::clone(&all));
            senders.spawn(async move {
                let mut connection = Connection::open(self.api).await?;
                loop {
                    let order = taken.lock().await.recv().await;
                    let Some((number, sent)) = order else { return Ok::<(), Failure>(()) };
                    let held_back = connection.publish(&self.event(number)).await?;
                    let published = Published { number, sent, accepted: now() };
                    let mut all = all.lock();
                    all.published.push(published);
                    all.held_back += held_back;
                }
            });
        }
        drop(taken);
        let count = usize::try_from(duration.as_secs())? * rate as usize;
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        for number in first..first + count {
            ticks.tick().await;
            // A failed sender closes the channel when the last one has failed; its failure is found below.
            if *stop.borrow() || orders.send((number, now())).await.is_err() {
                break;
            }
        }
        drop(orders);
        while let Some(done) = senders.join_next().await {
            done??;
        }
        let sent = std::mem::take(&mut *all.lock());
        Ok(sent)
    }
}

/// Never tells a stream to stop.
pub(crate) fn to_the_end() -> watch::Receiver<bool> {
    // What its sender said last stays readable.
    watch::Sender::new(false).subscribe()
}
