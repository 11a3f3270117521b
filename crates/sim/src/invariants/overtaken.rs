//! Order behind a gate, whoever owns it.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::ids::DeliveryId;

use super::{Outcome, posts};
use crate::client::CLAIM;
use crate::trace::{Fact, How};

/// Where a lane makes one request at a time, what stands behind a gate is sent for the first time in the order in which it
/// stands there, though its owner dies, freezes, or gives the gate to another in the midst, and whatever call is slow or refused.
///
/// Excused is a delivery of which a claim was made whose answer was lost: of nobody is it known who made that claim, and it keeps the
/// delivery from being sent until it runs out. The others do not wait for so long.
pub(super) fn overtaken(outcome: &Outcome) -> Vec<String> {
    if outcome.plan.delivery.lane_limit != 1 {
        return Vec::new();
    }
    let held_up = claims_without_an_answer(outcome);
    let (mut begun, mut furthest) = (BTreeSet::new(), BTreeMap::<usize, u64>::new());
    let mut wrong = Vec::new();
    for (_, sent) in posts(outcome) {
        let Some(lease) = sent.lease.filter(|lease| lease.from_gate) else { continue };
        let before = furthest.entry(sent.webhook).or_default();
        if begun.insert(lease.place) && lease.place < *before && !held_up.contains(&sent.delivery) {
            wrong.push(format!("POST {} from place {} after one from {before}", sent.post, lease.place));
        }
        *before = lease.place.max(*before);
    }
    wrong
}

fn claims_without_an_answer(outcome: &Outcome) -> BTreeSet<DeliveryId> {
    let facts = outcome.trace.0.iter().filter_map(|(_, fact)| match fact {
        Fact::Called { call, how: How::Unanswered, .. } if call.doing == CLAIM => call.delivery,
        _ => None,
    });
    facts.map(|(delivery, _)| delivery).collect()
}
