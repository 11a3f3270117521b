//! Events in CloudEvents binary mode: attributes in `ce-*` headers, percent-encoded, data in the body.

use super::{Event, EventError, Reading};

/// Whether a request with these header names is in binary mode.
pub fn is_binary<'h>(names: impl IntoIterator<Item = &'h str>) -> bool {
    let _ = names.into_iter().count();
    todo!()
}

/// Reads one event. `headers` are all the message's headers, names in lowercase; `content_type` is the body's.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn parse<'h>(
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    content_type: Option<&str>,
    body: &[u8],
    reading: &Reading<'_>,
) -> Result<Event, EventError> {
    let _ = (headers.into_iter().count(), content_type, body, reading);
    todo!()
}
