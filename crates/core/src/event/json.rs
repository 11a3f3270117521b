//! Events as CloudEvents JSON, one or a batch.

use super::{Event, EventError, Reading};

/// Reads one event.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse(bytes: &[u8], reading: &Reading<'_>) -> Result<Event, EventError> {
    let _ = (bytes, reading);
    todo!()
}

/// Reads a batch: a JSON array of events, each judged for itself.
///
/// # Errors
/// When the whole is not an array, is too large, or has too many events.
pub fn parse_batch(bytes: &[u8], reading: &Reading<'_>) -> Result<Vec<Result<Event, EventError>>, EventError> {
    let _ = (bytes, reading);
    todo!()
}
