//! Pages: `limit`, `after`, and `{"data": […], "next": cursor | null}`.
//!
//! A cursor is opaque: base64url of a letter for the kind of list and the place in it, so that one list's cursor is
//! recognised as wrong by another.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_core::clock::Timestamp;
use fanfare_core::event::EventType;
use fanfare_core::ids::{ApiKeyId, ProjectId, WebhookId};
use serde::Serialize;
use ulid::Ulid;

use crate::input::Query;

/// How many items a page has when the request does not say.
const DEFAULT_LIMIT: usize = 20;
/// The most items of a page.
pub(crate) const MAX_LIMIT: usize = 100;

/// A page of a list.
#[derive(Debug, Serialize)]
pub(crate) struct Page<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// What `after` is to be for the next page; null on the last.
    pub(crate) next: Option<String>,
}

/// Takes `limit`, 1 to 100, from a query.
pub(crate) fn limit(query: &mut Query) -> usize {
    let parse = |text: &str| {
        let number = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        number.ok_or_else(|| format!("must be a whole number from 1 to {MAX_LIMIT}"))
    };
    query.one("limit", parse).unwrap_or(DEFAULT_LIMIT)
}

/// Takes `after` from a query.
pub(crate) fn after<C: Cursor>(query: &mut Query) -> Option<C> {
    query.one("after", |text| C::decode(text).ok_or_else(|| "is not a cursor that this list gave as `next`".to_owned()))
}

/// Reads a truth value from a query, in the forms that clients write.
///
/// # Errors
/// What is allowed.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Reads a time from a query.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    // A plus sign that the client did not encode arrives as a space; no RFC 3339 time has one.
    Timestamp::parse(&text.replace(' ', "+")).map_err(|error| error.to_string())
}

/// Says so if a span of time ends before it begins.
pub(crate) fn in_order(query: &mut Query, since: Option<Timestamp>, until: Option<Timestamp>) {
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        query.at("since", "must be before `until`");
    }
}

/// A place in a list.
pub(crate) trait Cursor: Sized {
    /// Tells one list's cursors from another's.
    const KIND: u8;

    /// The place as bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// Reads the bytes back.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;

    /// The text that clients pass back.
    fn encode(&self) -> String {
        let mut bytes = vec![Self::KIND];
        bytes.extend(self.to_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text back; `None` if this kind of list never gave it.
    fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (kind, place) = bytes.split_first()?;
        (*kind == Self::KIND).then(|| Self::from_bytes(place))?
    }
}

/// A place among a project's webhooks: after this one, in order of their id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AfterWebhook(pub(crate) WebhookId);

impl Cursor for AfterWebhook {
    const KIND: u8 = b'w';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(WebhookId::from_bytes(bytes)))
    }
}

/// A place among a project's deliveries, as the read model counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AfterDelivery(pub(crate) u64);

impl Cursor for AfterDelivery {
    const KIND: u8 = b'd';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

/// A place among a project's events, as the read model counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AfterEvent(pub(crate) u64);

impl Cursor for AfterEvent {
    const KIND: u8 = b'e';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

/// A place among a project's rejections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AfterRejection(pub(crate) u64);

impl Cursor for AfterRejection {
    const KIND: u8 = b'r';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(u64::from_be_bytes(bytes)))
    }
}

/// A place among a project's API keys: after this one, in order of their id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AfterApiKey(pub(crate) ApiKeyId);

impl Cursor for AfterApiKey {
    const KIND: u8 = b'k';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.0.to_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(ApiKeyId(Ulid::from_bytes(bytes))))
    }
}

/// A place among the projects: after this one, in order of their id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AfterProject(pub(crate) ProjectId);

impl Cursor for AfterProject {
    const KIND: u8 = b'p';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_str().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        ProjectId::new(std::str::from_utf8(bytes).ok()?).ok().map(Self)
    }
}

/// A place among the event types: after this one, the catalogue's before the project's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AfterEventType(pub(crate) EventType);

impl Cursor for AfterEventType {
    const KIND: u8 = b't';

    fn to_bytes(&self) -> Vec<u8> {
        self.0.as_str().as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        EventType::new(std::str::from_utf8(bytes).ok()?).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_another_lists_is_refused() {
        let webhook = AfterWebhook(WebhookId::from_bytes([7; 16]));
        assert_eq!(AfterWebhook::decode(&webhook.encode()), Some(webhook));
        assert_eq!(AfterDelivery::decode(&AfterDelivery(u64::MAX).encode()), Some(AfterDelivery(u64::MAX)));
        assert_eq!(AfterDelivery::decode(&webhook.encode()), None);
        assert_eq!(AfterDelivery::decode(&AfterEvent(1).encode()), None);
        for wrong in ["", "x", "d", "!!", &AfterDelivery(1).encode()[1..]] {
            assert_eq!(AfterDelivery::decode(wrong), None, "{wrong}");
        }
    }
}
