//! The catalogue of this build: that it can be read, and that its schemas, samples and pointers agree with each other.

use fanfare_core::catalogue::{Catalogue, CatalogueEntry, EventScope};
use fanfare_core::event::EventType;
use fanfare_core::normalise::normalise;
use fanfare_core::operational::{TYPES, is_operational};
use serde_json::Value;

fn validator(schema: &Value) -> jsonschema::Validator {
    assert!(jsonschema::draft202012::meta::is_valid(schema), "{schema}");
    jsonschema::draft202012::new(schema).expect("the schema is valid")
}

const OF_A_NUMBER: [&str; 10] = [
    "whatsapp.message.received",
    "whatsapp.message.sent",
    "whatsapp.message.delivered",
    "whatsapp.message.read",
    "whatsapp.message.failed",
    "whatsapp.conversation.created",
    "whatsapp.conversation.ended",
    "whatsapp.conversation.inactive",
    "whatsapp.contact.identity_changed",
    "whatsapp.contact.marketing_preference_changed",
];
const OF_A_PROJECT: [&str; 16] = [
    "whatsapp.phone_number.created",
    "whatsapp.phone_number.deleted",
    "whatsapp.phone_number.offboarded",
    "whatsapp.phone_number.disconnected",
    "whatsapp.phone_number.reconnected",
    "whatsapp.account.disabled",
    "whatsapp.account.restricted",
    "whatsapp.account.reinstated",
    "whatsapp.account.violation",
    "workflow.execution.handoff",
    "workflow.execution.failed",
    "project.event",
    "kapso_agent.run.approval_required",
    "kapso_agent.run.completed",
    "kapso_agent.run.failed",
    "kapso_agent.run.cancelled",
];

#[test]
fn it_has_every_type_of_the_platform_with_its_scope() {
    let catalogue = Catalogue::builtin();
    let types: Vec<&str> = catalogue.entries().iter().map(|entry| entry.event_type.as_str()).collect();
    assert_eq!(types, [&OF_A_NUMBER[..], &OF_A_PROJECT[..], &TYPES[..]].concat());
    for entry in catalogue.entries() {
        let found = catalogue.get(&entry.event_type).unwrap();
        assert_eq!(found.event_type, entry.event_type);
        let of_a_number = OF_A_NUMBER.contains(&entry.event_type.as_str());
        assert_eq!(entry.scope, if of_a_number { EventScope::Number } else { EventScope::Project });
        assert!(!entry.title.is_empty() && !entry.description.is_empty() && !entry.description.contains('\n'));
    }
    assert!(catalogue.get(&EventType::new("whatsapp.message").unwrap()).is_none());
}

#[test]
fn the_samples_that_were_agreed_upon_are_served_as_they_are() {
    let samples: serde_json::Map<String, Value> =
        serde_json::from_str(include_str!("../vectors/samples.json")).unwrap();
    for (event_type, sample) in samples {
        let entry = Catalogue::builtin().get(&EventType::new(event_type).unwrap()).unwrap();
        assert_eq!(entry.sample, sample);
    }
}

#[test]
fn a_sample_that_names_its_event_names_its_own() {
    for entry in Catalogue::builtin().entries() {
        if let Some(named) = entry.sample.get("event") {
            assert_eq!(named, entry.event_type.as_str());
            let mut other = entry.sample.clone();
            other["event"] = "another.event".into();
            assert!(!validator(&entry.schema).is_valid(&other), "{}", entry.event_type);
        }
    }
}

#[test]
fn a_message_of_a_type_that_whatsapp_adds_next_year_is_valid() {
    for entry in Catalogue::builtin().entries().iter().filter(|entry| entry.sample.get("message").is_some()) {
        let mut sample = entry.sample.clone();
        sample["message"]["type"] = "hologram".into();
        sample["message"]["hologram"] = serde_json::json!({"id": "1"});
        assert!(validator(&entry.schema).is_valid(&sample), "{}", entry.event_type);
    }
}

