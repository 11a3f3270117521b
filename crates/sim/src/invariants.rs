//! What must be true of every world, as functions over what happened in it.

mod attempts;
mod ends;
mod order;
mod overtaken;
mod twice;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fanfare_core::ids::DeliveryId;
use fanfare_core::journal::JournalEntry;

use crate::client::{Call, JOURNAL, REMOVE};
use crate::model::Where;
use crate::plan::Plan;
use crate::trace::{Fact, Sent, Trace};

/// What became of a world.
pub(crate) struct Outcome {
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    pub(crate) journal: Vec<JournalEntry>,
    /// Where the deliveries stand that have not ended.
    pub(crate) open: BTreeMap<DeliveryId, Where>,
    /// Which webhooks are there at the end.
    pub(crate) webhooks: Vec<bool>,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule that is broken.
    pub rule: &'static str,
    /// By what.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// A rule: what breaks it, in words.
type Rule = fn(&Outcome) -> Vec<String>;

/// Every rule.
const RULES: [(&str, Rule); 14] = [
    ("every part of a process goes on", failures),
    ("nothing is lost", ends::lost),
    ("nothing is stuck", ends::stuck),
    ("every end is told once", ends::told),
    ("no attempt is past the schedule", attempts::past_the_schedule),
    ("no attempt is before its time", attempts::before_its_time),
    ("nothing succeeds twice", twice::twice),
    ("nothing is sent without a lease", order::without_a_lease),
    ("nothing is sent without a claim", order::without_a_claim),
    ("nothing is sent past a gate", order::past_a_gate),
    ("a breaker lets one probe through at a time", order::several_probes),
    ("a rate is kept", order::too_fast),
    ("a gate keeps its order", order::out_of_order),
    ("a gate keeps its order from owner to owner", overtaken::overtaken),
];

/// All that is broken.
pub(crate) fn check(outcome: &Outcome) -> Vec<Violation> {
    let broken = RULES.iter().flat_map(|(rule, check)| check(outcome).into_iter().map(|what| Violation { rule, what }));
    broken.collect()
}

fn failures(outcome: &Outcome) -> Vec<String> {
    let failed = outcome.trace.0.iter().filter_map(|(_, fact)| match fact {
        Fact::Failed { process, how } => Some(format!("{process}: {how}")),
        _ => None,
    });
    failed.collect()
}

/// Every POST, with its place in the trace.
fn posts(outcome: &Outcome) -> impl Iterator<Item = (usize, &Sent)> {
    outcome.trace.0.iter().enumerate().filter_map(|(at, (_, fact))| match fact {
        Fact::Sent(sent) => Some((at, sent)),
        _ => None,
    })
}

/// Deliveries that a process had sent or was settling when it died or froze: it had not yet removed the copy. There may be another
/// by then, or it may go on with its own. Whoever takes over knows nothing of that until the other is claimed.
fn half_settled(outcome: &Outcome) -> BTreeSet<DeliveryId> {
    let (mut settling, mut half) = (BTreeSet::new(), BTreeSet::new());
    for (_, fact) in &outcome.trace.0 {
        match fact {
            Fact::Sent(sent) => {
                settling.insert((sent.process, sent.delivery));
            }
            Fact::Called { process, call: Call { doing, delivery: Some((delivery, _)), .. }, .. } => {
                if *doing == JOURNAL {
                    settling.insert((*process, *delivery));
                } else if *doing == REMOVE {
                    settling.remove(&(*process, *delivery));
                }
            }
            Fact::Crashed { process: gone } | Fact::Froze { process: gone, .. } => {
                half.extend(settling.iter().filter(|(process, _)| process == gone).map(|(_, delivery)| *delivery));
            }
            _ => {}
        }
    }
    half
}
