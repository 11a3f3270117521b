//! What stands behind gates, by webhook and by when its time is over: so that a gate with a hundred thousand copies behind it is
//! worked off as fast as a short one.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::clock::Timestamp;
use fanfare_core::ids::WebhookId;

use super::copies::Copy;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Behind {
    gates: BTreeMap<WebhookId, Gate>,
    /// In order of the time at which they came.
    since: BTreeSet<(Timestamp, u64)>,
    /// Those that expire by themselves, in that order.
    expiries: BTreeSet<(Timestamp, u64)>,
    /// How much has been told so far.
    told: u64,
}

#[derive(Debug, Default)]
struct Gate {
    copies: BTreeSet<u64>,
    /// The number of the last thing of which its owner is to be told.
    news: u64,
}

impl Behind {
    pub(super) fn enter(&mut self, sequence: u64, copy: &Copy) {
        let header = &copy.delivery.header;
        self.gates.entry(header.webhook).or_default().copies.insert(sequence);
        self.since.insert((copy.at, sequence));
        self.expiries.extend(header.expires_at.map(|expires| (expires, sequence)));
        self.tell(header.webhook);
    }

    pub(super) fn leave(&mut self, sequence: u64, copy: &Copy) {
        let header = &copy.delivery.header;
        self.since.remove(&(copy.at, sequence));
        if let Some(expires) = header.expires_at {
            self.expiries.remove(&(expires, sequence));
        }
        if let Some(gate) = self.gates.get_mut(&header.webhook) {
            gate.copies.remove(&sequence);
            if gate.copies.is_empty() {
                self.gates.remove(&header.webhook);
            }
        }
    }

    /// Something behind this gate can be taken that could not.
    pub(super) fn tell(&mut self, webhook: WebhookId) {
        self.told += 1;
        if let Some(gate) = self.gates.get_mut(&webhook) {
            gate.news = self.told;
        }
    }

    /// Each webhook with anything behind its gate, and the number of its last news.
    pub(super) fn news(&self) -> impl Iterator<Item = (WebhookId, u64)> {
        self.gates.iter().map(|(webhook, gate)| (*webhook, gate.news))
    }

    /// The copies behind one gate, in order.
    pub(super) fn of(&self, webhook: WebhookId) -> impl Iterator<Item = u64> {
        self.gates.get(&webhook).into_iter().flat_map(|gate| gate.copies.iter().copied())
    }

    pub(super) fn count(&self, webhook: WebhookId) -> usize {
        self.gates.get(&webhook).map_or(0, |gate| gate.copies.len())
    }

    /// First what expires by then, then what has stood since before.
    pub(super) fn over(&self, now: Timestamp, held_before: Timestamp) -> impl Iterator<Item = u64> {
        let expired = self.expiries.iter().take_while(move |(expires, _)| *expires <= now);
        let expired_too = move |sequence: &u64| self.expiries.range(..=(now, u64::MAX)).any(|(_, at)| at == sequence);
        let held = self.since.iter().take_while(move |(since, _)| *since < held_before).map(|(_, sequence)| *sequence);
        expired.map(|(_, sequence)| *sequence).chain(held.filter(move |sequence| !expired_too(sequence)))
    }

    pub(super) fn len(&self) -> usize {
        self.since.len()
    }
}