#[test]
fn every_sample_is_valid_and_no_longer_so_without_a_required_field() {
    for entry in Catalogue::builtin().entries() {
        let validator = validator(&entry.schema);
        if let Err(error) = validator.validate(&entry.sample) {
            panic!("{}: {error} at {}", entry.event_type, error.instance_path());
        }
        let optional: &[&str] = match entry.event_type.as_str() {
            name if name.starts_with("whatsapp.account.") => &["restrictions", "violation", "ban"],
            name if name.starts_with("workflow.execution.") => &["tracking_id", "channel", "whatsapp_conversation_id"],
            _ => &[],
        };
        for field in entry.sample.as_object().unwrap().keys() {
            let mut without = entry.sample.clone();
            without.as_object_mut().unwrap().shift_remove(field);
            let required = !validator.is_valid(&without);
            assert_eq!(required, !optional.contains(&field.as_str()), "{}: {field}", entry.event_type);
        }
        for field in ["message", "conversation", "contact", "project", "customer"] {
            let mut without = entry.sample.clone();
            if let Some(part) = without[field].as_object_mut() {
                part.shift_remove("id");
                assert!(!validator.is_valid(&without), "{}: {field}.id", entry.event_type);
            }
        }
        assert!(!validator.is_valid(&Value::Array(vec![])), "{}", entry.event_type);
    }
}

#[test]
fn a_schema_refuses_what_its_type_excludes_and_takes_what_is_new() {
    for (event_type, pointer, wrong) in [
        ("whatsapp.message.received", "/message/kapso/direction", Value::from("outbound")),
        ("whatsapp.message.received", "/message/timestamp", 1_765_000_000.into()),
        ("whatsapp.message.received", "/message/text", Value::from("Is my order ready?")),
        ("whatsapp.message.sent", "/message/kapso/status", "read".into()),
        ("whatsapp.message.delivered", "/message/kapso/processing_status", "pending".into()),
        ("whatsapp.message.failed", "/message/kapso/statuses/1/status", "sent".into()),
        ("whatsapp.conversation.ended", "/conversation/status", "active".into()),
        ("whatsapp.conversation.inactive", "/inactivity/minutes", 0.into()),
        ("whatsapp.contact.marketing_preference_changed", "/marketing_preference/status", "paused".into()),
        ("whatsapp.phone_number.disconnected", "/connection_type", "shared".into()),
        ("whatsapp.phone_number.reconnected", "/source/provider", Value::Null),
        ("whatsapp.account.violation", "/phone_numbers/0/id", Value::Null),
        ("whatsapp.account.disabled", "/ban/state", 1.into()),
        ("workflow.execution.handoff", "/handoff/source", "human".into()),
        ("workflow.execution.failed", "/error/message", Value::Null),
        ("kapso_agent.run.approval_required", "/data/pending_approval", Value::Null),
        ("kapso_agent.run.failed", "/data/error", Value::Null),
        ("kapso_agent.run.completed", "/data/run_id", Value::Null),
    ] {
        let entry = Catalogue::builtin().get(&EventType::new(event_type).unwrap()).unwrap();
        let validator = validator(&entry.schema);
        let mut sample = entry.sample.clone();
        *sample.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&sample), "{event_type} takes another {pointer}");

        let mut sample = entry.sample.clone();
        sample["a_field_of_next_year"] = true.into();
        assert!(validator.is_valid(&sample), "{event_type} is closed");
    }
}

/// What orders events of a type.
fn subject_of(entry: &CatalogueEntry) -> &'static str {
    if is_operational(&entry.event_type) { "/webhook_id" } else { "/conversation/id" }
}

#[test]
fn the_pointers_lead_to_text_in_every_sample() {
    for entry in Catalogue::builtin().entries() {
        for (field, pointer) in
            [("/phone_number_id", &entry.source_pointer), (subject_of(entry), &entry.subject_pointer)]
        {
            let there = entry.sample.pointer(field).is_some();
            assert_eq!(pointer.as_deref(), there.then_some(field), "{}", entry.event_type);
            assert!(!there || entry.sample.pointer(field).is_some_and(Value::is_string), "{}", entry.event_type);
        }
    }
}

#[test]
fn a_sample_goes_out_as_it_is_shown() {
    for entry in Catalogue::builtin().entries() {
        let written = entry.sample.to_string();
        assert_eq!(normalise(written.as_bytes(), "$").unwrap(), written.as_bytes(), "{}", entry.event_type);
    }
}
