//! Bringing a delivery forward and withdrawing it, each as one step: what tears it apart is not what the simulator is for.

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryHeader, End, Place};
use fanfare_core::ids::DeliveryId;
use fanfare_core::journal::{BroughtForward, JournalEntry};
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::{BringForward, Withdrawal};

use crate::model::{Data, Now};

/// How long an end is remembered.
const KEPT: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

pub(super) fn bring_forward(data: &mut Data, delivery: DeliveryId, at: Timestamp, now: Now) -> BringForward {
    let standing = data.copies.of(delivery).next().map(|(stream, sequence, copy)| (stream, sequence, copy.clone()));
    if let Some((stream, sequence, copy)) = standing {
        return match copy.place {
            Place::Due { at: due, .. } if due > at && due > now.wall => {
                data.copies.remove(stream, sequence);
                BringForward::Ready(make_ready(data, &copy.delivery.header, copy.delivery.body, at, now))
            }
            Place::Ready | Place::Due { .. } => BringForward::AlreadyReady,
            Place::Gated { .. } => BringForward::Gated,
        };
    }
    match data.copies.in_quarantine(delivery).cloned() {
        Some(copy) if !copy.spoiled => {
            data.copies.leave_quarantine(delivery);
            BringForward::Ready(make_ready(data, &copy.delivery.header, copy.delivery.body, at, now))
        }
        Some(_) | None => BringForward::Gone,
    }
}

/// Marks the delivery as ended, and removes what stands of it; what is ready, or being worked on, removes itself.
pub(super) fn withdraw(data: &mut Data, delivery: DeliveryId, now: Now) -> Withdrawal {
    let had_ended = matches!(data.claims.standing(delivery, now.monotonic), Standing::Done(_));
    data.claims.complete(delivery, End::Discarded, KEPT, now.monotonic);
    let copies: Vec<_> =
        data.copies.of(delivery).map(|(stream, sequence, copy)| (stream, sequence, copy.place)).collect();
    let mut removed = data.copies.in_quarantine(delivery).is_some();
    data.copies.leave_quarantine(delivery);
    let mut in_flight = false;
    for (stream, sequence, place) in copies {
        match place {
            Place::Due { at, .. } if at > now.wall => {}
            Place::Ready | Place::Due { .. } => {
                in_flight = true;
                continue;
            }
            Place::Gated { .. } => {}
        }
        data.copies.remove(stream, sequence);
        removed = true;
    }
    match (in_flight, removed) {
        (true, _) => Withdrawal::InFlight,
        (false, false) if had_ended => Withdrawal::Gone,
        (false, _) => Withdrawal::Discarded,
    }
}

fn make_ready(
    data: &mut Data,
    held: &DeliveryHeader,
    body: bytes::Bytes,
    at: Timestamp,
    now: Now,
) -> fanfare_core::ids::Hop {
    let moved = DeliveryHeader { hop: held.hop.next(), ..held.clone() };
    let bounds = data.bounds;
    data.copies.publish(&moved, body, Place::Ready, &bounds, now);
    data.claims.raise(held.id, moved.hop, now.monotonic);
    let entry = BroughtForward { project: moved.project.clone(), delivery: moved.id, hop: moved.hop, at };
    data.journal.append(JournalEntry::BroughtForward(entry), None);
    moved.hop
}
