//! Order behind a gate, whoever owns it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Outcome, posts};
use crate::client::Server;
use crate::plan::Act;
use crate::trace::{Fact, How};

/// Where a lane makes one request at a time, what stands behind a gate is sent for the first time in the order in which it
/// stands there, though its owner dies, freezes, or gives the gate to another in the midst.
pub(super) fn overtaken(outcome: &Outcome) -> Vec<String> {
    // Where each call may take seconds, a lease may end for its holder while the servers still have it, and what comes after it is taken.
    let is_slow = outcome.plan.noise.slow > 0 && outcome.plan.noise.slowest > Duration::from_secs(1);
    if outcome.plan.delivery.lane_limit != 1 || is_slow || outcome.trace.0.iter().any(|(_, fact)| is_excuse(fact)) {
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

fn is_excuse(fact: &Fact) -> bool {
    match fact {
        Fact::Acted(Act::EmptyClaims | Act::ForgetLease { .. } | Act::ForgetOwner { .. }) => true,
        Fact::Called { how, call, .. } => *how != How::Done && call.server == Server::Streams,
        _ => false,
    }
}
