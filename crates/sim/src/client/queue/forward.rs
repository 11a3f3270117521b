//! Bringing a delivery forward, as one step: what tears it apart is not what the simulator is for.

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryHeader, Place};
use fanfare_core::ids::DeliveryId;
use fanfare_core::journal::{BroughtForward, JournalEntry};
use fanfare_core::ports::delivery_queue::BringForward;

use crate::model::{Data, Now};

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
