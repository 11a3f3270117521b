//! The v1 payload of a v2 one, a pure mapping.
//!
//! Said by the platform's documentation: every payload nests `whatsapp_config`; the conversation has `whatsapp_config_id`; the
//! message has its type, content, direction and origin at its own level; there is no `phone_number_id` at the top. The other
//! fields are reconstructed from what receivers of v1 read; `docs/receive.md` marks them. What v2 does not have, v1 does not
//! have either: nothing is made up, and there are no nulls in place of what is missing.

use bytes::Bytes;

use super::CONFIG;
use super::members::{Member, Writer, members, object, value};

/// The body; `None` if the data is no object, which has no v1 form.
pub(super) fn body(data: &Bytes) -> Option<Bytes> {
    let text = std::str::from_utf8(data).ok()?;
    let event = members(text)?;
    let parts = Parts {
        message: object(&event, "message"),
        conversation: object(&event, "conversation"),
        config: config(&event),
    };
    let mut body = Writer::new(text.len());
    for member in &event {
        match member.key {
            "message" if member.value.starts_with('{') => body.value("message", &parts.message()),
            "conversation" if member.value.starts_with('{') => body.value("conversation", &parts.conversation()),
            "phone_number_id" | CONFIG => {}
            _ => body.member(member),
        }
    }
    body.value(CONFIG, &parts.config);
    Some(body.finish())
}

/// The configuration that the producer sent, else what is known of it: the number's id, which stands for it.
fn config(event: &[Member<'_>]) -> String {
    if let Some(sent) = value(event, CONFIG).filter(|sent| sent.starts_with('{')) {
        return sent.to_owned();
    }
    let conversation = object(event, "conversation");
    let number = value(event, "phone_number_id").or_else(|| value(&conversation, "phone_number_id"));
    let mut config = Writer::new(0);
    config.optional("id", number);
    config.optional("phone_number_id", number);
    config.text()
}

/// What the payload is made of.
struct Parts<'a> {
    message: Vec<Member<'a>>,
    conversation: Vec<Member<'a>>,
    config: String,
}

impl Parts<'_> {
    fn message(&self) -> String {
        let message = &self.message;
        let kapso = object(message, "kapso");
        let media = object(&kapso, "media_data");
        // The part that is named as the type is: `text`, `image`, …
        let kind = value(message, "type").and_then(|kind| kind.strip_prefix('"')?.strip_suffix('"'));
        let own = kind.map(|kind| object(message, kind)).unwrap_or_default();
        let caption = || value(&own, "caption").or_else(|| value(&object(&kapso, "message_type_data"), "caption"));
        let text = || value(&object(message, "text"), "body");

        let mut v1 = Writer::new(512);
        v1.optional("id", value(message, "id"));
        v1.optional("whatsapp_message_id", value(message, "id"));
        v1.optional("message_type", value(message, "type"));
        v1.optional("content", text().or_else(caption).or_else(|| value(&kapso, "content")));
        for key in ["direction", "status", "processing_status", "origin", "has_media"] {
            v1.optional(key, value(&kapso, key));
        }
        let number = value(message, "from").or_else(|| value(message, "to"));
        v1.optional("conversation_phone_number", number.or_else(|| value(&self.conversation, "phone_number")));
        v1.optional("contact_name", self.contact_name().or_else(|| value(&kapso, "contact_name")));
        v1.optional("media_data", value(&kapso, "media_data"));
        v1.optional("filename", value(&media, "filename").or_else(|| value(&own, "filename")));
        v1.optional("mime_type", value(&media, "content_type").or_else(|| value(&own, "mime_type")));
        let mut metadata = Writer::new(0);
        metadata.optional("timestamp", value(message, "timestamp"));
        v1.value("metadata", &metadata.text());
        v1.text()
    }

    fn conversation(&self) -> String {
        let mut v1 = Writer::new(512);
        for key in ["id", "phone_number"] {
            v1.optional(key, value(&self.conversation, key));
        }
        v1.optional("contact_name", self.contact_name());
        for key in ["status", "last_active_at", "metadata"] {
            v1.optional(key, value(&self.conversation, key));
        }
        let config = members(&self.config).unwrap_or_default();
        v1.optional("whatsapp_config_id", value(&config, "id").or_else(|| value(&config, "phone_number_id")));
        v1.text()
    }

    fn contact_name(&self) -> Option<&str> {
        let name = value(&self.conversation, "contact_name");
        name.or_else(|| value(&object(&self.conversation, "kapso"), "contact_name"))
    }
}
