//! The scenario "due": many deliveries that fall due within a minute, and how late each is.
//!
//! The receiver refuses every delivery once, and says by `Retry-After` in which second of the minute it is to come back; the
//! webhooks' own schedules are shorter. What it waits for is the second request of each, against the time that it named.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::Failure;
use crate::options::Options;
use crate::process::{Fanfare, Quota, now};
use crate::receiver::number;
use crate::sender;

/// To so many webhooks each event goes: enough that no lane is the bottleneck.
const WEBHOOKS: usize = 20;
/// In how many seconds all fall due.
const WINDOW: u64 = 60;
/// How many first attempts a second are reckoned with; all are to be made before the window begins.
const FIRST_ATTEMPTS: u64 = 1500;
/// How long the last ones may take after the window.
const PATIENCE: Duration = Duration::from_secs(300);
const SECOND: u64 = 1_000_000;

/// What the scenario gave.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) deliveries: usize,
    /// Those whose first attempt came too late for the window.
    pub(crate) after_window: usize,
    /// Requests beyond the two that each delivery takes.
    pub(crate) duplicates: u64,
    /// Microseconds at the 50th and 99th percentile, and the most.
    pub(crate) late: [u64; 3],
    pub(crate) nats_memory: Option<u64>,
    pub(crate) peak_memory: u64,
}

struct Seen {
    address: SocketAddr,
    /// When the window begins.
    begins: u64,
    /// Microseconds at which each is due; 0 before its first request.
    due: Vec<AtomicU64>,
    /// How late its second request was, plus one; 0 before it.
    late: Vec<AtomicU64>,
    duplicates: AtomicU64,
    left: watch::Sender<usize>,
}

/// Runs it.
pub(crate) async fn run(options: &Options) -> Result<Due, Failure> {
    let events = (options.deliveries / WEBHOOKS).max(1);
    let deliveries = events * WEBHOOKS;
    let fanfare = Fanfare::start(options.engine, Quota::Open).await?;
    let begins = now() + (5 + deliveries as u64 / FIRST_ATTEMPTS) * SECOND;
    let seen = start(begins, deliveries).await?;
    for webhook in 0..WEBHOOKS {
        fanfare.create_webhook(&format!("http://{}/{webhook}", seen.address)).await?;
    }
    sender::all_of(fanfare.api, options.connections, options.bytes, events).await?;
    let mut left = seen.left.subscribe();
    let within = Duration::from_micros(begins.saturating_sub(now())) + Duration::from_secs(WINDOW) + PATIENCE;
    let waiting = tokio::time::timeout(within, left.wait_for(|left| *left == 0)).await;
    if waiting.is_err() {
        return Err(format!("{} of {deliveries} deliveries have not come again", *seen.left.borrow()).into());
    }
    let end = begins + WINDOW * SECOND;
    let after_window = seen.due.iter().filter(|due| due.load(Ordering::Relaxed) >= end).count();
    let mut late: Vec<u64> = seen.late.iter().map(|late| late.load(Ordering::Relaxed) - 1).collect();
    late.sort_unstable();
    let at = |percent: usize| late.get((late.len() * percent / 100).min(late.len() - 1)).copied().unwrap_or_default();
    Ok(Due {
        deliveries,
        after_window,
        duplicates: seen.duplicates.load(Ordering::Relaxed),
        late: [at(50), at(99), at(100)],
        nats_memory: fanfare.peak_memory_of("nats-server")?,
        peak_memory: fanfare.peak_memory()?,
    })
}

async fn start(begins: u64, deliveries: usize) -> Result<Arc<Seen>, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let none = || (0..deliveries).map(|_| AtomicU64::new(0)).collect();
    let seen = Arc::new(Seen {
        address: listener.local_addr()?,
        begins,
        due: none(),
        late: none(),
        duplicates: AtomicU64::new(0),
        left: watch::Sender::new(deliveries),
    });
    let accepting = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let seen = Arc::clone(&accepting);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&seen), request));
                // A connection that the other side closes is the normal end.
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(seen)
}

async fn answer(seen: Arc<Seen>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let arrived = now();
    let mut response = Response::new(Empty::new());
    let webhook = request.uri().path().trim_start_matches('/').parse::<usize>().ok();
    let Ok(body) = request.into_body().collect().await else { return Ok(response) };
    let index = number(&body.to_bytes()).zip(webhook).map(|(number, webhook)| number * WEBHOOKS + webhook);
    let Some((due, late)) = index.and_then(|index| seen.due.get(index).zip(seen.late.get(index))) else {
        return Ok(response);
    };
    match due.load(Ordering::Relaxed) {
        0 => {
            // Spread evenly over the window's seconds; whole seconds from now on, as the header counts.
            let second = index.map_or(0, |index| index as u64 % WINDOW);
            let wanted = seen.begins + second * SECOND;
            let wait = wanted.saturating_sub(arrived).div_ceil(SECOND).max(1);
            due.store(arrived + wait * SECOND, Ordering::Relaxed);
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response.headers_mut().insert("retry-after", wait.into());
        }
        due => {
            let first = late.compare_exchange(0, 1 + arrived.saturating_sub(due), Ordering::Relaxed, Ordering::Relaxed);
            if first.is_ok() {
                seen.left.send_modify(|left| *left -= 1);
            } else {
                seen.duplicates.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(response)
}
