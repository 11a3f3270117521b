//! What happened, in order: what invariants are checked on, and what a failing seed prints.

use std::fmt;
use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::health::GateReason;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::delivery_queue::LeaseToken;

use crate::client::{Call, Server};
use crate::plan::Act;
use crate::stage::ProcessId;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was done, and the answer came.
    Done,
    /// It was done, and the answer did not come.
    Unanswered,
    /// It never arrived.
    Lost,
    /// The server was away.
    Refused,
}

/// A POST as it goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// Its number among all.
    pub(crate) post: usize,
    pub(crate) process: ProcessId,
    pub(crate) webhook: usize,
    pub(crate) event: usize,
    pub(crate) delivery: DeliveryId,
    /// The lease it is made under, by the servers' word.
    pub(crate) lease: Option<LeaseOf>,
    /// Whether this process has the delivery claimed, by the servers' word.
    pub(crate) claimed: bool,
    /// The gate as this process knows it.
    pub(crate) gate: Option<GateReason>,
    /// By the servers' clock.
    pub(crate) wall: Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseOf {
    pub(crate) token: LeaseToken,
    pub(crate) hop: Hop,
    pub(crate) from_gate: bool,
    /// The copy's place in its stream.
    pub(crate) place: u64,
    /// Whether it has not run out.
    pub(crate) held: bool,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Started {
        process: ProcessId,
        slot: usize,
    },
    Crashed {
        process: ProcessId,
    },
    Froze {
        process: ProcessId,
        lasting: Duration,
    },
    Thawed {
        process: ProcessId,
    },
    Stopping {
        process: ProcessId,
    },
    /// A part of a process ended unasked.
    Failed {
        process: ProcessId,
        how: String,
    },
    Accepted {
        event: usize,
    },
    Called {
        process: ProcessId,
        call: Call,
        how: How,
    },
    Sent(Sent),
    Answered {
        post: usize,
        outcome: OutcomeClass,
    },
    /// The sender does not wait for the answer any more.
    GivenUp {
        post: usize,
    },
    /// Something of the plan that is not told by another fact.
    Acted(Act),
    Back {
        server: Server,
    },
    Healed,
    Quiet,
}

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(pub(crate) Vec<(Duration, Fact)>);

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(at, fact)| {
            write!(f, "{:>9.3}  ", at.as_secs_f64())?;
            writeln!(f, "{fact}")
        })
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Started { process, slot } => write!(f, "{process} starts in slot {slot}"),
            Fact::Crashed { process } => write!(f, "{process} dies"),
            Fact::Froze { process, lasting } => write!(f, "{process} freezes for {lasting:?}"),
            Fact::Thawed { process } => write!(f, "{process} goes on"),
            Fact::Stopping { process } => write!(f, "{process} is told to stop"),
            Fact::Failed { process, how } => write!(f, "{process} FAILS: {how}"),
            Fact::Accepted { event } => write!(f, "event {event} is accepted"),
            Fact::Called { process, call, how } => {
                write!(f, "{process} {:?}: {}", how, call.doing)?;
                call.delivery.map_or(Ok(()), |(delivery, hop)| write!(f, " {} hop {}", short(delivery), hop.0))
            }
            Fact::Sent(sent) => {
                let Sent { post, process, webhook, event, delivery, lease, claimed, gate, .. } = sent;
                write!(f, "{process} POST {post}: event {event} to webhook {webhook}, {}", short(*delivery))?;
                write!(f, ", lease {lease:?}, claimed {claimed}, gate {gate:?}")
            }
            Fact::Answered { post, outcome } => write!(f, "POST {post} is answered: {outcome}"),
            Fact::GivenUp { post } => write!(f, "POST {post} is given up"),
            Fact::Acted(act) => write!(f, "{act:?}"),
            Fact::Back { server } => write!(f, "{server:?} answer again"),
            Fact::Healed => write!(f, "from here on nothing goes wrong"),
            Fact::Quiet => write!(f, "everything has ended"),
        }
    }
}

/// Enough of an id to tell the deliveries of one small world apart.
pub(crate) fn short(delivery: DeliveryId) -> String {
    delivery.to_string().chars().take(8).collect()
}
