//! Payload v1, as receivers of v1 read it, and that both versions are as stable as normalised data is.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

use bytes::Bytes;
use fanfare_core::catalogue::Catalogue;
use fanfare_core::event::EventType;
use fanfare_core::normalise::normalise;
use fanfare_core::payload::Payload;
use fanfare_core::webhook::PayloadVersion;
use proptest::prelude::*;
use serde_json::{Value, json};

fn mapped(event_type: &str, data: &Value) -> (String, Value) {
    let data = normalise(data.to_string().as_bytes(), "$").unwrap();
    let payload = Payload::new(PayloadVersion::V1, &EventType::new(event_type).unwrap(), &data);
    assert_eq!(payload.version, PayloadVersion::V1);
    assert_eq!(normalise(&payload.body, "$").unwrap(), payload.body, "not in normal form");
    (payload.event.into_owned(), serde_json::from_slice(&payload.body).unwrap())
}

fn sample(event_type: &str) -> Value {
    Catalogue::builtin().get(&EventType::new(event_type).unwrap()).unwrap().sample.clone()
}

#[test]
fn a_received_text_is_mapped_field_by_field() {
    let (event, body) = mapped("whatsapp.message.received", &sample("whatsapp.message.received"));
    assert_eq!(event, "whatsapp.message.received");
    let expected = json!({
        "message": {
            "id": "wamid.AAA1",
            "whatsapp_message_id": "wamid.AAA1",
            "message_type": "text",
            "content": "Is my order ready?",
            "direction": "inbound",
            "status": "received",
            "processing_status": "pending",
            "origin": "cloud_api",
            "has_media": false,
            "conversation_phone_number": "15557654321",
            "contact_name": "Ana Soto",
            "metadata": {"timestamp": "1765000000"},
        },
        "conversation": {
            "id": "7f0c9a52-0000-4000-8000-000000000001",
            "phone_number": "+15557654321",
            "contact_name": "Ana Soto",
            "status": "active",
            "last_active_at": "2025-12-06T05:46:40Z",
            "metadata": {},
            "whatsapp_config_id": "100200300400500",
        },
        "is_new_conversation": true,
        "whatsapp_config": {"id": "100200300400500", "phone_number_id": "100200300400500"},
    });
    assert_eq!(body, expected);
}

#[test]
fn a_configuration_that_the_producer_sent_is_nested_as_it_is() {
    let mut data = sample("whatsapp.message.sent");
    let config =
        json!({"id": "cfg-1", "name": "Support", "phone_number_id": "100200300400500", "is_coexistence": false});
    data["whatsapp_config"] = config.clone();
    let (_, body) = mapped("whatsapp.message.sent", &data);
    assert_eq!(body["whatsapp_config"], config);
    assert_eq!(body["conversation"]["whatsapp_config_id"], "cfg-1");
    assert_eq!(body["message"]["conversation_phone_number"], "15557654321", "of an outbound message it is `to`");
    assert_eq!(body.get("phone_number_id"), None);

    let bytes = normalise(data.to_string().as_bytes(), "$").unwrap();
    let v2 = Payload::new(PayloadVersion::V2, &EventType::new("whatsapp.message.sent").unwrap(), &bytes);
    assert_eq!(v2.body, normalise(sample("whatsapp.message.sent").to_string().as_bytes(), "$").unwrap());
}

