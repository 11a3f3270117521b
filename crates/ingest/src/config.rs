//! Ingest's bounds: how much a project may send, and how much may be waiting before senders are told to wait.

use fanfare_core::event::{MAX_BATCH_BYTES, MAX_BATCH_EVENTS};
use serde::{Deserialize, Deserializer, Serialize};

/// Ingest's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Events per second that each project may send to this process on average, up to 1,000,000; beyond that 429. 0 = no
    /// limit. Default 10,000: one project alone cannot fill what a machine takes.
    pub events_per_second: u32,
    /// Events that a project may send at once after a pause, from 500 (one full batch) to 100,000,000. Default 20,000: two
    /// seconds' worth.
    #[serde(deserialize_with = "burst")]
    pub burst: u32,
    /// Accepted events that may wait to be fanned out; beyond that 503. Default 100,000: some seconds of fan-out's work, so
    /// that senders hear of a jam before it is hours long.
    pub max_backlog: u64,
    /// Accepted events of one project that may wait to be fanned out in one partition (all with the same subject are in one, and
    /// all without); beyond that 429. Up to 1,000,000; 0 = no bound. From a sixteenth of it on requests wait for their place, half a
    /// second at most, and what the project published to NATS waits there. Default 500: a partition is one line, and whoever stands
    /// behind 32 in it waits some tens of milliseconds on a busy machine.
    pub max_project_backlog: u64,
    /// Bytes of request bodies in memory at a time, at least 8 MiB (one full batch); beyond that 503. A body counts until its
    /// events are durable; what is made of it comes to about as much again. Default 256 MiB.
    #[serde(deserialize_with = "body_bytes")]
    pub max_body_bytes: usize,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            events_per_second: 10_000,
            burst: 20_000,
            max_backlog: 100_000,
            max_project_backlog: 500,
            max_body_bytes: 256 * 1024 * 1024,
        }
    }
}

fn burst<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let burst = u32::deserialize(deserializer)?;
    if burst as usize >= MAX_BATCH_EVENTS {
        Ok(burst)
    } else {
        Err(serde::de::Error::custom(format_args!("must be at least {MAX_BATCH_EVENTS}, the events of a full batch")))
    }
}

fn body_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let bytes = usize::deserialize(deserializer)?;
    if bytes >= MAX_BATCH_BYTES {
        Ok(bytes)
    } else {
        Err(serde::de::Error::custom(format_args!("must be at least {MAX_BATCH_BYTES}, the bytes of a full batch")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_a_full_batch_never_passes_are_refused() {
        let refused = |json: &str| serde_json::from_str::<IngestConfig>(json).unwrap_err().to_string();
        assert!(refused(r#"{"burst": 499}"#).contains("at least 500"));
        assert!(refused(r#"{"max_body_bytes": 8388607}"#).contains("at least 8388608"));
        assert!(refused(r#"{"brust": 1000}"#).contains("unknown field"));
        let least: IngestConfig = serde_json::from_str(r#"{"burst": 500, "max_body_bytes": 8388608}"#).unwrap();
        assert_eq!((least.burst, least.events_per_second), (500, 10_000));
    }
}
