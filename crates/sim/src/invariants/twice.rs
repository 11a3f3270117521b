//! Once in effect: a receiver that has answered well gets the delivery again only where that is promised.

use std::collections::BTreeMap;

use fanfare_core::attempt::OutcomeClass;

use super::{Outcome, half_settled, posts};
use crate::client::{COMPLETE, REMOVE, Server};
use crate::plan::Act;
use crate::trace::{Fact, How, Sent};

/// A POST after one that succeeded. It is excused where the process died or stood still between that request and the record
/// of its answer, or where the claims were away or lost, or the streams refused the record; or where one had died or frozen while it
/// settled, so that there were two copies.
pub(super) fn twice(outcome: &Outcome) -> Vec<String> {
    let facts = &outcome.trace.0;
    let mut first: BTreeMap<(usize, usize), (usize, usize, Sent)> = BTreeMap::new();
    let sent_by_number: BTreeMap<usize, (usize, Sent)> =
        posts(outcome).map(|(at, sent)| (sent.post, (at, *sent))).collect();
    let half_settled = half_settled(outcome);
    let mut wrong = Vec::new();
    for (at, (_, fact)) in facts.iter().enumerate() {
        match fact {
            Fact::Answered { post, outcome: OutcomeClass::Success } => {
                let Some((begun, sent)) = sent_by_number.get(post) else { continue };
                first.entry((sent.webhook, sent.event)).or_insert((*begun, at, *sent));
            }
            Fact::Sent(again) => {
                let Some((begun, answered, success)) = first.get(&(again.webhook, again.event)) else { continue };
                if !half_settled.contains(&again.delivery) && !is_excused(outcome, *begun, *answered, success, at) {
                    wrong.push(format!("POST {} after POST {} had succeeded", again.post, success.post));
                }
            }
            _ => {}
        }
    }
    wrong
}

fn is_excused(outcome: &Outcome, begun: usize, answered: usize, success: &Sent, again: usize) -> bool {
    let facts = &outcome.trace.0;
    let of_this = |fact: &Fact, doing: &[&str]| {
        matches!(fact, Fact::Called { process, call, how: How::Done | How::Unanswered }
            if *process == success.process && doing.contains(&call.doing)
                && call.delivery.is_some_and(|(delivery, _)| delivery == success.delivery))
    };
    let recorded = (answered..again).find(|at| of_this(&facts[*at].1, &[COMPLETE, REMOVE])).unwrap_or(again);
    let interrupted = facts[begun..recorded].iter().any(|(_, fact)| match fact {
        Fact::Crashed { process } | Fact::Froze { process, .. } => *process == success.process,
        // A process that is told to stop may be ended before it has done everything.
        Fact::Stopping { process } => *process == success.process,
        Fact::Called { process, call, how } => {
            *process == success.process && call.server == Server::Streams && *how == How::Refused
        }
        _ => false,
    });
    let claims_failed = facts[..again].iter().any(|(_, fact)| match fact {
        Fact::Acted(Act::EmptyClaims | Act::Away { server: Server::Claims, .. }) => true,
        Fact::Called { call, how, .. } => {
            call.server == Server::Claims
                && *how != How::Done
                && call.delivery.is_some_and(|(delivery, _)| delivery == success.delivery)
        }
        _ => false,
    });
    interrupted || claims_failed
}
