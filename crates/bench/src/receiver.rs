//! The receiver of the bench: answers 200 to everything, and notes when each event arrived first.
//!
//! An event's data begins with `{"n":<number>`, so that the receiver knows it without parsing.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Failure;
use crate::process::now;

/// Room for the arrival times of so many events; later ones are counted only.
const NOTED: usize = 4_000_000;

/// A running receiver.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// Microseconds of the first arrival by number, 0 for none.
    arrivals: Vec<AtomicU64>,
    count: AtomicU64,
    told: watch::Sender<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrivals = (0..NOTED).map(|_| AtomicU64::new(0)).collect();
        let seen = Arc::new(Seen { arrivals, count: AtomicU64::new(0), told: watch::Sender::new(()) });
        let accepting = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let seen = Arc::clone(&accepting);
                tokio::spawn(async move {
                    let service = service_fn(move |request| receive(Arc::clone(&seen), request));
                    let http = hyper::server::conn::http1::Builder::new();
                    // A connection that the other side closes is the normal end.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, seen })
    }

    /// How many requests have arrived since the last reset.
    pub(crate) fn count(&self) -> u64 {
        self.seen.count.load(Ordering::Relaxed)
    }

    /// Forgets everything; call it while nothing is on its way.
    pub(crate) fn reset(&self) {
        self.seen.count.store(0, Ordering::Relaxed);
        self.seen.arrivals.iter().for_each(|arrival| arrival.store(0, Ordering::Relaxed));
    }

    /// When event `number` arrived first, in microseconds of [`now`].
    pub(crate) fn arrival(&self, number: usize) -> Option<u64> {
        self.seen.arrivals.get(number).map(|arrival| arrival.load(Ordering::Relaxed)).filter(|micros| *micros > 0)
    }

    /// Waits until so many requests have arrived.
    pub(crate) async fn wait_for(&self, count: u64) {
        let mut told = self.seen.told.subscribe();
        while self.count() < count {
            if told.changed().await.is_err() {
                return;
            }
        }
    }
}

async fn receive(seen: Arc<Seen>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let arrived = now();
    if let Ok(body) = request.into_body().collect().await {
        if let Some(slot) = number(&body.to_bytes()).and_then(|number| seen.arrivals.get(number)) {
            let _ = slot.compare_exchange(0, arrived, Ordering::Relaxed, Ordering::Relaxed);
        }
        seen.count.fetch_add(1, Ordering::Relaxed);
        seen.told.send_replace(());
    }
    Ok(Response::new(Empty::new()))
}

/// The number that an event's data begins with.
pub(crate) fn number(body: &[u8]) -> Option<usize> {
    let digits = body.strip_prefix(b"{\"n\":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
