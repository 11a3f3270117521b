//! How many requests a webhook gets at once: a limit that finds what its receiver can take.
//!
//! Additive increase, multiplicative decrease, with the increase of CUBIC (RFC 9438): from the start it doubles with each
//! round until the receiver first has too much; after that it falls back, comes close to where that was within seconds, stays
//! near there, and only then tries for more. So a receiver that takes eight at once is seldom asked for nine, and one that has
//! grown is followed. Too much is: no answer in time, a connection refused or broken, 429, 502 to 504; and answers that
//! have become much slower since more are asked for at once, as in Netflix's concurrency-limits.
//!
//! Only what was asked after the last fall says anything new, and the limit grows only while it is used.

use std::time::Duration;

use crate::attempt::OutcomeClass;
use crate::clock::Monotonic;

/// One answer, and under which circumstances it came.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// What came of the request.
    pub outcome: OutcomeClass,
    /// The status, if there was one.
    pub status: Option<u16>,
    /// When the request was begun.
    pub begun: Monotonic,
    /// When it ended.
    pub ended: Monotonic,
    /// How many were being made at once when it ended, itself included.
    pub running: usize,
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    most: f64,
    limit: f64,
    /// The last fall: when, and from where. `None`: there was none yet, and the limit doubles with each round.
    fall: Option<Fall>,
    latency: Latency,
}

#[derive(Clone, Copy, Debug)]
struct Fall {
    at: Monotonic,
    /// What the limit was, or is thought to be able to be.
    from: f64,
    /// What it fell to.
    to: f64,
}

/// How fast answers come: lately, and when they came fastest.
#[derive(Clone, Copy, Debug, Default)]
struct Latency {
    /// A moving mean, in seconds.
    recent: f64,
    seen: u32,
    /// The least that the mean was in the present stretch of time, and in the one before it.
    least: f64,
    least_before: Option<f64>,
    stretch_since: Option<Monotonic>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// It takes what it gets.
    Fine,
    /// It answers, and says that it is too much.
    Much,
    /// It does not answer as it should.
    TooMuch,
}

impl ConcurrencyLimit {
    /// How many at once before anything is known.
    pub const FIRST: usize = 8;
    /// The share that a fall leaves where the receiver answers but has too much.
    const EASED: f64 = 0.85;
    /// The share that it leaves where it does not answer.
    const HALVED: f64 = 0.5;
    /// CUBIC's constant, in requests per cubic second: from 9 it falls to 7.65, is back near 9 after three seconds, and at
    /// twice as many after eight.
    const CURVATURE: f64 = 0.05;
    /// Slowness alone does not bring the limit below this: it costs little, and one request at a time is a harsh judgement on a
    /// receiver that only became slower.
    const LEAST_BY_SLOWNESS: f64 = 4.0;
    /// So much slower than usual is too slow.
    const SLOWER: f64 = 2.0;

    /// Not yet known; never more than `most` at once, which is taken as at least one.
    pub fn new(most: usize) -> Self {
        let most = as_float(most.max(1));
        Self { most, limit: as_float(Self::FIRST).min(most), fall: None, latency: Latency::default() }
    }

    /// As after an outage: one at a time at first, doubling with each round.
    pub fn recovering(most: usize) -> Self {
        Self { limit: 1.0, ..Self::new(most) }
    }

    /// How many requests may be made at once: at least one.
    pub fn get(&self) -> usize {
        // Between 1 and `most`, which came from a `usize`.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within 1 and `most`")]
        let limit = self.limit as usize;
        limit.max(1)
    }

    /// How long answers have taken lately; `None` before there were enough to say.
    pub fn latency(&self) -> Option<Duration> {
        (self.latency.seen >= Latency::ENOUGH).then(|| Duration::from_secs_f64(self.latency.recent.max(0.0)))
    }

    /// Whether there is nothing to remember: it is where a new one would get to by itself.
    pub fn is_at_rest(&self) -> bool {
        self.fall.is_none() && self.limit >= as_float(Self::FIRST).min(self.most)
    }

