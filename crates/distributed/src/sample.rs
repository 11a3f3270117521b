//! What the servers say of the streams, asked every few seconds for the metrics.

use std::convert::Infallible;
use std::time::Duration;

use fanfare_core::ports::StoreResult;
use fanfare_runtime::Shutdown;
use fanfare_runtime::tasks::report;

use crate::Distributed;
use crate::error::nats_error;
use crate::streams::WORKERS;

const DOING: &str = "look at the streams";
const PAUSE: Duration = Duration::from_secs(5);

impl Distributed {
    /// Samples until shutdown.
    pub(crate) async fn sample(&self, shutdown: &Shutdown) -> Result<(), Infallible> {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                sampled = self.sample_once() => if let Err(error) = sampled {
                    tracing::debug!(error = %report(&error), "could not look at the streams for the metrics");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.shared.clock.sleep(PAUSE) => {}
            }
        }
    }

    pub(crate) async fn sample_once(&self) -> StoreResult<()> {
        let (store, metrics) = (&self.shared.store, &self.shared.metrics);
        for (label, name) in self.shared.names.streams() {
            let state = store.state(DOING, &name).await?;
            metrics.nats_stream_bytes.with_label_values(&[label]).set(gauge(state.bytes));
            metrics.nats_stream_messages.with_label_values(&[label]).set(gauge(state.messages));
        }
        let deliveries = store.stream(DOING, &self.shared.names.deliveries()).await?;
        let workers = deliveries.consumer_info(WORKERS).await.map_err(|error| nats_error(DOING, error))?;
        metrics.nats_consumer_pending.set(gauge(workers.num_pending));
        metrics.nats_consumer_unacknowledged.set(gauge(workers.num_ack_pending as u64));
        let oldest = self.oldest_unprocessed().await?;
        let age = oldest.map_or(Duration::ZERO, |oldest| self.shared.clock.now().since(oldest));
        metrics.events_oldest_unprocessed_age.set(age.as_secs_f64());
        Ok(())
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
