//! `POST /v1/webhooks/{id}/rotate-secret`.

use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::config_store::{Expected, Key, Record};
use fanfare_core::secret::Secret;
use fanfare_core::signature::SigningKey;
use fanfare_core::webhook::Webhook;
use fanfare_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::world::{Answer, World};

const OWN: &str = "my own secret, no base64";

/// A webhook whose test deliveries show who signs.
struct Hook {
    world: World,
    receiver: Receiver,
    id: WebhookId,
    path: String,
    first: String,
}

impl Hook {
    async fn new() -> Self {
        let world = World::new().await;
        let receiver = Receiver::http(|_| Reply::Status(204)).await;
        let created = world.webhook(json!({"url": receiver.url("/hooks"), "events": ["order.paid"]})).await;
        let id: WebhookId = created["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(created["previous_secret_until"], Value::Null);
        Self { world, receiver, id, path: format!("/v1/webhooks/{id}"), first: text(&created["secret"]) }
    }

    async fn rotate(&self, body: Option<Value>) -> Answer {
        let answer = self.world.call("POST", &format!("{}/rotate-secret", self.path), body).await;
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        answer
    }

    /// Sends a test and checks that exactly these secrets sign it, in this order.
    async fn signed_by(&self, secrets: &[&str]) {
        let answer = self.world.call("POST", &format!("{}/test", self.path), None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let request = self.receiver.so_far().pop().unwrap();
        let seconds = request.header("webhook-timestamp").parse().unwrap();
        let keys: Vec<SigningKey> =
            secrets.iter().map(|secret| SigningKey::new(&Secret::new((*secret).to_owned()).unwrap())).collect();
        let standard = |key: &SigningKey| {
            key.standard_signature(request.header("webhook-id"), Timestamp::from_seconds(seconds), &request.body)
        };
        let expected: Vec<String> = keys.iter().map(standard).collect();
        assert_eq!(request.header("webhook-signature"), expected.join(" "));
        assert_eq!(request.header("x-webhook-signature"), keys[0].body_signature(&request.body));
        let previous = request.headers.get("x-webhook-signature-previous").map(|value| value.to_str().unwrap());
        assert_eq!(previous, keys.get(1).map(|key| key.body_signature(&request.body)).as_deref());
    }

    async fn stored(&self) -> Webhook {
        match self.world.store.inner.get(&Key::Webhook(self.id)).await.unwrap().unwrap().record {
            Record::Webhook(webhook) => webhook,
            other => panic!("{other:?}"),
        }
    }

    /// When the overlap ends, as reads show it, in seconds from now.
    async fn overlap_left(&self) -> Option<u64> {
        let shown = self.world.get(&self.path).await.body;
        let until = Timestamp::parse(shown["previous_secret_until"].as_str()?).unwrap();
        Some(until.since(self.world.clock.now()).as_secs())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn both_secrets_sign_for_a_day_and_only_the_new_one_is_shown() {
    let hook = Hook::new().await;
    let answer = hook.rotate(None).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let second = text(&answer.body["secret"]);
    assert!(second.starts_with("whsec_") && second != hook.first);
    assert_eq!(answer.body["warnings"], json!([]));
    assert_eq!(answer.body["secret_last4"], second[second.len() - 4..]);
    hook.signed_by(&[&second, &hook.first]).await;

    let shown = hook.world.get(&hook.path).await.body;
    assert_eq!(shown["previous_secret_until"], answer.body["previous_secret_until"]);
    assert_eq!(shown["updated_at"], answer.body["updated_at"]);
    assert!(shown.get("secret").is_none() && !shown.to_string().contains(&second));
    let left = hook.overlap_left().await.unwrap();
    assert!((86_000..=86_400).contains(&left), "{left} s of a day are left");
    let secret = hook.world.get(&format!("{}/secret", hook.path)).await.body;
    assert_eq!(secret, json!({"secret": second}));

    // An update in the meantime ends nothing.
    assert_eq!(hook.world.call("PATCH", &hook.path, Some(json!({"timeout_seconds": 3}))).await.status, 200);
    hook.signed_by(&[&second, &hook.first]).await;
}

#[tokio::test]
async fn rotating_again_within_the_overlap_makes_the_replaced_secret_the_previous_one() {
    let hook = Hook::new().await;
    let second = text(&hook.rotate(None).await.body["secret"]);
    let answer = hook.rotate(Some(json!({"secret": OWN, "overlap_seconds": 604_800}))).await;
    assert_eq!(answer.body["secret"], OWN);
    assert!(answer.body["warnings"][0].as_str().unwrap().contains("not base64"), "{}", answer.body);
    hook.signed_by(&[OWN, &second]).await;
    assert!(hook.overlap_left().await.unwrap() > 604_000);
}

#[tokio::test]
async fn without_an_overlap_the_old_secret_ends_at_once_and_is_not_kept() {
    let hook = Hook::new().await;
    let second = text(&hook.rotate(Some(json!({"overlap_seconds": 0}))).await.body["secret"]);
    hook.signed_by(&[&second]).await;
    assert_eq!(hook.overlap_left().await, None);
    assert_eq!(hook.stored().await.previous_secret, None);
}

#[tokio::test]
async fn asking_for_the_secret_in_force_again_replaces_nothing_and_can_end_the_overlap() {
    let hook = Hook::new().await;
    let ask = json!({"secret": OWN});
    hook.rotate(Some(ask.clone())).await;
    let once = hook.stored().await;
    hook.rotate(Some(ask)).await;
    assert_eq!(hook.stored().await, once, "a repeated request voids the secret that the receiver knows");
    hook.signed_by(&[OWN, &hook.first]).await;

    hook.rotate(Some(json!({"secret": OWN, "overlap_seconds": 60}))).await;
    assert!(hook.overlap_left().await.unwrap() <= 60);
    hook.signed_by(&[OWN, &hook.first]).await;
    hook.rotate(Some(json!({"secret": OWN, "overlap_seconds": 0}))).await;
    hook.signed_by(&[OWN]).await;
    // What has ended is not brought back.
    hook.rotate(Some(json!({"secret": OWN, "overlap_seconds": 60}))).await;
    hook.signed_by(&[OWN]).await;
}

#[tokio::test]
async fn an_overlap_that_is_over_is_not_shown_and_goes_with_the_next_change() {
    let hook = Hook::new().await;
    let second = text(&hook.rotate(None).await.body["secret"]);
    let mut webhook = hook.stored().await;
    webhook.previous_secret.as_mut().unwrap().until = hook.world.clock.now().before(Duration::from_secs(1));
    hook.world.store.inner.put(Record::Webhook(webhook), Expected::Any).await.unwrap();

    assert_eq!(hook.overlap_left().await, None);
    hook.signed_by(&[&second]).await;
    assert!(hook.stored().await.previous_secret.is_some());
    assert_eq!(hook.world.call("PATCH", &hook.path, Some(json!({"timeout_seconds": 3}))).await.status, 200);
    assert_eq!(hook.stored().await.previous_secret, None);
}

#[tokio::test]
async fn what_is_wrong_is_named_and_rotates_nothing() {
    let hook = Hook::new().await;
    let path = format!("{}/rotate-secret", hook.path);
    for (body, fields) in [
        (json!({"secret": "short"}), vec!["$.secret"]),
        (json!({"secret": 7}), vec!["$.secret"]),
        (json!({"overlap_seconds": -1}), vec!["$.overlap_seconds"]),
        (json!({"overlap_seconds": 604_801}), vec!["$.overlap_seconds"]),
        (json!({"overlap_seconds": 0.5, "secrte": OWN}), vec!["$.overlap_seconds", "$.secrte"]),
        (json!([]), vec!["$"]),
    ] {
        let answer = hook.world.call("POST", &path, Some(body.clone())).await;
        assert_eq!((answer.status, answer.fields()), (400, fields.iter().map(|field| (*field).to_owned()).collect()));
        assert!(!answer.body.to_string().contains("short"), "the answer shows a secret: {}", answer.body);
    }
    let answer =
        hook.world.call("PATCH", &hook.path, Some(json!({"previous_secret_until": null, "secret": OWN}))).await;
    assert_eq!(
        (answer.status, answer.fields()),
        (400, vec!["$.previous_secret_until".to_owned(), "$.secret".to_owned()])
    );
    hook.signed_by(&[&hook.first]).await;
}

#[tokio::test]
async fn a_rotation_that_the_store_refuses_has_not_happened() {
    let hook = Hook::new().await;
    hook.world.store.refuse(Some("put webhook"));
    let answer = hook.world.call("POST", &format!("{}/rotate-secret", hook.path), Some(json!({"secret": OWN}))).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.body.to_string().contains(OWN));
    hook.world.store.refuse(None);
    hook.signed_by(&[&hook.first]).await;
}
