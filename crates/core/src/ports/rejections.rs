//! What producers handed to the broker and could not become an event: kept for a while, for its project to see.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::StoreResult;
use crate::clock::Timestamp;
use crate::ids::ProjectId;

/// A rejection's place; rises strictly, gaps allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RejectedPosition(pub u64);

/// A message that was rejected.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Its place among the rejected.
    pub position: RejectedPosition,
    /// When it was published.
    pub at: Timestamp,
    /// The subject that it was published under.
    pub subject: String,
    /// What kind of refusal it is, such as `invalid-request`.
    pub code: String,
    /// Where in it, as a JSON path or a header's name.
    pub field: String,
    /// What is wrong and what is allowed.
    pub reason: String,
    /// Its headers, where they are well-formed and not too many.
    pub headers: Vec<(String, String)>,
    /// Its headers as they came, where they are not.
    pub raw_headers: Option<Bytes>,
    /// The beginning of its body.
    pub body: Bytes,
    /// How many bytes the body has.
    pub body_bytes: usize,
}

/// Some of a project's rejections.
#[derive(Clone, Debug, Default)]
pub struct RejectedPage {
    /// The newest first.
    pub rejected: Vec<Rejected>,
    /// Whether there are older ones.
    pub more: bool,
}

/// What was rejected. An engine without a broker has nothing to reject: its producers are answered.
#[async_trait]
pub trait Rejections: Send + Sync {
    /// A project's newest rejections, at most `max`, of those before a place if one is given; of each body no more than the first
    /// `body_bytes`.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn newest(
        &self,
        project: &ProjectId,
        before: Option<RejectedPosition>,
        max: usize,
        body_bytes: usize,
    ) -> StoreResult<RejectedPage>;
}

impl fmt::Debug for dyn Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rejections")
    }
}
