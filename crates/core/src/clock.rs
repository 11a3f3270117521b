//! Time as an argument: wall-clock timestamps for what people and receivers see, a monotonic reading for leases.
//!
//! Every service takes a [`Clock`]; tests drive a manual one. Wall time may jump, so nothing that decides who owns a lease
//! or a claim may be computed from [`Timestamp`]s.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in wall-clock time, in whole milliseconds since the Unix epoch.
///
/// Its text form, in JSON too, is RFC 3339 in UTC with milliseconds: `2025-12-06T05:46:40.000Z`. The range is that of
/// RFC 3339, years 0000 to 9999; parsing refuses what lies outside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is not a [`Timestamp`].
#[derive(Debug, thiserror::Error)]
#[error("not an RFC 3339 time such as 2025-12-06T05:46:40Z")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Timestamp = Timestamp(0);
    /// The earliest time that has a text form, in milliseconds: 0000-01-01T00:00:00.000Z.
    const MIN_MILLIS: i64 = -62_167_219_200_000;
    /// The latest time that has a text form here, in milliseconds: 9999-12-30T22:00:00.000Z, which leaves room for any offset.
    const MAX_MILLIS: i64 = 253_402_207_200_000;

    /// A timestamp from milliseconds since the Unix epoch; held to the years 0000 to 9999.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN_MILLIS, Self::MAX_MILLIS))
    }

    /// A timestamp from whole seconds since the Unix epoch; held to the years 0000 to 9999.
    pub fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This point in time moved later by `by`, at most to the last day of the year 9999.
    pub fn after(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This point in time moved earlier by `by`, at least to the start of the year 0000.
    pub fn before(self, by: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Parses RFC 3339. Digits past the millisecond are cut off; a numeric offset is required or `Z`.
    ///
    /// # Errors
    /// When the text is not RFC 3339 or lies outside the years 0000 to 9999.
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        // jiff's own parser takes more than RFC 3339 (a space for `T`, a zone in brackets); only the letter form passes here.
        let separated = text.as_bytes().get(10).is_some_and(|byte| matches!(byte, b'T' | b't'));
        if !separated || text.len() > 64 || text.contains('[') {
            return Err(InvalidTimestamp);
        }
        let parsed: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        let millis = parsed.as_millisecond();
        (Self::MIN_MILLIS..=Self::MAX_MILLIS).contains(&millis).then_some(Self(millis)).ok_or(InvalidTimestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A reading of a clock that only goes forward: the time since some fixed moment of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub Duration);

impl Monotonic {
    /// This reading moved later by `by`.
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Monotonic) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// A future that ends when its time has come.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The time source of a service.
///
/// The system clock is in the `runtime` crate, the manual one of the tests in `testkit`.
pub trait Clock: Send + Sync + 'static {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;

    /// Monotonic time: unaffected by changes of the wall clock, and counting while the process is frozen.
    fn monotonic(&self) -> Monotonic;

    /// Ends when monotonic time has reached `deadline`.
    fn sleep_until(&self, deadline: Monotonic) -> Sleep;

    /// Ends after `duration` of monotonic time.
    fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.monotonic().after(duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_refuses_lookalikes() {
        let time = Timestamp::parse("2025-12-06T05:46:40.1239Z").unwrap();
        assert_eq!(time.to_string(), "2025-12-06T05:46:40.123Z");
        assert_eq!(Timestamp::parse("2025-12-06T07:46:40.123+02:00").unwrap(), time);
        for wrong in
            ["2025-12-06", "2025-12-06 05:46:40Z", "2025-12-06T05:46:40", "1765000000", "", "2025-12-06T05:46:40Z[UTC]"]
        {
            assert!(Timestamp::parse(wrong).is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        assert_eq!(end.to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(Timestamp::EPOCH.since(end), Duration::ZERO);
    }
}