#[test]
fn media_comes_with_its_caption_name_and_type() {
    let media = json!({"url": "https://media.example/1", "filename": "receipt.pdf", "content_type": "application/pdf", "byte_size": 1});
    let data = json!({
        "message": {
            "id": "wamid.M", "timestamp": "1", "type": "document", "document": {"id": "9", "caption": "The receipt"},
            "kapso": {"direction": "inbound", "has_media": true, "content": "Document", "media_data": media, "contact_name": "Ana"},
        },
        "conversation": {"id": "c", "phone_number": "+1555"},
        "test": true,
    });
    let (_, body) = mapped("whatsapp.message.received", &data);
    let message = &body["message"];
    assert_eq!(message["media_data"], media);
    assert_eq!((&message["filename"], &message["mime_type"]), (&json!("receipt.pdf"), &json!("application/pdf")));
    assert_eq!((&message["content"], &message["contact_name"]), (&json!("The receipt"), &json!("Ana")));
    assert_eq!(message["conversation_phone_number"], "+1555", "without `from` and `to` it is the conversation's");
    assert_eq!(body["test"], true, "what is not mapped stays");
    assert_eq!(body["whatsapp_config"], json!({}));
    assert_eq!(body["conversation"], json!({"id": "c", "phone_number": "+1555"}));

    let located = json!({"message": {"type": "location", "kapso": {"content": "Location: Main St"}}});
    let (_, body) = mapped("whatsapp.message.received", &located);
    let message = json!({"message_type": "location", "content": "Location: Main St", "metadata": {}});
    assert_eq!(body["message"], message);
}

#[test]
fn conversations_contacts_and_numbers_nest_the_configuration() {
    let config = json!({"id": "100200300400500", "phone_number_id": "100200300400500"});
    let (_, body) = mapped("whatsapp.conversation.inactive", &sample("whatsapp.conversation.inactive"));
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["conversation", "since_message", "inactivity", "whatsapp_config"]);
    assert_eq!(body["whatsapp_config"], config);
    let (event, body) = mapped("whatsapp.phone_number.created", &sample("whatsapp.phone_number.created"));
    assert_eq!(event, "whatsapp.config.created");
    assert_eq!(body["whatsapp_config"], config);
    assert!(body["project"]["id"].is_string() && body["customer"]["id"].is_string(), "{body}");
    assert_eq!(body.get("phone_number_id"), None);
    let (event, _) = mapped("whatsapp.phone_number.deleted", &sample("whatsapp.phone_number.deleted"));
    assert_eq!(event, "whatsapp.config.deleted");
    let (_, body) = mapped("whatsapp.contact.identity_changed", &sample("whatsapp.contact.identity_changed"));
    assert_eq!(body["whatsapp_config"], config);
}

/// Data that is like a message's in some places and like anything in others.
fn data() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        proptest::sample::select(vec![
            "message",
            "conversation",
            "kapso",
            "type",
            "text",
            "body",
            "content",
            "image",
            "media_data",
            "id",
            "phone_number_id",
            "whatsapp_config",
            "metadata",
            "contact_name",
            "timestamp",
            "has_media",
        ])
        .prop_map(str::to_owned),
        "[0-9]{1,2}",
        ".{0,4}",
    ]
    .boxed();
    let inner = leaf.prop_recursive(4, 40, 6, move |inner| {
        let object = proptest::collection::vec((key.clone(), inner.clone()), 0..6);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            object.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    let key = prop_oneof![
        proptest::sample::select(vec!["message", "conversation", "whatsapp_config", "phone_number_id"])
            .prop_map(str::to_owned),
        "[0-9]{1,2}",
        ".{0,4}",
    ];
    proptest::collection::vec((key, inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect()))
}

proptest! {
    #[test]
    fn every_body_is_in_normal_form(data in data()) {
        let data = normalise(data.to_string().as_bytes(), "$").unwrap();
        for event_type in ["whatsapp.message.received", "whatsapp.phone_number.created"] {
            for version in [PayloadVersion::V1, PayloadVersion::V2] {
                let made = Payload::new(version, &EventType::new(event_type).unwrap(), &data);
                prop_assert_eq!(&normalise(&made.body, "$").unwrap(), &made.body);
            }
        }
    }

    #[test]
    fn v2_is_the_data_without_its_configuration(data in data()) {
        let mut expected = data.clone();
        expected.as_object_mut().unwrap().shift_remove("whatsapp_config");
        let data = normalise(data.to_string().as_bytes(), "$").unwrap();
        let made = Payload::new(PayloadVersion::V2, &EventType::new("whatsapp.message.read").unwrap(), &data);
        let expected: Bytes = normalise(expected.to_string().as_bytes(), "$").unwrap();
        prop_assert_eq!(made.body, expected);
    }
}
