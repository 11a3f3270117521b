//! Events that stand in the log and cannot be read: put aside among the rejected, so that those behind them go on.

use async_nats::jetstream::Message;
use fanfare_core::clock::Timestamp;
use fanfare_core::ports::{StoreError, StoreResult};
use fanfare_runtime::tasks::report;

use crate::Distributed;
use crate::rejected::Kept;

const DOING: &str = "put an event aside that cannot be read";

/// One that has not been put aside yet.
pub(super) struct Unreadable {
    pub(super) sequence: u64,
    pub(super) message: Message,
    pub(super) error: StoreError,
}

impl Unreadable {
    /// Keeps it whole among the rejected of its project, and says so. After a crash it is recognised.
    pub(super) async fn put_aside(&self, engine: &Distributed) -> StoreResult<()> {
        let (names, subject) = (&engine.shared.names, self.message.subject.as_str());
        let published = self.message.info().ok().map(|info| info.published.unix_timestamp_nanos() / 1_000_000);
        let at =
            published.and_then(|millis| i64::try_from(millis).ok()).map_or(Timestamp::EPOCH, Timestamp::from_millis);
        let error = report(&self.error).to_string();
        let kept = Kept {
            subject: subject.to_owned(),
            published_at: at.to_string(),
            code: "unreadable-event".to_owned(),
            field: "$".to_owned(),
            reason: error.clone(),
            headers: None,
            raw_headers: None,
        };
        let headers = self.message.headers.iter().flat_map(async_nats::HeaderMap::iter);
        let headers = headers.flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let headers = headers.map(|(name, value)| (name.to_string(), value.as_str().to_owned())).collect();
        let kept = kept.with_headers(headers, true, b"");
        let project = names.accepted_project(subject).unwrap_or_default();
        let id = format!("unreadable:{}:{}", self.sequence, at.as_millis());
        engine.shared.store.publish(DOING, kept.draft(names, project, self.message.payload.clone(), &id)).await?;
        engine.shared.metrics.unreadable.with_label_values(&["event"]).inc();
        let (sequence, stream) = (self.sequence, names.events());
        tracing::error!(sequence, stream, subject, %error, "an event cannot be read; it is kept among the rejected, and not delivered");
        Ok(())
    }
}
