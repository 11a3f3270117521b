//! Order behind a gate, whoever owns it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outcome, posts};

/// Where a lane makes one request at a time, what stands behind a gate is sent for the first time in the order in which it
/// stands there, though its owner dies, freezes, or gives the gate to another in the midst, and whatever call is slow or refused.
pub(super) fn overtaken(outcome: &Outcome) -> Vec<String> {
    if outcome.plan.delivery.lane_limit != 1 {
        return Vec::new();
    }
    let (mut begun, mut furthest) = (BTreeSet::new(), BTreeMap::<usize, u64>::new());
    let mut wrong = Vec::new();
    for (_, sent) in posts(outcome) {
        let Some(lease) = sent.lease.filter(|lease| lease.from_gate) else { continue };
        let before = furthest.entry(sent.webhook).or_default();
        if begun.insert(lease.place) && lease.place < *before {
            wrong.push(format!("POST {} from place {} after one from {before}", sent.post, lease.place));
        }
        *before = lease.place.max(*before);
    }
    wrong
}
