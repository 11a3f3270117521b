//! What stands between a connection and the router: counts requests in flight, times bodies, catches panics.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tower::Service as _;

use super::request_body::TimedBody;
use crate::problem::Problem;

/// What a connection is at.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests whose answer is not finished.
    in_flight: AtomicUsize,
    /// Requests ever.
    started: AtomicU64,
    /// Whether a request's body was dropped before its end.
    body_left_unread: AtomicBool,
    /// The stream, after the connection has let go of it.
    stream: Mutex<Option<TcpStream>>,
}

impl Activity {
    /// Ends when there has been no request for `after`, or for twice as long at the latest. Looking now and then, instead of
    /// setting a timer with each request, costs a busy connection nothing.
    pub(super) async fn idle(&self, after: Duration) {
        let mut seen = self.started.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(after).await;
            let started = self.started.load(Ordering::Relaxed);
            if started == seen && self.in_flight.load(Ordering::Relaxed) == 0 {
                return;
            }
            seen = started;
        }
    }

    /// Notes that a request's body was not read to its end.
    pub(super) fn leave_body_unread(&self) {
        self.body_left_unread.store(true, Ordering::Relaxed);
    }

    /// Keeps the stream that the connection has let go of.
    pub(super) fn give_back(&self, stream: TcpStream) {
        *self.stream.lock() = Some(stream);
    }

    /// The stream, if the client may still be sending a body that nobody reads.
    pub(super) fn take_stream_to_linger_on(&self) -> Option<TcpStream> {
        let stream = self.stream.lock().take();
        stream.filter(|_| self.body_left_unread.load(Ordering::Relaxed))
    }
}

/// A request in flight; until dropped.
struct InFlight(Arc<Activity>);

impl InFlight {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.started.fetch_add(1, Ordering::Relaxed);
        activity.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The router as one connection sees it.
pub(super) struct Edge {
    router: Router,
    activity: Arc<Activity>,
    body_timeout: Duration,
}

impl Edge {
    pub(super) fn new(router: Router, activity: Arc<Activity>, body_timeout: Duration) -> Self {
        Self { router, activity, body_timeout }
    }
}

impl hyper::service::Service<Request<Incoming>> for Edge {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::begin(&self.activity);
        let (activity, body_timeout) = (Arc::clone(&self.activity), self.body_timeout);
        let request =
            request.map(|body| Body::new(TimedBody::new(body, body_timeout, move || activity.leave_body_unread())));
        let mut router = self.router.clone();
        Box::pin(async move {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            let answer = AssertUnwindSafe(async move { router.call(request).await }).catch_unwind().await;
            let response = match answer {
                Ok(Ok(response)) => response,
                Err(_) => {
                    // The panic's text has gone to the panic hook.
                    tracing::error!(%method, path = uri.path(), "a request's handler panicked");
                    Problem::internal().into_response()
                }
            };
            Ok(response.map(|body| AnswerBody { body, _in_flight: in_flight }))
        })
    }
}

/// An answer's body; the request is in flight until it is gone.
pub(super) struct AnswerBody {
    body: Body,
    _in_flight: InFlight,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
