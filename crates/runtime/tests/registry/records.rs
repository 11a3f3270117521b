//! Records as the store has them. Made from JSON, as those are that an earlier version wrote.

use fanfare_core::api_key::{ApiKey, KeyHash, Scope};
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::{ApiKeyId, ProjectId, WebhookId};
use fanfare_core::ports::config_store::Record;
use fanfare_core::seal::SealingKey;
use fanfare_core::webhook::Webhook;
use serde_json::{Value, json};
use ulid::Ulid;

const MADE_AT: &str = "2025-12-06T05:46:40.000Z";

pub(crate) fn project_id(name: &str) -> ProjectId {
    ProjectId::new(name).unwrap()
}

pub(crate) fn webhook_id(number: u8) -> WebhookId {
    WebhookId::from_bytes([number; 16])
}

/// A webhook of project `acme`, with changes to its fields.
pub(crate) fn webhook(key: &SealingKey, number: u8, changes: Value) -> Record {
    let id = webhook_id(number);
    let mut rng = rand::rng();
    let mut record = json!({
        "id": id,
        "project": "acme",
        "url": format!("https://example.com/{number}"),
        "events": ["order.*"],
        "active": true,
        "headers": [{"name": "X-Own", "value": key.seal("own value", &Webhook::header_context(id, "x-own"), &mut rng)}],
        "secret": key.seal("a secret of thirty-two characters", &Webhook::secret_context(id), &mut rng),
        "secret_last4": "ters",
        "created_at": MADE_AT,
        "updated_at": MADE_AT,
    });
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (name, value) in changes {
        record[name] = value;
    }
    Record::Webhook(serde_json::from_value(record).unwrap())
}

pub(crate) fn project(name: &str, egress_allow: &[&str]) -> Record {
    let record = json!({"id": name, "egress_allow": egress_allow, "created_at": MADE_AT});
    Record::Project(serde_json::from_value(record).unwrap())
}

pub(crate) fn api_key(number: u128, text: &str) -> Record {
    Record::ApiKey(ApiKey {
        id: ApiKeyId(Ulid(number)),
        project: project_id("acme"),
        name: "a key".to_owned(),
        hash: KeyHash::of(text),
        scopes: vec![Scope::Read],
        created_at: Timestamp::parse(MADE_AT).unwrap(),
    })
}
