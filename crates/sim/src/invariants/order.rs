//! What a process may send, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_core::health::GateReason;
use fanfare_core::ports::delivery_queue::LeaseToken;

use super::{Outcome, half_settled, posts};
use crate::client::Server;
use crate::plan::Act;
use crate::stage::ProcessId;
use crate::trace::{Fact, How, Sent};

/// A lease that has run out is another's. What stood behind the gate of a webhook that was deleted has none any more.
pub(super) fn without_a_lease(outcome: &Outcome) -> Vec<String> {
    let without = posts(outcome).filter(|(at, sent)| {
        let deletes = |fact: &Fact| matches!(fact, Fact::Acted(Act::Delete { webhook }) if *webhook == sent.webhook);
        let deleted = outcome.trace.0[..*at].iter().any(|(_, fact)| deletes(fact));
        !deleted && !sent.lease.is_some_and(|lease| lease.held)
    });
    without.map(|(_, sent)| format!("POST {} by {} under {:?}", sent.post, sent.process, sent.lease)).collect()
}

/// Unless the claims did not answer this process about this delivery, or have been lost since; or its webhook was deleted, and
/// the lease is gone by which it would be known; or there are two copies, since a process died or froze
/// while it settled, and the other one has claimed it, or ended it, in the moment between this process's claim and its turn.
pub(super) fn without_a_claim(outcome: &Outcome) -> Vec<String> {
    let half_settled = half_settled(outcome);
    let without = posts(outcome).filter(|(at, sent)| {
        let before = &outcome.trace.0[..*at];
        let excused = half_settled.contains(&sent.delivery)
            || before.iter().rev().any(|(_, fact)| match fact {
                Fact::Acted(Act::EmptyClaims) => true,
                Fact::Acted(Act::Delete { webhook }) => *webhook == sent.webhook,
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
    let past = posts(outcome).filter(|(at, sent)| {
        let deletes = |fact: &Fact| matches!(fact, Fact::Acted(Act::Delete { webhook }) if *webhook == sent.webhook);
        // With the webhook goes the lease, by which it would be known where it came from.
        if sent.lease.is_none() && outcome.trace.0[..*at].iter().any(|(_, fact)| deletes(fact)) {
            return false;
        }
        let from_gate = sent.lease.is_some_and(|lease| lease.from_gate);
        sent.gate == Some(GateReason::Paused) || sent.gate.is_some() && !from_gate
    });
    past.map(|(_, sent)| format!("POST {} by {} with gate {:?}", sent.post, sent.process, sent.gate)).collect()
}

/// Whether two may have taken themselves for the owner of a gate.
fn two_owners(outcome: &Outcome) -> bool {
    let is_such = |fact: &Fact| matches!(fact, Fact::Froze { .. } | Fact::Acted(Act::ForgetOwner { .. }));
    outcome.trace.0.iter().any(|(_, fact)| is_such(fact))
}

/// A process that knows of an open breaker has one request under way that it has made through it. One that loses a gate in
/// the midst of a probe and gets it again may make another; one that the claims do not answer cannot know that it has, and is
/// not counted.
pub(super) fn several_probes(outcome: &Outcome) -> Vec<String> {
    if two_owners(outcome) {
        return Vec::new();
    }
    let mut under_way: BTreeMap<(ProcessId, usize), usize> = BTreeMap::new();
    let mut several = Vec::new();
    for (_, fact) in &outcome.trace.0 {
        match fact {
            Fact::Sent(sent) if sent.gate == Some(GateReason::BreakerOpen) && sent.claimed => {
                if let Some(other) = under_way.insert((sent.process, sent.webhook), sent.post) {
                    several.push(format!("POST {} while POST {other} is under way", sent.post));
                }
            }
            Fact::Answered { post, .. } | Fact::GivenUp { post } => under_way.retain(|_, sent| sent != post),
            _ => {}
        }
    }
    several
}

/// In no time as long as its period does a webhook with a rate get more than that and its burst. While two take themselves
/// for the owner of its gate, it may: one is frozen, or is not told.
pub(super) fn too_fast(outcome: &Outcome) -> Vec<String> {
    if two_owners(outcome) {
        return Vec::new();
    }
    let mut fast = Vec::new();
    for (webhook, plan) in outcome.plan.webhooks.iter().enumerate() {
        let Some(rate) = plan.rate else { continue };
        let sent = posts(outcome).filter(|(_, sent)| sent.webhook == webhook);
        let times: Vec<Duration> = sent.map(|(at, _)| outcome.trace.0[at].0).collect();
        let most = usize::try_from(rate.count() + rate.burst()).unwrap_or(usize::MAX);
        let period = Duration::from_secs(rate.period_seconds().into());
        for window in times.windows(most + 1) {
            if window[most] - window[0] < period {
                fast.push(format!("{} requests to webhook {webhook} from {:?} on", most + 1, window[0]));
            }
        }
    }
    fast
}

/// Where a lane makes one request at a time, what a process takes from behind a gate goes out as it was taken. A probe
/// may overtake what waited in the lane when the breaker opened.
pub(super) fn out_of_order(outcome: &Outcome) -> Vec<String> {
    if outcome.plan.delivery.lane_limit != 1 {
        return Vec::new();
    }
    let mut last: BTreeMap<(ProcessId, usize), LeaseToken> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (_, sent) in posts(outcome) {
        let Some(lease) = sent.lease.filter(|lease| lease.from_gate && !is_probe(sent)) else { continue };
        let before = last.insert((sent.process, sent.webhook), lease.token);
        if before.is_some_and(|before| before > lease.token) {
            wrong.push(format!("POST {} under {:?} after {before:?}", sent.post, lease.token));
        }
    }
    wrong
}

fn is_probe(sent: &Sent) -> bool {
    sent.gate == Some(GateReason::BreakerOpen)
}
