//! `DELETE /v1/webhooks/{id}`, and what finishes a deletion that was cut off.

use std::time::Duration;

use fanfare_console::ConsoleConfig;
use fanfare_core::ports::DeliveryQueue as _;
use fanfare_runtime::Span;

use crate::world::{State, World};

#[tokio::test]
async fn a_deleted_webhook_is_gone_and_what_waited_for_it_is_discarded() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    let gated = world.delivery("order-1", id, State::Gated).await;
    world.pause(id).await;
    world.acts.take();
    let path = format!("/v1/webhooks/{id}");
    let answer = world.call("DELETE", &path, None).await;
    assert_eq!((answer.status, answer.body.is_null()), (204, true));
    assert_eq!(world.acts.take(), ["put health open", "remove webhook", "journal deleted", "remove health"]);
    assert_eq!(world.get(&path).await.status, 404);
    assert_eq!(world.call("DELETE", &path, None).await.status, 404);
    assert_eq!(world.engine.gate_depth(id).await.unwrap().count, 0);
    assert_eq!(world.health(id).await, None);
    world.eventually(&format!("/v1/deliveries/{gated}"), |answer| answer.body["status"] == "discarded").await;
    // Its URL is free again.
    world.some_webhook().await;
}

#[tokio::test]
async fn cut_off_before_the_record_is_gone_the_webhook_is_as_it_was() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    let gated = world.delivery("order-1", id, State::Gated).await;
    let path = format!("/v1/webhooks/{id}");
    let before = world.get(&path).await.body;
    world.store.refuse(Some("remove webhook"));
    assert_eq!(world.call("DELETE", &path, None).await.status, 503);
    assert_eq!(world.get(&path).await.body, before);
    assert_eq!(world.get(&format!("/v1/deliveries/{gated}")).await.body["status"], "gated");
    world.store.refuse(None);
    assert_eq!(world.call("DELETE", &path, None).await.status, 204);
}

#[tokio::test]
async fn cut_off_later_it_is_finished_by_the_sweep() {
    for cut in ["journal", "remove health"] {
        let sweep_every = Span::from_millis(10);
        let world = World::with_config(ConsoleConfig { sweep_every, ..ConsoleConfig::default() }).await;
        let (id, other) = (world.some_webhook().await, {
            let body = serde_json::json!({"url": "https://127.0.0.1:1/other", "events": ["a"]});
            world.webhook(body).await["id"].as_str().unwrap().parse().unwrap()
        });
        // A health record whose webhook is there is no trace of anything.
        world.pause(other).await;
        let gated = world.delivery("order-1", id, State::Gated).await;
        match cut {
            "journal" => world.journal.broken(true),
            words => world.store.refuse(Some(words)),
        }
        let path = format!("/v1/webhooks/{id}");
        assert_eq!(world.call("DELETE", &path, None).await.status, 204, "{cut}: it is deleted, whatever is left to do");
        assert_eq!(world.get(&path).await.status, 404);
        assert!(world.health(id).await.is_some(), "{cut}: the trace stands");

        world.journal.broken(false);
        world.store.refuse(None);
        world.console.start(std::sync::Arc::clone(&world.clock), &world.tasks);
        world.until("the end of the deletion", || async { world.health(id).await.is_none() }).await;
        assert_eq!(world.engine.gate_depth(id).await.unwrap().count, 0, "{cut}");
        world.eventually(&format!("/v1/deliveries/{gated}"), |answer| answer.body["status"] == "discarded").await;
        assert!(world.health(other).await.is_some(), "{cut}");
        world.tasks.stop(Duration::from_secs(30)).await.unwrap();
    }
}
