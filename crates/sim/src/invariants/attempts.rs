//! Attempts keep to their schedule.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Next, Place};
use fanfare_core::ids::DeliveryId;
use fanfare_core::journal::JournalEntry;

use super::{Outcome, half_settled, posts};
use crate::client::Server;
use crate::plan::Act;
use crate::trace::{Fact, How, short};

/// More attempts in the journal than the schedule has. One that was answered 410 uses none up.
pub(super) fn past_the_schedule(outcome: &Outcome) -> Vec<String> {
    let webhooks: BTreeMap<DeliveryId, usize> = posts(outcome).map(|(_, sent)| (sent.delivery, sent.webhook)).collect();
    let mut made: BTreeMap<DeliveryId, BTreeMap<u32, OutcomeClass>> = BTreeMap::new();
    for entry in &outcome.journal {
        if let JournalEntry::Settled(settled) = entry
            && let Some(attempt) = &settled.attempt
        {
            made.entry(settled.delivery.id).or_default().insert(attempt.number, attempt.outcome);
        }
    }
    let mut past = Vec::new();
    for (delivery, attempts) in made {
        let allowed = webhooks.get(&delivery).map_or(0, |at| outcome.plan.webhooks[*at].schedule().attempts());
        let mut counted = 0;
        for (number, class) in &attempts {
            if counted >= allowed {
                past.push(format!("attempt {number} of delivery {}, whose schedule has {allowed}", short(delivery)));
                break;
            }
            counted += u32::from(*class != OutcomeClass::Gone);
        }
    }
    past
}

/// A POST at a hop to which a move led whose time had not come. Time is the servers': what has come does not go again. Where
/// claims were lost, a copy may begin anew; where they did not answer, one that has been overtaken may go on; and where a process died
/// or froze while it settled, whoever takes the delivery over knows nothing of when it was to come again.
pub(super) fn before_its_time(outcome: &Outcome) -> Vec<String> {
    if outcome.trace.0.iter().any(|(_, fact)| matches!(fact, Fact::Acted(Act::EmptyClaims))) {
        return Vec::new();
    }
    let mut unasked = half_settled(outcome);
    unasked.extend(outcome.trace.0.iter().filter_map(|(_, fact)| match fact {
        Fact::Called { call, how, .. } if call.server == Server::Claims && *how != How::Done => {
            call.delivery.map(|(delivery, _)| delivery)
        }
        _ => None,
    }));
    let mut due: BTreeMap<(DeliveryId, u32), Timestamp> = BTreeMap::new();
    for entry in &outcome.journal {
        if let JournalEntry::Settled(settled) = entry
            && let Next::Move(Place::Due { at, .. }) = settled.next
        {
            let time = due.entry((settled.delivery.id, settled.delivery.hop.next().0)).or_insert(at);
            // Of two copies at one hop the earlier may be the one that is leased.
            *time = (*time).min(at);
        }
    }
    // The servers' clock may have been ahead for a while, and what was due then has come.
    let (mut off_by, mut ahead) = (0, 0);
    let mut early = Vec::new();
    for (_, fact) in &outcome.trace.0 {
        if let Fact::Acted(Act::Jump { slot: None, millis }) = fact {
            off_by += millis;
            ahead = ahead.max(off_by);
        }
        let Fact::Sent(sent) = fact else { continue };
        let latest = sent.wall.after(Duration::from_millis(u64::try_from(ahead - off_by).unwrap_or(0)));
        let Some(lease) = sent.lease.filter(|_| !unasked.contains(&sent.delivery)) else { continue };
        let times = due.range((sent.delivery, 0)..=(sent.delivery, lease.hop.0));
        for ((_, hop), at) in times {
            if *at > latest {
                early.push(format!("POST {} at {} although hop {hop} is due at {at}", sent.post, sent.wall));
            }
        }
    }
    early
}
