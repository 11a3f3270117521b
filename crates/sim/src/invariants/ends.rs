//! Each accepted event ends, for each webhook, and is told of.

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::delivery::{End, Next};
use fanfare_core::ids::{DeliveryId, Run, WebhookId};
use fanfare_core::journal::JournalEntry;

use super::Outcome;
use crate::client::Server;
use crate::plan::Act;
use crate::trace::{Fact, How, short};
use crate::world::{event_id, webhook_id};

/// The ends that the journal tells of.
fn ends(outcome: &Outcome) -> BTreeMap<DeliveryId, BTreeSet<&'static str>> {
    let mut ends: BTreeMap<DeliveryId, BTreeSet<&'static str>> = BTreeMap::new();
    for entry in &outcome.journal {
        if let JournalEntry::Settled(settled) = entry
            && let Next::End { end } = settled.next
        {
            let end = match end {
                End::Delivered => "delivered",
                End::Exhausted => "exhausted",
                End::Expired => "expired",
                End::Discarded => "discarded",
            };
            ends.entry(settled.delivery.id).or_default().insert(end);
        }
    }
    ends
}

/// The deliveries that the journal tells of, and to whom they go. A fan-out that is repeated after a crash leaves out those
/// that have moved on: of them their settlements tell.
fn known(outcome: &Outcome) -> BTreeMap<DeliveryId, WebhookId> {
    let mut deliveries = BTreeMap::new();
    for entry in &outcome.journal {
        if let JournalEntry::FannedOut(event) = entry {
            deliveries.extend(event.deliveries.iter().map(|to| (to.delivery, to.webhook)));
        }
        if let JournalEntry::Settled(settled) = entry {
            deliveries.insert(settled.delivery.id, settled.delivery.webhook);
        }
    }
    deliveries
}

fn is_deleted(outcome: &Outcome, webhook: WebhookId) -> bool {
    (0..outcome.webhooks.len()).any(|number| webhook_id(number) == webhook && !outcome.webhooks[number])
}

/// Webhooks that nobody has touched: each event goes to them.
fn untouched(outcome: &Outcome) -> Vec<usize> {
    let touched: BTreeSet<usize> = outcome
        .trace
        .0
        .iter()
        .filter_map(|(_, fact)| match fact {
            Fact::Acted(Act::Pause { webhook } | Act::Delete { webhook }) => Some(*webhook),
            _ => None,
        })
        .collect();
    (0..outcome.webhooks.len()).filter(|webhook| !touched.contains(webhook)).collect()
}

/// An accepted event that was not fanned out to a webhook that was there all the time, or a delivery that neither ended nor
/// stands anywhere.
pub(super) fn lost(outcome: &Outcome) -> Vec<String> {
    let (ends, known) = (ends(outcome), known(outcome));
    let mut lost = Vec::new();
    for (_, fact) in &outcome.trace.0 {
        let Fact::Accepted { event } = fact else { continue };
        for webhook in untouched(outcome) {
            let id = DeliveryId::derive(webhook_id(webhook), &event_id(*event), &Run::Original);
            if !known.contains_key(&id) && !outcome.open.contains_key(&id) {
                lost.push(format!("event {event} was not fanned out to webhook {webhook}"));
            }
        }
    }
    for (delivery, webhook) in known {
        let stands = ends.contains_key(&delivery) || outcome.open.contains_key(&delivery);
        if !stands && !is_deleted(outcome, webhook) {
            lost.push(format!("delivery {} has not ended and stands nowhere", short(delivery)));
        }
    }
    lost
}

/// What has not ended although nothing has gone wrong for long.
pub(super) fn stuck(outcome: &Outcome) -> Vec<String> {
    let quiet = outcome.trace.0.iter().any(|(_, fact)| matches!(fact, Fact::Quiet));
    let mut stuck: Vec<String> =
        outcome.open.iter().map(|(delivery, at)| format!("delivery {} stands {at:?}", short(*delivery))).collect();
    if stuck.is_empty() && !quiet {
        stuck.push("events are not fanned out".to_owned());
    }
    stuck
}

/// A delivery has one end, by whomever it is told. Where the claims were away or lost, two copies may have ended each in
/// its way.
pub(super) fn told(outcome: &Outcome) -> Vec<String> {
    let claims_failed = outcome.trace.0.iter().any(|(_, fact)| match fact {
        Fact::Acted(Act::EmptyClaims | Act::Away { server: Server::Claims, .. }) => true,
        Fact::Called { call, how, .. } => call.server == Server::Claims && *how != How::Done,
        _ => false,
    });
    if claims_failed {
        return Vec::new();
    }
    let several = ends(outcome).into_iter().filter(|(_, ends)| ends.len() > 1);
    several.map(|(delivery, ends)| format!("delivery {} has ended as {ends:?}", short(delivery))).collect()
}
