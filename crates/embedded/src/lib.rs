//! The embedded engine: all ports over one SQLite file, `queue.db`, for one process.

use std::path::Path;
use std::sync::Arc;

use fanfare_core::clock::Clock;
use fanfare_telemetry::Metrics;
use serde::{Deserialize, Serialize};

/// The embedded engine's bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbeddedConfig {}

/// Why the queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {}

/// The engine: implements every port. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Embedded {}

impl Embedded {
    /// Opens or creates `<data_dir>/queue.db`, locks it for this process, checks and migrates it.
    ///
    /// # Errors
    /// When another process has it, it is damaged, or was written by a newer version.
    pub fn open(
        data_dir: &Path,
        config: &EmbeddedConfig,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, OpenError> {
        let _ = (data_dir, config, clock, metrics);
        todo!()
    }

    /// Writes what is still queued, checkpoints, and closes the file. Operations after this answer `Unavailable`.
    pub async fn close(&self) {
        todo!()
    }
}
