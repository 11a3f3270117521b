//! What a receiver saw, second by second.

use crate::receiver::Arrival;
use crate::rig::Answer;

const SECOND: u64 = 1_000_000;

/// One second at a receiver.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    pub(crate) requests: usize,
    pub(crate) taken: usize,
    /// Of the requests, those that it answered 429.
    pub(crate) too_many: usize,
    /// The most that it had at once.
    pub(crate) at_once: usize,
}

/// The seconds from `begin` until `end`, in microseconds of the bench's clock.
pub(crate) fn seconds(arrivals: &[Arrival], begin: u64, end: u64) -> Vec<Second> {
    let count = usize::try_from(end.saturating_sub(begin).div_ceil(SECOND)).unwrap_or(0);
    let mut seconds = vec![Second::default(); count];
    for arrival in arrivals.iter().filter(|arrival| (begin..end).contains(&arrival.at)) {
        let index = usize::try_from((arrival.at - begin) / SECOND).unwrap_or(usize::MAX);
        let Some(second) = seconds.get_mut(index) else { continue };
        second.requests += 1;
        second.taken += usize::from(arrival.is_taken());
        second.too_many += usize::from(arrival.answer == Answer::Now(429));
        second.at_once = second.at_once.max(arrival.at_once);
    }
    seconds
}
