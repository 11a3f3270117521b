//! Deactivating, activating, and the order in which the gate and the record change.

use fanfare_core::health::Gate;
use fanfare_core::ids::WebhookId;
use serde_json::json;

use crate::world::World;

async fn deactivated(world: &World) -> (WebhookId, String) {
    let id = world.some_webhook().await;
    let path = format!("/v1/webhooks/{id}");
    let answer = world.call("PATCH", &path, Some(json!({"active": false}))).await;
    assert_eq!((answer.status, &answer.body["state"]), (200, &json!("paused")));
    assert_eq!(answer.body["paused_reason"], "owner");
    assert_eq!(answer.body["paused_at"], answer.body["updated_at"]);
    world.acts.take();
    (id, path)
}

async fn is_releasing(world: &World, id: WebhookId) -> bool {
    matches!(world.health(id).await.and_then(|health| health.gate), Some(Gate::Releasing { .. }))
}

#[tokio::test]
async fn the_gate_releases_before_the_webhook_is_active_so_that_nothing_overtakes() {
    let world = World::new().await;
    let (id, path) = deactivated(&world).await;
    let answer = world.call("POST", &format!("{path}/activate"), None).await;
    assert_eq!((answer.status, &answer.body["active"], &answer.body["state"]), (200, &json!(true), &json!("healthy")));
    assert_eq!(answer.body["paused_at"], json!(null));
    assert_eq!(world.acts.take(), ["put health releasing", "put webhook active=true", "journal health"]);
    assert!(is_releasing(&world, id).await);
}

#[tokio::test]
async fn patch_activates_in_the_same_order_with_its_other_fields() {
    let world = World::new().await;
    let (_, path) = deactivated(&world).await;
    let answer = world.call("PATCH", &path, Some(json!({"active": true, "timeout_seconds": 3}))).await;
    assert_eq!((answer.status, &answer.body["timeout_seconds"]), (200, &json!(3)));
    assert_eq!(world.acts.take(), ["put health releasing", "put webhook active=true", "journal health"]);
}

#[tokio::test]
async fn a_pause_by_the_receiver_ends_too_and_its_failing_is_counted_anew() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    world.pause(id).await;
    world.acts.take();
    let answer = world.call("POST", &format!("/v1/webhooks/{id}/activate"), None).await;
    assert_eq!((answer.status, &answer.body["state"]), (200, &json!("healthy")), "{}", answer.body);
    assert_eq!(world.acts.take(), ["put health releasing", "journal health"]);
    assert_eq!(world.health(id).await.unwrap().failing_since, None);
}

#[tokio::test]
async fn activating_what_is_active_changes_nothing() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    world.acts.take();
    assert_eq!(world.call("POST", &format!("/v1/webhooks/{id}/activate"), None).await.status, 200);
    assert_eq!(world.acts.take(), Vec::<String>::new());
    assert_eq!(world.health(id).await, None);
}

#[tokio::test]
async fn cut_off_after_any_step_it_still_holds_and_asking_again_completes_it() {
    for cut in ["put health", "put webhook", "journal"] {
        let world = World::new().await;
        let (id, path) = deactivated(&world).await;
        match cut {
            "journal" => world.journal.broken(true),
            words => world.store.refuse(Some(words)),
        }
        let answer = world.call("POST", &format!("{path}/activate"), None).await;
        assert_eq!(answer.status, 503, "{cut}");
        assert!(answer.headers.contains_key("retry-after"));
        let shown = world.get(&path).await.body;
        let held = shown["state"] == "paused" || is_releasing(&world, id).await;
        assert!(held, "{cut}: nothing may overtake what stands behind the gate: {shown}");

        world.store.refuse(None);
        world.journal.broken(false);
        world.acts.take();
        let answer = world.call("POST", &format!("{path}/activate"), None).await;
        assert_eq!((answer.status, &answer.body["active"]), (200, &json!(true)), "{cut}");
        assert!(is_releasing(&world, id).await, "{cut}");
        assert_eq!(world.acts.take().last().map(String::as_str), Some("journal health"), "{cut}");
    }
}

#[tokio::test]
async fn deactivating_again_while_it_releases_pauses_it() {
    let world = World::new().await;
    let (_, path) = deactivated(&world).await;
    world.call("POST", &format!("{path}/activate"), None).await;
    let answer = world.call("PATCH", &path, Some(json!({"active": false}))).await;
    assert_eq!((&answer.body["state"], &answer.body["paused_reason"]), (&json!("paused"), &json!("owner")));
    assert_eq!(world.get(&path).await.body["state"], "paused");
}

#[tokio::test]
async fn a_release_may_have_a_rate_and_a_wrong_one_is_named() {
    let world = World::new().await;
    let (id, path) = deactivated(&world).await;
    for (body, says) in [
        (json!({"release_rate": 0}), "from 1 to 10000"),
        (json!({"release_rate": "5"}), "from 1 to 10000"),
        (json!({"rate": 5}), "release_rate"),
    ] {
        let answer = world.call("POST", &format!("{path}/activate"), Some(body.clone())).await;
        assert_eq!(answer.status, 400, "{body}");
        assert!(answer.body.to_string().contains(says), "{body}: {}", answer.body);
    }
    assert_eq!(world.get(&path).await.body["state"], "paused");
    let answer = world.call("POST", &format!("{path}/activate"), Some(json!({"release_rate": 5}))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let gate = world.health(id).await.and_then(|health| health.gate);
    assert!(matches!(gate, Some(Gate::Releasing { rate: Some(5), .. })), "{gate:?}");
    let shown = world.get(&format!("{path}/health")).await.body;
    assert_eq!((&shown["gate"]["reason"], &shown["gate"]["release_rate"]), (&json!("releasing"), &json!(5)));
}
