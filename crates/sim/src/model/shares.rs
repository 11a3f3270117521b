//! Partitions, each held by one member at a time, by a lease that has to be renewed and a token that rises.

use std::collections::BTreeMap;

use fanfare_core::clock::Monotonic;
use fanfare_core::ports::dedup::Fence;

use super::{Bounds, Now};

/// What is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Events,
    Gates,
}

impl Kind {
    fn partitions(self, bounds: &Bounds) -> u16 {
        match self {
            Kind::Events => bounds.event_partitions,
            Kind::Gates => bounds.gate_partitions,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Held {
    member: u32,
    token: u64,
    until: Monotonic,
}

impl Held {
    fn fence(&self) -> Fence {
        Fence(self.token)
    }
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Shares {
    members: BTreeMap<(Kind, u32), Monotonic>,
    held: BTreeMap<(Kind, u16), Held>,
    /// Until when each process counts as being there.
    present: BTreeMap<u32, Monotonic>,
    tokens: u64,
    joined: u32,
}

impl Shares {
    /// An id for one more who takes part.
    pub(crate) fn new_member(&mut self) -> u32 {
        self.joined += 1;
        self.joined
    }

    /// A process is there, for a lease time from now.
    pub(crate) fn show(&mut self, process: u32, bounds: &Bounds, now: Now) {
        self.present.insert(process, now.monotonic.after(bounds.partition_lease));
    }

    /// Whether a process has given no sign of life for a lease time.
    pub(crate) fn is_gone(&self, process: u32, now: Monotonic) -> bool {
        self.present.get(&process).is_none_or(|until| *until <= now)
    }

    /// One member's round: it is there; it renews what it keeps, gives back what is more than an even share, takes what is
    /// free up to it. What it had and does not keep, it may take again, with another token.
    pub(crate) fn round(
        &mut self,
        kind: Kind,
        member: u32,
        keeps: &[(u16, u64)],
        bounds: &Bounds,
        now: Now,
    ) -> Vec<(u16, Fence)> {
        let until = now.monotonic.after(bounds.partition_lease);
        self.members.retain(|(of, who), until| *of != kind || *who == member || *until > now.monotonic);
        self.members.insert((kind, member), until);
        let members = self.members.keys().filter(|(of, _)| *of == kind).count();
        let partitions = kind.partitions(bounds);
        let fair = usize::from(partitions).div_ceil(members);
        let kept = |partition: u16, held: &Held| keeps.contains(&(partition, held.token));
        self.held.retain(|(of, at), held| *of != kind || held.member != member || kept(*at, held));
        let mut holds: Vec<(u16, Fence)> = Vec::new();
        for ((of, partition), held) in &mut self.held {
            if *of == kind && held.member == member {
                held.until = until;
                holds.push((*partition, held.fence()));
            }
        }
        while holds.len() > fair {
            if let Some((partition, _)) = holds.pop() {
                self.held.remove(&(kind, partition));
            }
        }
        // Everybody begins elsewhere.
        let start = u16::try_from(member % u32::from(partitions)).unwrap_or(0);
        for partition in (0..partitions).map(|step| (start + step) % partitions) {
            let before = self.held.get(&(kind, partition));
            let free = before.is_none_or(|held| held.until <= now.monotonic);
            if free && holds.len() < fair {
                self.tokens += 1;
                let held = Held { member, token: self.tokens, until };
                self.held.insert((kind, partition), held);
                holds.push((partition, held.fence()));
            }
        }
        holds
    }

    /// Whether this is the token of the present holder.
    pub(crate) fn is_current(&self, kind: Kind, partition: u16, token: u64) -> bool {
        self.held.get(&(kind, partition)).is_some_and(|held| held.token == token)
    }

    /// A member gives everything back; or its lease is taken to have run out.
    pub(crate) fn leave(&mut self, kind: Kind, member: u32) {
        self.members.remove(&(kind, member));
        self.held.retain(|(of, _), held| *of != kind || held.member != member);
    }

    /// Everybody is gone, and has been for so long that it is known.
    #[cfg(test)]
    pub(crate) fn all_leave(&mut self) {
        self.members.clear();
        self.present.clear();
        self.held.values_mut().for_each(|held| held.until = Monotonic::default());
    }

    /// A partition passes to nobody, while its holder takes itself for one.
    pub(crate) fn drop_holder(&mut self, kind: Kind, partition: u16) {
        self.held.remove(&(kind, partition));
    }
}
