//! What the project is told of what is done to its webhooks.

use fanfare_core::clock::Timestamp;
use fanfare_core::health::Gate;
use fanfare_core::ids::EventId;
use fanfare_core::ports::EventLog as _;
use serde_json::{Value, json};

use crate::world::{World, acme};

/// What was told under this name of this webhook at that time.
async fn told(world: &World, name: &str, webhook: impl std::fmt::Display, at: Timestamp) -> Option<Value> {
    let id = EventId::new(format!("{name}:{webhook}:{}", at.as_millis())).unwrap();
    let event = world.engine.get(&acme(), &id).await.unwrap()?;
    assert_eq!(event.header.event_type.as_str(), name);
    Some(serde_json::from_slice(&event.data).unwrap())
}

#[tokio::test]
async fn its_owner_pauses_and_activates_a_webhook() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    let path = format!("/v1/webhooks/{id}");
    let answer = world.call("PATCH", &path, Some(json!({"active": false}))).await;
    let since = Timestamp::parse(answer.body["paused_at"].as_str().unwrap()).unwrap();
    let paused = told(&world, "fanfare.webhook.paused", id, since).await.expect("it is told");
    let expected = json!({"webhook_id": id, "reason": "owner", "since": since, "failing_since": null});
    assert_eq!(paused, expected);
    // Asked for again, it is the same event; were it another one, the log would say so.
    assert_eq!(world.call("PATCH", &path, Some(json!({"active": false}))).await.status, 200);

    assert_eq!(world.call("POST", &format!("{path}/activate"), None).await.status, 200);
    let Some(Gate::Releasing { since, .. }) = world.health(id).await.unwrap().gate else { panic!("it is releasing") };
    let activated = told(&world, "fanfare.webhook.activated", id, since).await.expect("it is told");
    assert_eq!(activated["reason"], "owner");
    assert_eq!(world.engine.backlog().await.unwrap(), 2, "one of each");
}

#[tokio::test]
async fn what_changes_nothing_of_that_is_not_told() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    let path = format!("/v1/webhooks/{id}");
    for fields in [json!({"timeout_seconds": 3}), json!({"active": true})] {
        assert_eq!(world.call("PATCH", &path, Some(fields)).await.status, 200);
    }
    assert_eq!(world.call("POST", &format!("{path}/activate"), None).await.status, 200);
    assert_eq!(world.engine.backlog().await.unwrap(), 0);
}
