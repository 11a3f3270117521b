//! What was read from a file: items in order, and what stood among them and cannot be read.
//!
//! Such a row is damage or the work of another program. It is passed over and told of, so that what stands behind it goes on;
//! it stays where it is, for an operator to look at, until its age.

use fanfare_core::ports::{StoreError, StoreResult};
use fanfare_runtime::tasks::report;

use crate::Shared;

/// One reading.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<(i64, T)>,
    pub(crate) unreadable: Vec<(i64, StoreError)>,
    /// Those of which nothing is there any more but their place.
    pub(crate) erased: Vec<i64>,
    /// The last position that was looked at.
    pub(crate) reached: Option<i64>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self { items: Vec::new(), unreadable: Vec::new(), erased: Vec::new(), reached: None }
    }
}

impl<T> Page<T> {
    pub(crate) fn take(&mut self, position: i64, item: StoreResult<T>) {
        match item {
            Ok(item) => self.items.push((position, item)),
            Err(error) => self.unreadable.push((position, error)),
        }
        self.reached = Some(position);
    }

    pub(crate) fn pass_over(&mut self, position: i64) {
        self.erased.push(position);
        self.reached = Some(position);
    }
}

impl Shared {
    /// Says what could not be read, and counts it.
    pub(crate) fn tell(&self, what: &'static str, unreadable: &[(i64, StoreError)]) {
        for (position, error) in unreadable {
            self.metrics.unreadable.with_label_values(&[what]).inc();
            tracing::error!(what, position, error = %report(error), "what stands in queue.db here cannot be read; passing over it");
        }
    }
}
