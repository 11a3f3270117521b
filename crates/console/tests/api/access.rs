//! Whose is what, and what is not there. Who may call which route is in [`routes`](crate::routes).

use fanfare_core::api_key::Scope;
use fanfare_core::delivery::End;
use fanfare_core::ports::config_store::{Expected, Record};
use serde_json::json;

use crate::world::{MANAGER, STRANGER, State, World, acme, api_key};

#[tokio::test]
async fn lists_and_urls_are_each_projects_own() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    world.delivery("order-1", webhook, State::Ended(End::Exhausted)).await;
    for path in ["/v1/webhooks", "/v1/deliveries", "/v1/events"] {
        let answer = world.call_as(STRANGER, "GET", path, None).await;
        assert_eq!(answer.body, json!({"data": [], "next": null}), "{path}");
    }
    let same = json!({"url": "https://127.0.0.1:1/hooks", "events": ["**"]});
    assert_eq!(world.call_as(STRANGER, "POST", "/v1/webhooks", Some(same)).await.status, 201, "URLs are its own");
    assert_eq!(world.get(&format!("/v1/webhooks/{webhook}")).await.status, 200);
}

/// What a query names: another project's things are not found by it, and its cursors lead nowhere else.
#[tokio::test]
async fn a_query_that_names_what_another_project_has_finds_nothing() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    for number in 0..3 {
        world.delivery(&format!("order-{number}"), webhook, State::Ended(End::Exhausted)).await;
    }
    let mut paths = vec![
        format!("/v1/deliveries?webhook_id={webhook}"),
        format!("/v1/deliveries?webhook_id={webhook}&status=exhausted"),
        "/v1/deliveries?event_id=order-1".to_owned(),
        "/v1/events?type=order.paid".to_owned(),
        format!("/platform/v1/webhook_deliveries?webhook_id={webhook}"),
        "/platform/v1/whatsapp/webhooks?url_contains=hooks".to_owned(),
        "/platform/v1/whatsapp/phone_numbers/100200300400500/webhooks".to_owned(),
    ];
    for list in ["/v1/deliveries", "/v1/events"] {
        let page = world.get(&format!("{list}?limit=1")).await.body;
        paths.push(format!("{list}?after={}", page["next"].as_str().unwrap()));
    }
    for path in paths {
        let mine = world.get(&path).await;
        let theirs = world.call_as(STRANGER, "GET", &path, None).await;
        assert_eq!((theirs.status, &theirs.body["data"]), (200, &json!([])), "{path}");
        let any = path.contains("phone_numbers") || mine.body["data"].as_array().is_some_and(|rows| !rows.is_empty());
        assert!(any, "{path}: {}", mine.body);
    }
    let keys = world.call_as(STRANGER, "GET", "/v1/api-keys?project=acme", None).await;
    assert_eq!((keys.status, keys.code()), (404, "not-found"));
}

#[tokio::test]
async fn ids_that_are_none_and_later_routes_are_not_there_and_methods_are_named() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    for path in [
        "/v1/webhooks/7".to_owned(),
        "/v1/webhooks/0199e1a0-0000-7000-8000-000000000000".to_owned(),
        "/v1/deliveries/7".to_owned(),
        "/v1/events/a%20b".to_owned(),
        "/v1/events/never".to_owned(),
        "/v1/replays".to_owned(),
        "/v1/tail".to_owned(),
    ] {
        assert_eq!(world.get(&path).await.status, 404, "{path}");
    }
    let answer = world.call("PUT", &format!("/v1/webhooks/{webhook}"), Some(json!({}))).await;
    let allow = answer.headers["allow"].to_str().unwrap();
    assert_eq!(answer.status, 405);
    assert!(["GET", "PATCH", "DELETE"].iter().all(|method| allow.contains(method)), "{allow}");
}

#[tokio::test]
async fn a_key_made_by_another_process_is_known_at_once() {
    let world = World::new().await;
    let key = api_key(99, "made-a-moment-ago-0123", acme(), vec![Scope::Read], world.clock.now());
    world.store.inner.put(Record::ApiKey(key), Expected::Absent).await.unwrap();
    assert_eq!(world.call_as("made-a-moment-ago-0123", "GET", "/v1/webhooks", None).await.status, 200);
}

#[tokio::test]
async fn an_answer_to_a_wrong_key_does_not_show_it() {
    let world = World::new().await;
    let answer = world.call_as("wrong-key-4711", "GET", "/v1/webhooks", None).await;
    assert!(!answer.body.to_string().contains("4711") && !answer.body.to_string().contains(MANAGER));
}
