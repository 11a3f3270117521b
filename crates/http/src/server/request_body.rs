//! A request's body that fails when it comes too slowly.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// A body was not complete in time. [`crate::body::BodyReader`] answers it with 408.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body was not complete within {allowed:?}")]
pub struct BodyTimeout {
    /// How long it may take.
    pub allowed: Duration,
}

/// A body with a time limit for the whole of it, counted from the first wait. One that came together with the header, as
/// most do, never sets a timer.
pub struct TimedBody<B, F: FnMut()> {
    body: B,
    allowed: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
    /// Called when the body is dropped before its end.
    when_left_unread: F,
}

impl<B: Body, F: FnMut()> TimedBody<B, F> {
    /// A body that has to be complete within `allowed`, and calls `when_left_unread` when it is dropped before its end.
    pub fn new(body: B, allowed: Duration, when_left_unread: F) -> Self {
        let ended = body.is_end_stream();
        Self { body, allowed, timer: None, ended, when_left_unread }
    }
}

impl<B, F> Body for TimedBody<B, F>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: FnMut() + Unpin,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.ended = frame.is_none() || this.body.is_end_stream();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let allowed = this.allowed;
        let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(allowed)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Some(Err(Box::new(BodyTimeout { allowed }))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B, F: FnMut()> Drop for TimedBody<B, F> {
    fn drop(&mut self) {
        if !self.ended {
            (self.when_left_unread)();
        }
    }
}

impl<B: std::fmt::Debug, F: FnMut()> std::fmt::Debug for TimedBody<B, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimedBody").field("body", &self.body).field("allowed", &self.allowed).finish_non_exhaustive()
    }
}
