//! What is made of many measurements.

use crate::receiver::Receivers;
use crate::sender::Published;

/// The value at this percentile of a sorted list; 0 of an empty one.
pub(crate) fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Times at percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    pub(crate) count: usize,
    pub(crate) middle: u64,
    pub(crate) high: u64,
    pub(crate) most: u64,
}

impl Spread {
    pub(crate) fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let [middle, high, most] = [50, 99, 100].map(|percent| percentile(&times, percent));
        Self { count: times.len(), middle, high, most }
    }

    /// The times from a moment of the sender's to the receipt, of those that have arrived. Sender and receiver share a
    /// process, so that their clocks are one.
    pub(crate) fn to_receipt<'p>(
        receivers: &Receivers,
        sent: impl IntoIterator<Item = &'p Published>,
        from: impl Fn(&Published) -> u64,
    ) -> Self {
        let arrivals = receivers.first_arrivals();
        let times = sent.into_iter().filter_map(|published| {
            let arrival = arrivals.get(published.number).copied().filter(|arrival| *arrival > 0)?;
            Some(arrival.saturating_sub(from(published)))
        });
        Self::of(times.collect())
    }
}
