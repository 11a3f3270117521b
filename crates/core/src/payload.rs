//! What a webhook gets of an event: its body and its name, in the webhook's payload version.
//!
//! What is stored and queued is the event's normalised data; the body is made of it for each attempt, so that a webhook that
//! changes its version gets the new one from the next attempt on. Both versions are cut from the normalised text and put
//! together again without reading its values: their bytes, and with them the property of surviving `JSON.parse` and
//! `JSON.stringify`, stay.

mod members;
mod v1;

use std::borrow::Cow;

use bytes::Bytes;

use crate::event::EventType;
use crate::webhook::PayloadVersion;
use members::{Writer, members};

/// What producers may send for v1 alone: the number's configuration. It is no part of a v2 body.
const CONFIG: &str = "whatsapp_config";
/// The types that need v2: there is no v1 payload of them.
const V2_ONLY: [&str; 3] =
    ["whatsapp.phone_number.offboarded", "whatsapp.phone_number.disconnected", "whatsapp.phone_number.reconnected"];
/// The types that v1 calls otherwise: by their name, and in v1.
const RENAMED: [(&str, &str); 2] = [
    ("whatsapp.phone_number.created", "whatsapp.config.created"),
    ("whatsapp.phone_number.deleted", "whatsapp.config.deleted"),
];
/// The families of types whose v1 payloads nest the configuration; beside them the renamed types.
const CONFIGURED: [&str; 3] = ["whatsapp.message.", "whatsapp.conversation.", "whatsapp.contact."];

/// A body with what its headers say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The value of `X-Webhook-Event`.
    pub event: Cow<'static, str>,
    /// The value of `X-Webhook-Payload-Version`.
    pub version: PayloadVersion,
    /// The body, byte for byte.
    pub body: Bytes,
}

impl Payload {
    /// The payload of an event of this type with this normalised data.
    ///
    /// Types that v1 knows nothing of, such as a project's own, are the same in both versions. A type that [`needs_v2`] has
    /// its v2 payload always.
    pub fn new(version: PayloadVersion, event_type: &EventType, data: &Bytes) -> Self {
        let version = if needs_v2(event_type) { PayloadVersion::V2 } else { version };
        let body = match version {
            _ if !has_config(event_type) => None,
            PayloadVersion::V1 => v1::body(data),
            PayloadVersion::V2 => without_config(data),
        };
        let event = match version {
            PayloadVersion::V1 => name_in_v1(event_type).into(),
            PayloadVersion::V2 => event_type.as_str().to_owned().into(),
        };
        Self { event, version, body: body.unwrap_or_else(|| data.clone()) }
    }

    /// A raw Meta body, as it is.
    pub fn raw(body: &Bytes) -> Self {
        Self { event: crate::meta::RAW_TYPE.into(), version: PayloadVersion::V2, body: body.clone() }
    }
}

/// Whether a type has no v1 payload, so that v1 webhooks cannot subscribe to it.
pub fn needs_v2(event_type: &EventType) -> bool {
    V2_ONLY.contains(&event_type.as_str())
}

/// The types that [`needs_v2`] says yes to.
pub fn v2_only() -> impl Iterator<Item = EventType> {
    V2_ONLY.into_iter().filter_map(|name| EventType::new(name).ok())
}

/// What v1 calls a type.
pub fn name_in_v1(event_type: &EventType) -> String {
    let renamed = RENAMED.iter().find(|(name, _)| *name == event_type.as_str()).map(|(_, in_v1)| *in_v1);
    renamed.unwrap_or(event_type.as_str()).to_owned()
}

/// The type that v1 calls so; `None` where v1 has no name of its own.
pub fn type_named_in_v1(name: &str) -> Option<EventType> {
    let renamed = RENAMED.iter().find(|(_, in_v1)| *in_v1 == name);
    renamed.and_then(|(name, _)| EventType::new(name).ok())
}

/// Whether bodies of this type have a configuration in v1 and none in v2.
fn has_config(event_type: &EventType) -> bool {
    let name = event_type.as_str();
    CONFIGURED.iter().any(|family| name.starts_with(family)) || RENAMED.iter().any(|(renamed, _)| *renamed == name)
}

/// The data without its configuration; `None` where it has none, which is nearly always.
fn without_config(data: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(data).ok()?;
    if !text.contains("\"whatsapp_config\":") {
        return None;
    }
    // It may be deeper inside, which is the producer's own.
    let members = members(text)?;
    let mut body = Writer::new(text.len());
    for member in members.iter().filter(|member| member.key != CONFIG) {
        body.member(member);
    }
    Some(body.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(version: PayloadVersion, event_type: &str, data: &'static str) -> Payload {
        Payload::new(version, &EventType::new(event_type).unwrap(), &Bytes::from_static(data.as_bytes()))
    }

    #[test]
    fn v2_leaves_the_configuration_out_and_the_rest_byte_for_byte() {
        let sent = r#"{"1":"é","message":{"id":"a","whatsapp_config":1},"whatsapp_config":{"id":"c","n":[1,{}]},"big":90071992547409930}"#;
        let body = r#"{"1":"é","message":{"id":"a","whatsapp_config":1},"big":90071992547409930}"#;
        let made = payload(PayloadVersion::V2, "whatsapp.message.received", sent);
        assert_eq!((made.event.as_ref(), made.version), ("whatsapp.message.received", PayloadVersion::V2));
        assert_eq!(made.body, body);
        for (sent, body) in [
            (r#"{"whatsapp_config":{},"a":1}"#, r#"{"a":1}"#),
            (r#"{"a":1,"whatsapp_config":"\"}"}"#, r#"{"a":1}"#),
            (r#"{"whatsapp_config":null}"#, "{}"),
            (r#"{"a":"\"whatsapp_config\":"}"#, r#"{"a":"\"whatsapp_config\":"}"#),
            (r#"[{"whatsapp_config":1}]"#, r#"[{"whatsapp_config":1}]"#),
        ] {
            assert_eq!(payload(PayloadVersion::V2, "whatsapp.conversation.ended", sent).body, body);
        }
    }

    #[test]
    fn other_types_have_one_payload_in_both_versions() {
        let data = r#"{"whatsapp_config":{"id":"c"},"phone_number_id":"1"}"#;
        for event_type in ["order.paid", "project.event", "whatsapp.account.disabled", "whatsapp.messages.x"] {
            for version in [PayloadVersion::V1, PayloadVersion::V2] {
                let made = payload(version, event_type, data);
                assert_eq!((made.event.as_ref(), made.version), (event_type, version));
                assert_eq!(made.body, data, "{event_type}");
            }
        }
    }

    #[test]
    fn what_needs_v2_gets_v2_and_what_v1_names_otherwise_is_named_so() {
        let made = payload(PayloadVersion::V1, "whatsapp.phone_number.offboarded", "{}");
        assert_eq!((made.version, made.body), (PayloadVersion::V2, Bytes::from_static(b"{}")));
        let made = payload(PayloadVersion::V1, "whatsapp.phone_number.created", "{}");
        assert_eq!(made.event, "whatsapp.config.created");
        for (name, in_v1) in RENAMED {
            let event_type = EventType::new(name).unwrap();
            assert_eq!(name_in_v1(&event_type), in_v1);
            assert_eq!(type_named_in_v1(in_v1), Some(event_type));
        }
        assert_eq!(type_named_in_v1("whatsapp.message.received"), None);
        assert_eq!(v2_only().count(), V2_ONLY.len());
    }
}
