//! What an owner knows of the gates in its partition: which copies stand behind each, which are leased, who is to be told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::ids::WebhookId;

/// The copies behind the gates of one partition, by their sequence.
#[derive(Debug, Default)]
pub(super) struct Index {
    gates: HashMap<WebhookId, BTreeMap<u64, Copy>>,
    /// Where each stands. In order of arrival: what has stood longest comes first.
    of: BTreeMap<u64, Stands>,
    /// Those that expire by themselves, in the order in which they do.
    expiries: BTreeSet<(Timestamp, u64)>,
    leased: HashMap<u64, Monotonic>,
    /// Webhooks of which the owner has not been told since something arrived.
    fresh: HashSet<WebhookId>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Copy {
    /// How often it has been leased.
    times: u32,
}

/// Behind which gate a copy stands, and since when.
#[derive(Clone, Copy, Debug)]
struct Stands {
    webhook: WebhookId,
    since: Timestamp,
    expires: Option<Timestamp>,
}

impl Index {
    /// Something has come to stand behind a gate, at that time; it may expire at another.
    pub(super) fn arrive(&mut self, webhook: WebhookId, sequence: u64, since: Timestamp, expires: Option<Timestamp>) {
        self.gates.entry(webhook).or_default().insert(sequence, Copy::default());
        self.of.insert(sequence, Stands { webhook, since, expires });
        self.expiries.extend(expires.map(|expires| (expires, sequence)));
        self.fresh.insert(webhook);
    }

    /// It stands there no more.
    pub(super) fn leave(&mut self, sequence: u64) {
        self.leased.remove(&sequence);
        let Some(Stands { webhook, expires, .. }) = self.of.remove(&sequence) else { return };
        if let Some(expires) = expires {
            self.expiries.remove(&(expires, sequence));
        }
        if let Some(gate) = self.gates.get_mut(&webhook) {
            gate.remove(&sequence);
            if gate.is_empty() {
                self.gates.remove(&webhook);
            }
        }
    }

    /// Leases the first copies that are not leased, with how often each had been leased before.
    pub(super) fn lease(&mut self, webhook: WebhookId, max: usize, until: Monotonic) -> Vec<(u64, u32)> {
        let Some(gate) = self.gates.get_mut(&webhook) else { return Vec::new() };
        let leased = &mut self.leased;
        let free = gate.iter_mut().filter(|(sequence, _)| !leased.contains_key(sequence)).take(max);
        let taken: Vec<(u64, u32)> = free
            .map(|(sequence, copy)| {
                copy.times += 1;
                (*sequence, copy.times - 1)
            })
            .collect();
        leased.extend(taken.iter().map(|(sequence, _)| (*sequence, until)));
        taken
    }

    /// Leases copies that expire by `now`, then those that have stood since before `held_before`; as [`Self::lease`] does.
    pub(super) fn lease_expired(
        &mut self,
        now: Timestamp,
        held_before: Timestamp,
        max: usize,
        until: Monotonic,
    ) -> Vec<(u64, u32)> {
        let expired = self.expiries.iter().take_while(|(expires, _)| *expires <= now).map(|(_, sequence)| *sequence);
        let held = self.of.iter().take_while(|(_, stands)| stands.since < held_before).map(|(sequence, _)| *sequence);
        let free = expired.chain(held).filter(|sequence| !self.leased.contains_key(sequence));
        let mut chosen = BTreeSet::new();
        for sequence in free {
            if chosen.len() == max {
                break;
            }
            chosen.insert(sequence);
        }
        let mut taken = Vec::with_capacity(chosen.len());
        for sequence in chosen {
            let Some(gate) = self.of.get(&sequence).and_then(|stands| self.gates.get_mut(&stands.webhook)) else {
                continue;
            };
            let Some(copy) = gate.get_mut(&sequence) else { continue };
            copy.times += 1;
            taken.push((sequence, copy.times - 1));
            self.leased.insert(sequence, until);
        }
        taken
    }

