//! A receiver: records every request that reaches it and answers as the test says.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::authority::Authority;

/// How long a test waits for what must happen, in seconds; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that a receiver got.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its place among all requests of the receiver, from 0.
    pub index: usize,
    /// The path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When its body had come, since the receiver was started.
    pub at: Duration,
    /// How many requests the receiver had at once, this one included.
    pub at_once: usize,
}

impl Received {
    /// A header's text; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The idempotency key.
    pub fn key(&self) -> &str {
        self.header("x-idempotency-key")
    }
}

/// What a receiver answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This status, an empty body.
    Status(u16),
    /// This status, these headers, this body.
    Full(u16, Vec<(&'static str, String)>, Bytes),
    /// This status after a while, an empty body.
    After(Duration, u16),
    /// Nothing, until the receiver is stopped.
    Hang,
    /// The connection is reset.
    Reset,
}

type Script = dyn Fn(&Received) -> Reply + Send + Sync;

/// A running receiver. It stops when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<State>,
    _stop: DropGuard,
}

struct State {
    script: Mutex<Arc<Script>>,
    received: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    started: Instant,
    /// Requests that are not answered yet, as long as their connections last.
    open: AtomicUsize,
    stop: CancellationToken,
}

/// A request while it is being answered.
struct Open<'o>(&'o AtomicUsize);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// No answer: the connection is to be reset.
#[derive(Debug)]
struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is to be reset")
    }
}

impl std::error::Error for NoAnswer {}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, NoAnswer>> + Send>>;

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Receives over plain http on a free loopback port.
    pub async fn http(script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script)).await
    }

    /// Receives over https, with a certificate of the authority for `localhost`.
    pub async fn https(authority: &Authority, script: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(Some(TlsAcceptor::from(authority.server_config())), Arc::new(script)).await
    }

    async fn start(tls: Option<TlsAcceptor>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("the listener is bound");
        let stop = CancellationToken::new();
        let state = Arc::new(State {
            script: Mutex::new(script),
            received: Mutex::default(),
            count: watch::Sender::new(0),
            started: Instant::now(),
            open: AtomicUsize::new(0),
            stop: stop.clone(),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    () = accepting.stop.cancelled() => return,
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => stream,
                        Err(_) => continue,
                    },
                };
                let _ = stream.set_nodelay(true);
                let (state, tls) = (Arc::clone(&accepting), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => {
                            if let Some(stream) = serve(stream, state).await {
                                let _ = stream.set_zero_linger();
                            }
                        }
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await
                                && let Some(stream) = serve(stream, state).await
                            {
                                let _ = stream.get_ref().0.set_zero_linger();
                            }
                        }
                    }
                });
            }
        });
        Self { address, scheme, state, _stop: stop.drop_guard() }
    }

    /// A URL of this receiver, by the name `localhost` for https and the address for http.
    pub fn url(&self, path: &str) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}{path}", self.scheme, self.address.port())
    }

    /// Answers differently from now on.
    pub fn answer(&self, script: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *self.state.script.lock() = Arc::new(script);
    }

    /// What has been received so far, in order of arrival.
    pub fn so_far(&self) -> Vec<Received> {
        self.state.received.lock().clone()
    }

    /// Waits until at least `count` requests have arrived, and returns all so far.
    ///
    /// # Panics
    /// When they have not after a minute.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        self.until(&format!("{count} requests"), |received| received.len() >= count).await
    }

    /// Waits until what has been received is as wanted, and returns it.
    ///
    /// # Panics
    /// When it is not after a minute.
    pub async fn until(&self, wanted: &str, done: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut count = self.state.count.subscribe();
        let waiting = async {
            loop {
                {
                    let received = self.state.received.lock();
                    if done(&received) {
                        return received.clone();
                    }
                }
                if count.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(received) => received,
            Err(_) => panic!("waited {PATIENCE:?} for {wanted}; {} requests arrived", self.so_far().len()),
        }
    }
}

/// Serves a connection to its end. Returns it if it is to be reset instead of being closed in order.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, state: Arc<State>) -> Option<S> {
    let handling = Arc::clone(&state);
    let service = service_fn(move |request| Box::pin(handle(Arc::clone(&handling), request)) as Answering);
    let mut connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = tokio::select! {
        () = state.stop.cancelled() => return None,
        // A client that goes away in the middle is what some tests are about.
        ended = std::future::poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
    };
    ended.is_err_and(|error| error.is_user()).then(|| connection.into_parts().io.into_inner())
}

async fn handle(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let at_once = state.open.fetch_add(1, Ordering::Relaxed) + 1;
    let _open = Open(&state.open);
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let headers = request.headers().clone();
    // A body that breaks off is a request that was not received.
    let Ok(body) = request.into_body().collect().await else { return Ok(reply(400, &[], Bytes::new())) };
    let received = {
        let mut all = state.received.lock();
        let (body, at) = (body.to_bytes(), state.started.elapsed());
        let received = Received { index: all.len(), path, headers, body, at, at_once };
        all.push(received.clone());
        state.count.send_replace(all.len());
        received
    };
    let script = Arc::clone(&state.script.lock());
    Ok(match script(&received) {
        Reply::Status(status) => reply(status, &[], Bytes::new()),
        Reply::Full(status, headers, body) => reply(status, &headers, body),
        Reply::After(wait, status) => {
            tokio::time::sleep(wait).await;
            reply(status, &[], Bytes::new())
        }
        Reply::Hang => {
            state.stop.cancelled().await;
            reply(503, &[], Bytes::new())
        }
        Reply::Reset => return Err(NoAnswer),
    })
}

fn reply(status: u16, headers: &[(&'static str, String)], body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("tests answer with valid statuses");
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().expect("tests answer with valid headers"));
    }
    response
}
