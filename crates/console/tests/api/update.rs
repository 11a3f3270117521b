//! `PATCH /v1/webhooks/{id}`.

use fanfare_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::world::World;

async fn made(world: &World) -> (String, Value) {
    let created = world
        .webhook(json!({
            "url": "https://127.0.0.1:1/hooks", "events": ["order.*"], "source": "1", "description": "d",
            "headers": {"X-A": "a", "X-B": "b"}, "retry_schedule": "kapso", "timeout_seconds": 5,
        }))
        .await;
    (format!("/v1/webhooks/{}", created["id"].as_str().unwrap()), created)
}

/// What was shown, without what only create and update show.
fn plain(mut shown: Value) -> Value {
    let fields = shown.as_object_mut().unwrap();
    fields.retain(|name, _| !["secret", "warnings", "updated_at"].contains(&name.as_str()));
    shown
}

#[tokio::test]
async fn what_is_absent_stays_what_is_given_changes_and_null_resets() {
    let world = World::new().await;
    let (path, created) = made(&world).await;
    let answer = world.call("PATCH", &path, Some(json!({"timeout_seconds": 20, "events": ["a", "b.**"]}))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut expected = plain(created);
    expected["timeout_seconds"] = json!(20);
    expected["events"] = json!(["a", "b.**"]);
    assert_eq!(plain(world.get(&path).await.body), expected);

    let reset = json!({
        "source": null, "description": null, "headers": null, "retry_schedule": null, "timeout_seconds": null,
        "payload_version": null,
    });
    assert_eq!(world.call("PATCH", &path, Some(reset)).await.status, 200);
    for (field, value) in [
        ("source", Value::Null),
        ("description", Value::Null),
        ("headers", json!({})),
        ("retry_schedule", json!("standard")),
        ("timeout_seconds", json!(10)),
    ] {
        expected[field] = value;
    }
    assert_eq!(plain(world.get(&path).await.body), expected);
}

#[tokio::test]
async fn what_cannot_be_reset_or_changed_is_named() {
    let world = World::new().await;
    let (path, created) = made(&world).await;
    for (body, field) in [
        (json!({"url": null}), "$.url"),
        (json!({"events": null}), "$.events"),
        (json!({"active": null}), "$.active"),
        (json!({"secret": "another-secret"}), "$.secret"),
        (json!({"created_at": "2025-12-06T05:46:40Z"}), "$.created_at"),
        (json!({"ordering": "none"}), "$.ordering"),
        (json!({"activ": true}), "$.activ"),
        (json!({"headers": {"X-C": "***"}}), "$.headers.X-C"),
    ] {
        let answer = world.call("PATCH", &path, Some(body.clone())).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field.to_owned()]), "{body}");
    }
    assert_eq!(plain(world.get(&path).await.body), plain(created));
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_none() {
    let world = World::new().await;
    let (path, created) = made(&world).await;
    world.acts.take();
    for body in [json!({}), json!({"timeout_seconds": 5, "active": true, "headers": {"X-A": "***", "X-B": "***"}})] {
        let answer = world.call("PATCH", &path, Some(body)).await;
        assert_eq!((answer.status, &answer.body["updated_at"]), (200, &created["updated_at"]));
    }
    assert_eq!(world.acts.take(), Vec::<String>::new(), "nothing was written");
}

#[tokio::test]
async fn headers_are_replaced_as_a_set_and_the_mask_keeps_a_value() {
    let world = World::new().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let created = world
        .webhook(json!({
            "url": receiver.url("/"), "events": ["a"], "headers": {"X-Kept": "kept", "X-New": "old", "X-Gone": "gone"},
        }))
        .await;
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    let headers = json!({"headers": {"x-kept": "***", "X-New": "new"}});
    let answer = world.call("PATCH", &path, Some(headers)).await;
    assert_eq!(answer.body["headers"], json!({"x-kept": "***", "X-New": "***"}));
    world.call("POST", &format!("{path}/test"), None).await;
    let request = &receiver.received(1).await[0];
    assert_eq!((request.header("x-kept"), request.header("x-new"), request.header("x-gone")), ("kept", "new", ""));
}

#[tokio::test]
async fn a_url_that_another_webhook_has_is_refused_and_its_own_is_not() {
    let world = World::new().await;
    let (path, created) = made(&world).await;
    let other = world.webhook(json!({"url": "https://127.0.0.1:1/other", "events": ["a"], "source": "1"})).await;
    let url = |url: &str| Some(json!({"url": url}));
    let answer = world.call("PATCH", &path, url("https://127.0.0.1:1/other")).await;
    assert_eq!((answer.status, &answer.body["existing_id"]), (409, &other["id"]));
    assert_eq!(world.call("PATCH", &path, url("https://127.0.0.1:1/hooks")).await.status, 200);
    assert_eq!(world.call("PATCH", &path, url("https://127.0.0.1:1/moved")).await.status, 200);
    // The URL that is left is free again.
    let again = json!({"url": "https://127.0.0.1:1/hooks", "events": ["a"], "source": "1"});
    assert_ne!(world.webhook(again).await["id"], created["id"]);
}

#[tokio::test]
async fn many_changes_at_the_same_time_all_take_effect() {
    let world = std::sync::Arc::new(World::new().await);
    let (path, _) = made(&world).await;
    let mut calls = tokio::task::JoinSet::new();
    for body in [
        json!({"timeout_seconds": 7}),
        json!({"description": "new"}),
        json!({"events": ["z"]}),
        json!({"active": false}),
        json!({"retry_schedule": [9]}),
    ] {
        let (world, path) = (std::sync::Arc::clone(&world), path.clone());
        calls.spawn(async move { world.call("PATCH", &path, Some(body)).await.status });
    }
    assert!(calls.join_all().await.iter().all(|status| *status == 200));
    let shown = world.get(&path).await.body;
    assert_eq!(
        (
            &shown["timeout_seconds"],
            &shown["description"],
            &shown["events"],
            &shown["active"],
            &shown["retry_schedule"]
        ),
        (&json!(7), &json!("new"), &json!(["z"]), &json!(false), &json!([9]))
    );
}
