//! A delivery as a message, and a message as a delivery.

use async_nats::HeaderMap;
use bytes::Bytes;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, DeliveryHeader, Place};
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::StoreResult;
use serde::Deserialize;

use crate::message::{Draft, described};
use crate::names::Names;

/// Everything about a delivery but its body, as JSON.
const DELIVERY: &str = "Fanfare-Delivery";
/// Where it was put, as JSON.
const PLACE: &str = "Fanfare-Place";

/// Its id and hop, as plain text: they are known even of a copy whose description cannot be read.
const COPY: &str = "Fanfare-Copy";

/// The message id of a delivery's arrival at a place. With the hop in it: a delivery may be put off twice in the window in
/// which repetitions are recognised.
pub(super) fn move_id(delivery: DeliveryId, hop: Hop) -> String {
    format!("{delivery}:{hop}")
}

/// The message that puts a delivery where it is to stand. One whose time has come by `now` is ready.
pub(super) fn draft(names: &Names, header: &DeliveryHeader, body: Bytes, place: Place, now: Timestamp) -> Draft {
    let ready = names.ready(header.webhook, header.id);
    let draft = match place {
        Place::Due { at, reason } if at > now => {
            Draft::new(names.due(reason, at, header.webhook, header.id, header.hop), body).at(at, &ready)
        }
        Place::Ready | Place::Due { .. } => Draft::new(ready, body),
        Place::Gated { .. } => Draft::new(names.gate(header.webhook), body),
    };
    let id = move_id(header.id, header.hop);
    draft.id(&id).header(COPY, &id).describe(DELIVERY, header).describe(PLACE, &place)
}

/// A delivery from its message.
pub(super) fn delivery(doing: &'static str, headers: Option<&HeaderMap>, body: Bytes) -> StoreResult<Delivery> {
    Ok(Delivery { header: described(doing, headers, DELIVERY)?, body })
}

/// Whose copy it is, and of which hop.
pub(super) fn copy(headers: Option<&HeaderMap>) -> Option<(DeliveryId, Hop)> {
    let text = crate::message::header(headers, COPY)?;
    let (delivery, hop) = text.rsplit_once(':')?;
    Some((delivery.parse().ok()?, Hop(hop.parse().ok()?)))
}

/// Everything but the body.
pub(super) fn header(doing: &'static str, headers: Option<&HeaderMap>) -> StoreResult<DeliveryHeader> {
    described(doing, headers, DELIVERY)
}

/// When a delivery expires, by its headers alone. One that cannot be read is quarantine's business when its turn comes.
pub(super) fn expires_at(headers: Option<&HeaderMap>) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Expiry {
        expires_at: Option<Timestamp>,
    }
    // Most have none, and reading the header would be most of the work that their arrival takes.
    let text = headers?.get(DELIVERY)?.as_str();
    let has_one = text.contains("expires_at");
    has_one.then(|| described::<Expiry>("read when a delivery expires", headers, DELIVERY).ok()?.expires_at).flatten()
}

/// Where a message says that it was put.
pub(super) fn place(doing: &'static str, headers: Option<&HeaderMap>) -> StoreResult<Place> {
    described(doing, headers, PLACE)
}

/// Since when it has been ready: its due time, or when it was stored.
pub(super) fn ready_at(place: Place, stored: Timestamp) -> Timestamp {
    match place {
        Place::Due { at, .. } => at,
        Place::Ready | Place::Gated { .. } => stored,
    }
}
