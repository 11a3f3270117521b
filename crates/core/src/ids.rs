//! Identities: what makes a repeated act recognisable, and so a crash harmless.
//!
//! An event is `(project, id)`. A delivery is derived from webhook, event and run, so that a fan-out repeated after a crash
//! makes the same delivery again. A hop rises with every move of a delivery; an attempt id is new for every POST.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;
use uuid::Uuid;

/// Why a text is not an identity of the wanted kind; the message says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(pub &'static str);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $allowed:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// What a text must be to be one, in words for an error message.
            pub const ALLOWED: &'static str = $allowed;

            /// Parses the text.
            ///
            /// # Errors
            /// When the text is not as [`Self::ALLOWED`] says.
            pub fn new(text: impl AsRef<str>) -> Result<Self, $crate::ids::InvalidId> {
                let text = text.as_ref();
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(std::sync::Arc::from(text))) } else { Err($crate::ids::InvalidId(Self::ALLOWED)) }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;
            fn from_str(text: &str) -> Result<Self, $crate::ids::InvalidId> {
                Self::new(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Self::new(&*text).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use text_id;

text_id!(
    /// A project: the tenant that events, webhooks and keys belong to.
    ProjectId,
    "1 to 40 characters of a-z, 0-9 and -",
    |text| (1..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
);

text_id!(
    /// An event's id, unique within its project: the sender's idempotency key.
    EventId,
    "1 to 256 printable ASCII characters without spaces",
    |text| (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
);

impl EventId {
    /// The id of an event whose sender gave none: `evt_` and the ULID.
    pub fn generated(ulid: Ulid) -> Self {
        Self(Arc::from(format!("evt_{ulid}").as_str()))
    }
}

text_id!(
    /// The request or job that asked for a delivery again: a retry request or a replay job.
    RunId,
    "1 to 64 printable ASCII characters without spaces",
    |text| (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            /// The 16 bytes, as engines store them.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// From the 16 bytes of [`Self::as_bytes`].
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // Only the hyphenated form: `uuid` would also take braces, `urn:uuid:` and bare hex, and one thing has one name.
                if text.len() != 36 {
                    return Err(InvalidId($what));
                }
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId($what))
            }
        }
    };
}

uuid_id!(
    /// A webhook (UUIDv7): a URL, what it subscribes to, and how it is served.
    WebhookId,
    "a webhook id: a UUID such as 0199e1a0-0000-7000-8000-000000000000"
);
uuid_id!(
    /// One delivery: one event's way to one webhook in one run.
    DeliveryId,
    "a delivery id: a UUID such as 5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11"
);
uuid_id!(
    /// What the receiver de-duplicates by: the same on every retry, redelivery and replay of one event to one webhook.
    IdempotencyKey,
    "an idempotency key: a UUID such as 5a1c0c1e-6d0b-5b8e-9a51-1f0d8a3b9c11"
);

impl IdempotencyKey {
    /// UUIDv5 with the webhook's UUID as namespace and the event id as name. There is no run in it.
    pub fn derive(webhook: WebhookId, event: &EventId) -> Self {
        Self(Uuid::new_v5(webhook.as_uuid(), event.as_str().as_bytes()))
    }
}

impl DeliveryId {
    /// UUIDv5 with the webhook's UUID as namespace; the name is `delivery <event> <run>`, the run empty for the original.
    ///
    /// An event id has no spaces, so no two pairs share a name, and no delivery id equals an idempotency key.
    pub fn derive(webhook: WebhookId, event: &EventId, run: &Run) -> Self {
        let run = match run {
            Run::Original => "",
            Run::Again(id) => id.as_str(),
        };
        Self(Uuid::new_v5(webhook.as_uuid(), format!("delivery {event} {run}").as_bytes()))
    }
}

/// Which passage of an event to a webhook this is: the original one, or one that somebody asked for later.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Run {
    /// What fan-out made of the event.
    #[default]
    Original,
    /// Asked for by the retry request or replay job of this id, after an earlier run had ended.
    Again(RunId),
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Run::Original => serializer.serialize_none(),
            Run::Again(id) => serializer.serialize_some(id),
        }
    }
}

impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<RunId>::deserialize(deserializer)?.map_or(Run::Original, Run::Again))
    }
}

/// How often a delivery has moved: 0 where fan-out put it, one more for every move since, attempted or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hop(pub u32);

impl Hop {
    /// The hop after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One POST: an id of its own, and the message id of its record in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub Ulid);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An API key's public id, `key_` and a ULID: what lists and logs show instead of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKeyId(pub Ulid);

impl ApiKeyId {
    /// The first project's first key has the one id that no generated ULID has, so that there is never more than one of it.
    pub const FIRST: ApiKeyId = ApiKeyId(Ulid(0));
}

impl FromStr for ApiKeyId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let ulid = text.strip_prefix("key_").and_then(|ulid| Ulid::from_string(ulid).ok());
        // Only the form that is shown: `ulid` would also take lower case and look-alikes, and one thing has one name.
        ulid.map(Self).filter(|id| id.to_string() == text).ok_or(InvalidId("an API key id: key_ and a ULID"))
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key_{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook() -> WebhookId {
        "0199e1a0-0000-7000-8000-000000000000".parse().unwrap()
    }

    #[test]
    fn texts_outside_the_allowed_are_refused() {
        for wrong in ["", "A", "a_b", "a b", "ä", &"a".repeat(41)] {
            assert!(ProjectId::new(wrong).is_err(), "{wrong:?} was accepted");
        }
        for wrong in ["", "a b", "a\n", "é", &"a".repeat(257)] {
            assert!(EventId::new(wrong).is_err(), "{wrong:?} was accepted");
        }
        assert!(EventId::new("order-1/ä".replace('ä', "~")).is_ok());
        for wrong in ["0199e1a000007000800000000000000", "{0199e1a0-0000-7000-8000-000000000000}", "x"] {
            assert!(wrong.parse::<WebhookId>().is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn an_api_key_id_is_read_in_the_one_form_that_is_shown() {
        let id = ApiKeyId(Ulid::from_parts(1_765_000_000_000, 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(ApiKeyId::FIRST.to_string().parse(), Ok(ApiKeyId::FIRST));
        for wrong in
            [id.0.to_string(), id.to_string().to_lowercase(), format!("{id}0"), "key_".to_owned(), String::new()]
        {
            assert!(wrong.parse::<ApiKeyId>().is_err(), "{wrong:?} was accepted");
        }
    }

    #[test]
    fn a_delivery_differs_by_webhook_event_and_run_and_the_key_by_the_first_two() {
        let other: WebhookId = "0199e1a0-0000-7000-8000-000000000001".parse().unwrap();
        let (one, two) = (EventId::new("order-1").unwrap(), EventId::new("order-2").unwrap());
        let again = Run::Again(RunId::new("rpl_1").unwrap());
        let first = DeliveryId::derive(webhook(), &one, &Run::Original);
        assert_eq!(first, DeliveryId::derive(webhook(), &one, &Run::Original));
        for different in [
            DeliveryId::derive(other, &one, &Run::Original),
            DeliveryId::derive(webhook(), &two, &Run::Original),
            DeliveryId::derive(webhook(), &one, &again),
        ] {
            assert_ne!(first, different);
        }
        assert_eq!(IdempotencyKey::derive(webhook(), &one), IdempotencyKey::derive(webhook(), &one));
        assert_ne!(IdempotencyKey::derive(webhook(), &one).as_uuid(), first.as_uuid());
    }
}
