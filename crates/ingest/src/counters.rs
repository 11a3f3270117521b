//! Ingest's metrics, looked up once.

use std::time::Duration;

use fanfare_telemetry::Metrics;
use prometheus::{Histogram, IntCounter};

/// What became of events, and how long it took.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) accepted: IntCounter,
    pub(crate) duplicate: IntCounter,
    pub(crate) conflict: IntCounter,
    pub(crate) invalid: IntCounter,
    pub(crate) too_large: IntCounter,
    pub(crate) quota: IntCounter,
    pub(crate) unavailable: IntCounter,
    duration: Histogram,
}

impl Counters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let counter = |result| metrics.ingest_events.with_label_values(&[result]);
        Self {
            accepted: counter("accepted"),
            duplicate: counter("duplicate"),
            conflict: counter("conflict"),
            invalid: counter("invalid"),
            too_large: counter("too_large"),
            quota: counter("quota"),
            unavailable: counter("unavailable"),
            duration: metrics.ingest_duration.clone(),
        }
    }

    /// Notes how long a request took from its arrival to its events being durable.
    pub(crate) fn durable_after(&self, taken: Duration) {
        self.duration.observe(taken.as_secs_f64());
    }

    /// Counts `events` that were refused with this problem.
    pub(crate) fn refused(&self, problem: &fanfare_http::Problem, events: usize) {
        let counter = match problem.status.as_u16() {
            409 => &self.conflict,
            413 => &self.too_large,
            429 => &self.quota,
            500..=599 => &self.unavailable,
            // 400, 408, 415, 422: what came is no event, or none that the project accepts.
            _ => &self.invalid,
        };
        counter.inc_by(events as u64);
    }
}
