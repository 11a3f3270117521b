//! `Retry-After`: the earliest time at which a receiver wants to be tried again (RFC 9110, section 10.2.3).

use crate::clock::Timestamp;

/// The furthest a receiver can put an attempt off: 24 hours.
pub const MAX_SECONDS: u64 = 24 * 60 * 60;

/// Reads a header value: whole seconds or an HTTP date, held to at most [`MAX_SECONDS`] from now. Anything else, and a
/// date that is past, is `None`.
pub fn parse(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    let _ = (value, now);
    todo!()
}
