//! Removing events that have been fanned out and are old, or too many.
//!
//! Every process with the engine does it; it is the same act by whomever, and repeating it changes nothing. What no position
//! has passed is never removed, however old it is.

use std::convert::Infallible;
use std::time::Duration;

use fanfare_core::ports::StoreResult;
use fanfare_runtime::Shutdown;

use super::position;
use crate::Distributed;
use crate::error::nats_error;

const DOING: &str = "remove old events";

/// How often it is looked at: events are kept for days.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often at most when events are refused for want of room.
const LEAST: Duration = Duration::from_secs(1);

impl Distributed {
    /// Tends the stream until shutdown.
    pub(crate) async fn tend(&self, shutdown: &Shutdown) -> Result<(), Infallible> {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.shared.clock.sleep(INTERVAL) => {}
                () = self.shared.events.full.notified() => {}
            }
            if let Err(error) = self.forget_events().await {
                tracing::warn!(error = %fanfare_runtime::tasks::report(&error), "old events could not be removed; trying again");
            }
            // However many are refused meanwhile.
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.shared.clock.sleep(LEAST) => {}
            }
        }
    }

    /// Removes events from the stream's start on, up to the first that is not processed.
    pub(crate) async fn forget_events(&self) -> StoreResult<()> {
        let (store, names) = (&self.shared.store, &self.shared.names);
        let state = store.state(DOING, &names.events()).await?;
        if state.messages == 0 {
            return Ok(());
        }
        // What every position has passed: where nothing waits in a partition its position follows the log's end.
        let passed = position::all(self, DOING).await?.into_iter().min().unwrap_or(0);
        let end = passed.min(state.last_sequence) + 1;
        let by_age = self.first_young(state.first_sequence, end).await?;
        let by_size = state.first_sequence + too_many(state.messages, state.bytes, self.shared.config.event_max_bytes);
        let keep_from = by_age.max(by_size.min(end));
        if keep_from > state.first_sequence {
            let stream = store.stream(DOING, &names.events()).await?;
            let purged = stream.purge().sequence(keep_from).await.map_err(|error| nats_error(DOING, error))?;
            tracing::debug!(count = purged.purged, "removed old events");
        }
        Ok(())
    }

    /// The first sequence from `low` on, and before `end`, that is not past its retention; they are in order of time.
    async fn first_young(&self, mut low: u64, mut end: u64) -> StoreResult<u64> {
        let cut = self.shared.clock.now().before(self.shared.config.event_retention.get());
        while low < end {
            let middle = low + (end - low) / 2;
            let all = self.shared.names.all_events();
            let found = self.shared.store.next(DOING, &self.shared.names.events(), &all, middle).await?;
            match found {
                Some(message) if message.at < cut && message.sequence < end => low = message.sequence + 1,
                _ => end = middle,
            }
        }
        Ok(low)
    }
}

/// How many of the oldest have to go so that new ones can come: down to seven tenths, from eight tenths on.
fn too_many(messages: u64, bytes: u64, max_bytes: u64) -> u64 {
    if max_bytes == 0 || bytes < max_bytes / 10 * 8 {
        return 0;
    }
    let surplus = u128::from(bytes - max_bytes / 10 * 7);
    u64::try_from(u128::from(messages) * surplus / u128::from(bytes.max(1))).unwrap_or(messages)
}

#[cfg(test)]
mod tests {
    use super::too_many;

    #[test]
    fn the_oldest_go_when_the_stream_is_nearly_full() {
        assert_eq!(too_many(1000, 700, 1000), 0);
        assert_eq!(too_many(1000, 1000, 1000), 300);
        assert_eq!(too_many(1000, 1_000_000, 0), 0);
    }
}
