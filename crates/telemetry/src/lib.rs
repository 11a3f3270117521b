//! Every metric in one file, the log's set-up, and the admin listener.

pub mod admin;
pub mod logging;
pub mod metrics;
mod process;

pub use admin::Readiness;
pub use metrics::Metrics;
