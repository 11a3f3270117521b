//! Receivers on loopback, in the bench's own process: each has a port of its own, as every receiver has a host of its own,
//! and answers as a script says.
//!
//! They must not disturb what is measured: a request costs its parsing and the script, and waiting costs a timer.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use crate::Failure;
use crate::process::now;

/// A request that has been read.
#[derive(Debug)]
pub(crate) struct Got<'r> {
    /// Which receiver got it, from 0.
    pub(crate) receiver: usize,
    /// When its head had come, in microseconds of [`now`].
    pub(crate) at: u64,
    /// How many requests this receiver has at once, this one included.
    pub(crate) at_once: usize,
    pub(crate) path: &'r str,
    pub(crate) body: &'r [u8],
}

/// What is answered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This status at once.
    Now(u16),
    /// This status after a while.
    After(Duration, u16),
    /// 425 (too early) at once, with so many seconds in `Retry-After`: says nothing of how much the receiver can take.
    RetryAfter(u64),
    /// Nothing, until the other side gives up.
    Never,
    /// The connection is reset.
    Reset,
}

type Script = dyn Fn(&Got<'_>) -> Answer + Send + Sync;

/// Running receivers. They end with the runtime.
#[derive(Debug)]
pub(crate) struct Rig {
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Rig {
    /// Starts so many receivers with one script.
    pub(crate) async fn start(
        receivers: usize,
        script: impl Fn(&Got<'_>) -> Answer + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let script: Arc<Script> = Arc::new(script);
        let mut addresses = Vec::with_capacity(receivers);
        for receiver in 0..receivers {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            addresses.push(listener.local_addr()?);
            let one = Arc::new(One { receiver, open: AtomicUsize::new(0), script: Arc::clone(&script) });
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&one)));
                }
            });
        }
        Ok(Self { addresses })
    }
}

/// One receiver.
struct One {
    receiver: usize,
    /// Requests that are not answered yet.
    open: AtomicUsize,
    script: Arc<Script>,
}

/// A request while it is being answered, or until its connection ends.
struct Open<'o>(&'o AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// No answer: the connection is to be reset.
#[derive(Debug)]
struct NoAnswer;

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is to be reset")
    }
}

impl std::error::Error for NoAnswer {}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Empty<Bytes>>, NoAnswer>> + Send>>;

async fn serve(stream: TcpStream, one: Arc<One>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| Box::pin(answer(Arc::clone(&one), request)) as Answering);
    let mut connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = std::future::poll_fn(|context| connection.poll_without_shutdown(context)).await;
    // A connection that the other side closes is the normal end; one that is to be reset must not be closed in order.
    if ended.is_err_and(|error| error.is_user()) {
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn answer(one: Arc<One>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, NoAnswer> {
    let at = now();
    let at_once = one.open.fetch_add(1, Ordering::Relaxed) + 1;
    let _open = Open(&one.open);
    let (head, body) = request.into_parts();
    // A body that breaks off is a request that was not received.
    let Ok(body) = body.collect().await else { return Err(NoAnswer) };
    let body = body.to_bytes();
    let got = Got { receiver: one.receiver, at, at_once, path: head.uri.path(), body: &body };
    let mut response = Response::new(Empty::new());
    match (one.script)(&got) {
        Answer::Now(status) => *response.status_mut() = status_of(status),
        Answer::After(wait, status) => {
            tokio::time::sleep(wait).await;
            *response.status_mut() = status_of(status);
        }
        Answer::RetryAfter(seconds) => {
            *response.status_mut() = StatusCode::TOO_EARLY;
            response.headers_mut().insert("retry-after", seconds.into());
        }
        Answer::Never => std::future::pending().await,
        Answer::Reset => return Err(NoAnswer),
    }
    Ok(response)
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The number that an event's data begins with.
pub(crate) fn number(body: &[u8]) -> Option<usize> {
    let digits = body.strip_prefix(b"{\"n\":")?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}
