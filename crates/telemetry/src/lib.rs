//! Every metric in one file, tracing set-up, and the admin listener.

pub mod metrics;

pub use metrics::Metrics;
