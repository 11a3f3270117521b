//! How a delivery stands, as far as the journal has told: the rule by which entries, in whatever order and however often
//! they come, make the same row.
//!
//! Each part of a [`Standing`] only ever rises: a place gives way to one at a higher hop, every place to an end, a discard to
//! what really became of the delivery, a later end to an earlier one, an attempt to a later attempt.

use fanfare_core::attempt::{Attempt, OutcomeClass};
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryStatus, End, Place, QuarantineReason};
use fanfare_core::ids::Hop;

use crate::columns::status_code;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) status: DeliveryStatus,
    /// The highest hop that any entry named.
    pub(crate) hop: Hop,
    pub(crate) waiting_reason: Option<&'static str>,
    pub(crate) next_attempt_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) attempt_count: u32,
    pub(crate) last_attempt: Option<LastAttempt>,
}

/// What is shown of the last attempt beside the delivery itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastAttempt {
    pub(crate) at: Timestamp,
    pub(crate) outcome: OutcomeClass,
    pub(crate) status: Option<u16>,
}

impl Standing {
    /// A delivery that is first heard of as standing in a place.
    pub(crate) fn placed(hop: Hop, place: Place) -> Self {
        let (waiting_reason, next_attempt_at) = waiting(place);
        Self {
            status: place.into(),
            hop,
            waiting_reason,
            next_attempt_at,
            ended_at: None,
            attempt_count: 0,
            last_attempt: None,
        }
    }

    /// A delivery that is first heard of as having ended.
    pub(crate) fn ended(hop: Hop, end: End, at: Timestamp) -> Self {
        Self {
            status: end.into(),
            hop,
            waiting_reason: None,
            next_attempt_at: None,
            ended_at: Some(at),
            attempt_count: 0,
            last_attempt: None,
        }
    }

    /// It stands in a place since that hop. Of two entries that name one hop the first is right: the queue takes a hop once.
    pub(crate) fn stand(&mut self, hop: Hop, place: Place) {
        self.go(hop, place.into(), waiting(place));
    }

    /// It is in quarantine since that hop.
    pub(crate) fn quarantine(&mut self, hop: Hop, reason: QuarantineReason) {
        self.go(hop, DeliveryStatus::Quarantined, (Some(reason.as_str()), None));
    }

    fn go(&mut self, hop: Hop, status: DeliveryStatus, waiting: (Option<&'static str>, Option<Timestamp>)) {
        let newer = hop > self.hop;
        self.hop = self.hop.max(hop);
        if newer && is_open(self.status) {
            self.status = status;
            (self.waiting_reason, self.next_attempt_at) = waiting;
        }
    }

    /// It ended, held at that hop.
    ///
    /// A worker that was in flight when the webhook was deleted tells what came of it, and is right: a discard gives way.
    /// Of other ends the earliest stays, since an end that is known already is journalled once more when a copy turns up.
    pub(crate) fn end(&mut self, hop: Hop, end: End, at: Timestamp) {
        self.hop = self.hop.max(hop);
        let status = DeliveryStatus::from(end);
        let current = (finality(self.status), self.ended_at, status_code(self.status));
        let told = (finality(status), Some(at), status_code(status));
        let replaces = told.0 > current.0 || (told.0 == current.0 && (told.1, told.2) < (current.1, current.2));
        if replaces {
            self.status = status;
            self.ended_at = Some(at);
            (self.waiting_reason, self.next_attempt_at) = (None, None);
        }
    }

    /// A POST was made; or none, and `before` were made earlier.
    pub(crate) fn attempted(&mut self, before: u32, attempt: Option<&Attempt>) {
        self.attempt_count = self.attempt_count.max(before);
        if let Some(attempt) = attempt {
            self.attempt_count = self.attempt_count.max(attempt.number);
            let told = LastAttempt { at: attempt.at, outcome: attempt.outcome, status: attempt.status };
            if self.last_attempt.is_none_or(|last| order(last) < order(told)) {
                self.last_attempt = Some(told);
            }
        }
    }

    /// Whether it may still be delivered.
    pub(crate) fn is_open(&self) -> bool {
        is_open(self.status)
    }
}

/// Two attempts of one millisecond, by workers that did not know of each other, are put in some order, always the same.
fn order(last: LastAttempt) -> (Timestamp, &'static str, Option<u16>) {
    (last.at, last.outcome.as_str(), last.status)
}

fn is_open(status: DeliveryStatus) -> bool {
    finality(status) == 0
}

fn finality(status: DeliveryStatus) -> u8 {
    match status {
        DeliveryStatus::Pending | DeliveryStatus::Waiting | DeliveryStatus::Gated | DeliveryStatus::Quarantined => 0,
        DeliveryStatus::Discarded => 1,
        DeliveryStatus::Delivered | DeliveryStatus::Exhausted | DeliveryStatus::Expired => 2,
    }
}

fn waiting(place: Place) -> (Option<&'static str>, Option<Timestamp>) {
    match place {
        Place::Ready => (None, None),
        Place::Due { at, reason } => (Some(reason.as_str()), Some(at)),
        Place::Gated { reason } => (Some(reason.as_str()), None),
    }
}
