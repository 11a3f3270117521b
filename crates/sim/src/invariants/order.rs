//! What a process may send, and in which order.

use std::collections::BTreeMap;

use fanfare_core::health::GateReason;
use fanfare_core::ports::delivery_queue::LeaseToken;

use super::{Outcome, posts};
use crate::client::Server;
use crate::plan::Act;
use crate::stage::ProcessId;
use crate::trace::{Fact, How};

/// A lease that has run out is another's. What stood behind the gate of a webhook that was deleted has none any more.
pub(super) fn without_a_lease(outcome: &Outcome) -> Vec<String> {
    let without = posts(outcome).filter(|(at, sent)| {
        let deletes = |fact: &Fact| matches!(fact, Fact::Acted(Act::Delete { webhook }) if *webhook == sent.webhook);
        let deleted = outcome.trace.0[..*at].iter().any(|(_, fact)| deletes(fact));
        !deleted && !sent.lease.is_some_and(|lease| lease.held)
    });
    without.map(|(_, sent)| format!("POST {} by {} under {:?}", sent.post, sent.process, sent.lease)).collect()
}

/// Unless the claims did not answer this process about this delivery, or have been lost since.
pub(super) fn without_a_claim(outcome: &Outcome) -> Vec<String> {
    let without = posts(outcome).filter(|(at, sent)| {
        let before = &outcome.trace.0[..*at];
        let excused = before.iter().rev().any(|(_, fact)| match fact {
            Fact::Acted(Act::EmptyClaims) => true,
            Fact::Called { process, call, how } => {
                call.server == Server::Claims
                    && *how != How::Done
                    && *process == sent.process
                    && call.delivery.is_some_and(|(delivery, _)| delivery == sent.delivery)
            }
            _ => false,
        });
        !sent.claimed && !excused
    });
    without.map(|(_, sent)| format!("POST {} by {}", sent.post, sent.process)).collect()
}

/// Nothing is sent to a webhook that the process knows to be paused; while it knows of any gate, only what stands behind it.
pub(super) fn past_a_gate(outcome: &Outcome) -> Vec<String> {
    let past = posts(outcome).filter(|(_, sent)| {
        let from_gate = sent.lease.is_some_and(|lease| lease.from_gate);
        sent.gate == Some(GateReason::Paused) || sent.gate.is_some() && !from_gate
    });
    past.map(|(_, sent)| format!("POST {} by {} with gate {:?}", sent.post, sent.process, sent.gate)).collect()
}

/// Where a lane makes one request at a time, what a process takes from behind a gate goes out as it was taken.
pub(super) fn out_of_order(outcome: &Outcome) -> Vec<String> {
    if outcome.plan.delivery.lane_limit != 1 {
        return Vec::new();
    }
    let mut last: BTreeMap<(ProcessId, usize), LeaseToken> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (_, sent) in posts(outcome) {
        let Some(lease) = sent.lease.filter(|lease| lease.from_gate) else { continue };
        let before = last.insert((sent.process, sent.webhook), lease.token);
        if before.is_some_and(|before| before > lease.token) {
            wrong.push(format!("POST {} under {:?} after {before:?}", sent.post, lease.token));
        }
    }
    wrong
}