    /// Takes in what came of a request.
    pub fn answered(&mut self, answered: &Answered) {
        let news = self.fall.is_none_or(|fall| answered.begun >= fall.at);
        match load(answered) {
            Load::TooMuch if news => self.fall(answered.ended, Self::HALVED, 1.0),
            Load::Much if news => self.fall(answered.ended, Self::EASED, 1.0),
            Load::TooMuch | Load::Much => {}
            Load::Fine => {
                self.latency.see(answered.ended.since(answered.begun), answered.ended);
                if !self.is_used(answered.running) {
                    return;
                }
                if self.latency.has_risen(Self::SLOWER) {
                    if news && self.limit > Self::LEAST_BY_SLOWNESS {
                        self.fall(answered.ended, Self::EASED, Self::LEAST_BY_SLOWNESS);
                        self.latency.anew();
                    }
                    return;
                }
                self.grow(answered.ended);
            }
        }
    }

    fn is_used(&self, running: usize) -> bool {
        running + 1 >= self.get()
    }

    fn fall(&mut self, at: Monotonic, to_share: f64, least: f64) {
        let to = (self.limit * to_share).max(least);
        // One that falls again before it was back where it fell from has less than it had: it makes room at once (RFC 9438,
        // fast convergence).
        let from = match self.fall {
            Some(last) if self.limit < last.from => f64::midpoint(self.limit, to),
            Some(_) | None => self.limit,
        };
        self.fall = Some(Fall { at, from, to });
        self.limit = to;
    }

    fn grow(&mut self, now: Monotonic) {
        let more = match self.fall {
            // One more for each answer: twice as many a round.
            None => 1.0,
            Some(fall) => {
                let back_after = ((fall.from - fall.to).max(0.0) / Self::CURVATURE).cbrt();
                let passed = now.since(fall.at).as_secs_f64() - back_after;
                let aim = Self::CURVATURE * passed.powi(3) + fall.from;
                // At most one more a round, however long nothing was asked for.
                (aim - self.limit).clamp(0.0, 1.0) / self.limit
            }
        };
        self.limit = (self.limit + more).min(self.most);
    }
}

impl Latency {
    /// What was fastest counts for one to two of these: what has become slower for good is usual after that.
    const STRETCH: Duration = Duration::from_secs(300);
    /// So many answers make a mean.
    const ENOUGH: u32 = 16;

    fn see(&mut self, took: Duration, now: Monotonic) {
        self.seen = self.seen.saturating_add(1);
        // A mean of all at first, then a moving one.
        let share = 1.0 / f64::from(self.seen.min(Self::ENOUGH));
        self.recent += (took.as_secs_f64() - self.recent) * share;
        if self.seen < Self::ENOUGH {
            return;
        }
        match self.stretch_since {
            Some(since) if now.since(since) < Self::STRETCH => self.least = self.least.min(self.recent),
            Some(_) => {
                self.least_before = Some(self.least);
                (self.least, self.stretch_since) = (self.recent, Some(now));
            }
            None => (self.least, self.stretch_since) = (self.recent, Some(now)),
        }
    }

    fn has_risen(&self, times: f64) -> bool {
        /// Differences of less than this are the machine's, not the receiver's.
        const NOISE: f64 = 0.01;
        let fastest = self.least_before.map_or(self.least, |before| before.min(self.least));
        self.seen >= Self::ENOUGH && self.recent > fastest * times + NOISE
    }

    /// The mean is of requests that were made before the limit fell: another begins, and what was fastest is kept.
    fn anew(&mut self) {
        self.seen = 0;
        self.recent = 0.0;
    }
}

fn load(answered: &Answered) -> Load {
    match answered.outcome {
        OutcomeClass::RateLimited => Load::Much,
        OutcomeClass::Timeout | OutcomeClass::Reset | OutcomeClass::Connect => Load::TooMuch,
        OutcomeClass::ServerError if matches!(answered.status, Some(502..=504)) => Load::TooMuch,
        OutcomeClass::Success
        | OutcomeClass::Redirect
        | OutcomeClass::Gone
        | OutcomeClass::ClientError
        | OutcomeClass::ServerError
        | OutcomeClass::Dns
        | OutcomeClass::EgressDenied
        | OutcomeClass::Tls
        | OutcomeClass::InvalidResponse => Load::Fine,
    }
}

fn as_float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
