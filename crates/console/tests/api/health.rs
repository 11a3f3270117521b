//! A webhook's health as the API shows it, and its rate.

use fanfare_core::clock::Timestamp;
use fanfare_core::health::{Gate, Health, PauseReason};
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::config_store::{Expected, Record};
use serde_json::{Value, json};

use crate::world::{World, acme};

async fn shown(world: &World, id: WebhookId) -> Value {
    let answer = world.get(&format!("/v1/webhooks/{id}/health")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

async fn put(world: &World, id: WebhookId, gate: Gate, failing_since: Option<Timestamp>) {
    let health = Health { gate: Some(gate), failing_since, ..Health::new(id, acme()) };
    world.store.inner.put(Record::Health(health), Expected::Any).await.unwrap();
}

#[tokio::test]
async fn a_webhook_that_is_well_has_no_gate() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    let expected = json!({
        "webhook_id": id, "state": "healthy", "failing_since": null, "gate": null, "waiting": 0, "oldest_waiting_at": null,
    });
    assert_eq!(shown(&world, id).await, expected);
}

#[tokio::test]
async fn an_open_breaker_is_shown_with_its_next_probe() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    let since = world.clock.now();
    let next_probe = since.after(std::time::Duration::from_secs(20));
    put(&world, id, Gate::BreakerOpen { since, probes: 3, from: 0, next_probe }, Some(since)).await;
    let health = shown(&world, id).await;
    assert_eq!((&health["state"], &health["failing_since"]), (&json!("failing"), &json!(since)));
    let gate = json!({
        "reason": "breaker_open", "since": since, "next_probe_at": next_probe, "failed_probes": 3, "release_rate": null,
    });
    assert_eq!(health["gate"], gate);
    let webhook = world.get(&format!("/v1/webhooks/{id}")).await.body;
    assert_eq!((&webhook["state"], &webhook["active"]), (&json!("failing"), &json!(true)));
}

#[tokio::test]
async fn a_webhook_that_failed_for_too_long_is_paused_for_that_reason() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    let since = world.clock.now();
    put(&world, id, Gate::Paused { by: PauseReason::Failing, since }, Some(since)).await;
    let webhook = world.get(&format!("/v1/webhooks/{id}")).await.body;
    assert_eq!((&webhook["state"], &webhook["paused_reason"]), (&json!("paused"), &json!("failing")));
    assert_eq!(shown(&world, id).await["gate"]["reason"], "paused");
    let activated = world.call("POST", &format!("/v1/webhooks/{id}/activate"), None).await;
    assert_eq!(activated.body["state"], "healthy");
}

#[tokio::test]
async fn a_rate_is_set_shown_changed_and_removed() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    let path = format!("/v1/webhooks/{id}");
    assert_eq!(world.get(&path).await.body["rate_limit"], json!(null));
    let set = |rate: Value| world.call("PATCH", &path, Some(json!({"rate_limit": rate})));
    let answer = set(json!({"count": 50})).await;
    assert_eq!(answer.body["rate_limit"], json!({"count": 50, "period_seconds": 1, "burst": 1}), "{}", answer.body);
    assert_eq!(shown(&world, id).await["gate"]["reason"], "rate_limit");
    for (rate, field, says) in [
        (json!(50), "$.rate_limit", "must be an object"),
        (json!({}), "$.rate_limit.count", "is required"),
        (json!({"count": 10_001}), "$.rate_limit.count", "from 1 to 10000"),
        (json!({"count": 1, "period_seconds": 0}), "$.rate_limit.period_seconds", "from 1 to 3600"),
        (json!({"count": 1, "burst": -1}), "$.rate_limit.burst", "from 1 to 10000"),
        (json!({"count": 1, "per": 2}), "$.rate_limit.per", "did you mean `period_seconds`"),
    ] {
        let answer = set(rate.clone()).await;
        assert_eq!(answer.status, 400, "{rate}");
        let text = answer.body.to_string();
        assert!(text.contains(field) && text.contains(says), "{rate}: {text}");
    }
    assert_eq!(world.get(&path).await.body["rate_limit"]["count"], 50);
    assert_eq!(set(json!(null)).await.body["rate_limit"], json!(null));
    assert_eq!(shown(&world, id).await["gate"], json!(null));
}