    /// How many copies behind a gate are not leased, counted up to `most`.
    pub(super) fn free(&self, webhook: WebhookId, most: usize) -> usize {
        let gate = self.gates.get(&webhook);
        gate.map_or(0, |gate| gate.keys().filter(|sequence| !self.leased.contains_key(sequence)).take(most).count())
    }

    /// Prolongs a lease; false if it is not held.
    pub(super) fn prolong(&mut self, sequence: u64, until: Monotonic) -> bool {
        match self.leased.get_mut(&sequence) {
            Some(held) => {
                *held = until;
                true
            }
            None => false,
        }
    }

    /// The copy may be taken again, and the owner is to be told.
    pub(super) fn give_back(&mut self, sequence: u64) {
        if self.leased.remove(&sequence).is_some()
            && let Some(stands) = self.of.get(&sequence)
        {
            self.fresh.insert(stands.webhook);
        }
    }

    /// Gives back what has run out.
    pub(super) fn expire(&mut self, now: Monotonic) {
        let over: Vec<u64> =
            self.leased.iter().filter(|(_, until)| **until <= now).map(|(sequence, _)| *sequence).collect();
        for sequence in over {
            self.give_back(sequence);
        }
    }

    /// When the next lease runs out.
    pub(super) fn next_end(&self) -> Option<Monotonic> {
        self.leased.values().min().copied()
    }

    /// The webhooks to tell the owner of; each is told of once.
    pub(super) fn take_arrivals(&mut self) -> Vec<WebhookId> {
        self.fresh.drain().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn webhook(number: u128) -> WebhookId {
        WebhookId::from_bytes(number.to_be_bytes())
    }

    #[test]
    fn the_head_is_taken_first_and_comes_back_to_its_place() {
        let (mut index, end) = (Index::default(), Monotonic(Duration::from_secs(10)));
        for sequence in [5, 7, 9] {
            index.arrive(webhook(1), sequence, Timestamp::EPOCH, None);
        }
        assert_eq!(index.take_arrivals(), [webhook(1)]);
        assert_eq!(index.lease(webhook(1), 2, end), [(5, 0), (7, 0)]);
        index.give_back(5);
        assert_eq!(index.take_arrivals(), [webhook(1)]);
        assert_eq!(index.lease(webhook(1), 9, end), [(5, 1), (9, 0)]);
        index.leave(7);
        index.expire(end);
        assert_eq!(index.lease(webhook(1), 9, end), [(5, 2), (9, 1)]);
        assert!(index.lease(webhook(2), 9, end).is_empty());
    }

    #[test]
    fn nothing_is_kept_of_what_has_left() {
        let mut index = Index::default();
        index.arrive(webhook(1), 5, Timestamp::EPOCH, Some(Timestamp::from_seconds(9)));
        index.lease(webhook(1), 1, Monotonic::default());
        index.leave(5);
        assert!(index.gates.is_empty() && index.of.is_empty() && index.leased.is_empty());
        assert!(index.expiries.is_empty() && index.lease_expired(at(99), at(99), 9, Monotonic::default()).is_empty());
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn what_expires_comes_first_then_what_has_stood_too_long_and_nothing_twice() {
        let (mut index, end) = (Index::default(), Monotonic(Duration::from_secs(10)));
        for (sequence, expires) in [(1, None), (2, Some(at(50))), (3, None), (4, Some(at(40))), (5, None)] {
            let since = at(i64::try_from(sequence).unwrap());
            index.arrive(webhook(u128::from(sequence % 2)), sequence, since, expires);
        }
        assert!(index.lease_expired(at(39), at(1), 9, end).is_empty());
        assert_eq!(index.lease_expired(at(40), at(3), 9, end), [(1, 0), (2, 0), (4, 0)]);
        assert!(index.lease_expired(at(40), at(3), 9, end).is_empty());
        assert_eq!(index.lease(webhook(1), 9, end), [(3, 0), (5, 0)]);
        index.expire(end);
        assert_eq!(index.lease_expired(at(50), at(9), 1, end), [(4, 1)]);
        assert_eq!(index.lease_expired(at(50), at(9), 9, end), [(1, 1), (2, 1), (3, 1), (5, 1)]);
    }
}
