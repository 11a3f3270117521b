//! Which webhooks an event goes to: an index whose cost does not grow with the webhooks that do not match.

use serde::{Deserialize, Serialize};

use crate::event::EventHeader;
use crate::ids::WebhookId;
use crate::webhook::Webhook;

/// Why an event did not go to a webhook of its project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NonMatch {
    /// The webhook was made after the event was matched.
    NotYetCreated,
    /// Its owner had deactivated it.
    Inactive,
    /// It is not subscribed to the type.
    Type,
    /// It is limited to another source.
    Source,
}

/// Why the event does not go to this webhook; `None` if it does. The rule that the index must agree with.
pub fn non_match(webhook: &Webhook, event: &EventHeader) -> Option<NonMatch> {
    let _ = (webhook, event);
    todo!()
}

/// The index over the active webhooks of all projects.
#[derive(Debug, Default)]
pub struct MatchIndex {}

impl MatchIndex {
    /// An empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a webhook, or replaces what is indexed of it.
    pub fn insert(&mut self, webhook: &Webhook) {
        let _ = webhook;
        todo!()
    }

    /// Forgets a webhook.
    pub fn remove(&mut self, webhook: WebhookId) {
        let _ = webhook;
        todo!()
    }

    /// Appends to `found` the webhooks that the event goes to, each once, in order of their id.
    pub fn matches(&self, event: &EventHeader, found: &mut Vec<WebhookId>) {
        let _ = (event, found);
        todo!()
    }
}
