//! `Retry-After`: the earliest time at which a receiver wants to be tried again (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use crate::clock::Timestamp;

/// The furthest a receiver can put an attempt off: 24 hours.
pub const MAX_SECONDS: u64 = 24 * 60 * 60;

/// Reads a header value: whole seconds or an HTTP date, held to at most [`MAX_SECONDS`] from now. Anything else, and a
/// date that is past, is `None`.
pub fn parse(value: &[u8], now: Timestamp) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
    let latest = now.after(Duration::from_secs(MAX_SECONDS));
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a very long time, not nonsense.
        let seconds = text.parse().unwrap_or(MAX_SECONDS).min(MAX_SECONDS);
        return Some(now.after(Duration::from_secs(seconds)));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let date = Timestamp::EPOCH.after(date);
    (date >= now).then(|| date.min(latest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn now() -> Timestamp {
        time("2025-12-06T05:46:40Z")
    }

    #[test]
    fn seconds_and_all_three_date_forms_are_understood() {
        let expected = Some(time("2025-12-06T05:48:40Z"));
        for value in [
            "120",
            " 120\t",
            "0120",
            "Sat, 06 Dec 2025 05:48:40 GMT",
            "Saturday, 06-Dec-25 05:48:40 GMT",
            "Sat Dec  6 05:48:40 2025",
        ] {
            assert_eq!(parse(value.as_bytes(), now()), expected, "{value:?}");
        }
        assert_eq!(parse(b"0", now()), Some(now()));
    }

    #[test]
    fn a_long_time_is_held_to_24_hours() {
        let latest = Some(time("2025-12-07T05:46:40Z"));
        for value in ["86400", "86401", "18446744073709551616", &"9".repeat(400), "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(parse(value.as_bytes(), now()), latest, "{value:?}");
        }
    }

    #[test]
    fn nonsense_and_the_past_are_nothing() {
        for value in [
            "",
            " ",
            "-1",
            "+5",
            "1.5",
            "120s",
            "soon",
            "1 2",
            "Sat, 06 Dec 2025 05:46:39 GMT",
            "Sat, 06 Dec 1969 05:46:39 GMT",
            "Sat, 31 Feb 2026 05:48:40 GMT",
            "Sat, 06 Dec 2025 05:48:40 +0100",
            "１２",
        ] {
            assert_eq!(parse(value.as_bytes(), now()), None, "{value:?}");
        }
        assert_eq!(parse(&[0xff, 0xfe], now()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_lead_outside_the_day(value: Vec<u8>, now in any::<i64>()) {
            let now = Timestamp::from_millis(now);
            if let Some(at) = parse(&value, now) {
                prop_assert!(at >= now && at <= now.after(Duration::from_secs(MAX_SECONDS)));
            }
        }

        #[test]
        fn no_text_like_a_date_panics(value in "[A-Za-z]{3,9},? [0-9]{1,3}[- ][A-Za-z]{3}[- ][0-9]{2,5} [0-9:]{5,9}( GMT)?") {
            let _ = parse(value.as_bytes(), now());
        }
    }
}
