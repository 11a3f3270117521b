//! Request bodies, read within a bound that holds while they stream in.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::problem::Problem;
use crate::server::BodyTimeout;

/// Reads a whole body of at most `limit` bytes. One whose `Content-Length` is larger is refused before any of it is read.
///
/// # Errors
/// 413 when it is larger, 408 when it comes too slowly, 400 when it ends early.
pub async fn read_body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut reader = BodyReader::new(body);
    loop {
        if reader.announced() > limit as u64 {
            return Err(Problem::payload_too_large("the body", limit));
        }
        if !reader.more().await? {
            return Ok(reader.finish());
        }
    }
}

/// Reads a body piece by piece, for readers that decide on the way how much they take.
#[derive(Debug)]
pub struct BodyReader {
    body: Body,
    /// The first piece, kept as it came: most bodies have no second one, and then nothing is copied.
    first: Bytes,
    /// All pieces in a row, once there are two.
    joined: BytesMut,
}

impl BodyReader {
    /// A reader that has read nothing yet.
    pub fn new(body: Body) -> Self {
        Self { body, first: Bytes::new(), joined: BytesMut::new() }
    }

    /// How many bytes the body has at least: what has come, and what `Content-Length` says is still to come.
    pub fn announced(&self) -> u64 {
        (self.so_far().len() as u64).saturating_add(self.body.size_hint().lower())
    }

    /// What has come so far.
    pub fn so_far(&self) -> &[u8] {
        if self.joined.is_empty() { &self.first } else { &self.joined }
    }

    /// Waits for the next piece; false at the end.
    ///
    /// # Errors
    /// 408 when it comes too slowly, 400 when the body ends early.
    pub async fn more(&mut self) -> Result<bool, Problem> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| broken_body(&error))?;
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    self.push(data);
                    return Ok(true);
                }
                // Trailers: nobody here reads them.
                Err(_) => {}
            }
        }
        Ok(false)
    }

    /// The whole body, after [`Self::more`] has said that there is no more.
    pub fn finish(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }

    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.joined.is_empty() {
            self.joined.extend_from_slice(&self.first);
        }
        self.joined.extend_from_slice(&data);
    }
}

/// The problem behind an error of a body: too slow, or cut off.
fn broken_body(error: &axum::Error) -> Problem {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(timeout) = error.downcast_ref::<BodyTimeout>() {
            return Problem::body_timeout(timeout.allowed);
        }
        cause = error.source();
    }
    Problem::invalid("$", "the body ended early or its framing is broken")
}
