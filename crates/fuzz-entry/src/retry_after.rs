//! `Retry-After`.

use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::retry_after::{MAX_SECONDS, parse};

/// Whatever a receiver writes, and whenever: the time is not past, and within the day.
pub(crate) fn retry_after(bytes: &[u8]) -> bool {
    let mut accepted = false;
    for now in [0, 1_765_000_000, 4_102_444_800, -1, i64::MAX / 1000].map(Timestamp::from_seconds) {
        let Some(at) = parse(bytes, now) else { continue };
        accepted = true;
        assert!(at >= now, "it is past");
        assert!(at <= now.after(Duration::from_secs(MAX_SECONDS)), "it is too far");
        let spaced = [b" \t", bytes, b" "].concat();
        assert_eq!(parse(&spaced, now), Some(at), "space around it means something");
    }
    accepted
}
