//! `/v1/api-keys`.

use std::collections::BTreeSet;

use fanfare_console::{ConsoleConfig, Operator};
use fanfare_core::api_key::{KeyHash, KeyUse, Scope};
use fanfare_core::ids::ApiKeyId;
use fanfare_core::ports::config_store::{Expected, Key, Record};
use serde_json::{Value, json};
use ulid::Ulid;

use crate::world::{ADMIN, Answer, MANAGER, READER, STRANGER, World, acme, api_key};

/// Makes a key and returns what create answers.
async fn made(world: &World, name: &str, scopes: Value) -> Value {
    let answer = world.call("POST", "/v1/api-keys", Some(json!({"name": name, "scopes": scopes}))).await;
    assert_eq!(answer.status, 201, "{:#}", answer.body);
    answer.body
}

fn path(key: &Value) -> String {
    format!("/v1/api-keys/{}", key["id"].as_str().unwrap())
}

/// The id of the key that the world's manager has.
async fn manager(world: &World) -> Value {
    let list = world.get("/v1/api-keys").await.body;
    list["data"].as_array().unwrap().iter().find(|key| key["name"] == MANAGER).unwrap().clone()
}

async fn get_as(world: &World, key: &Value, path: &str) -> Answer {
    world.call_as(key["key"].as_str().unwrap(), "GET", path, None).await
}

#[tokio::test]
async fn a_key_is_shown_once_and_may_do_what_its_scopes_say() {
    let world = World::new().await;
    let body = json!({"name": "billing", "scopes": ["read"]});
    let answer = world.call("POST", "/v1/api-keys", Some(body)).await;
    assert_eq!((answer.status, &answer.headers["cache-control"]), (201, &"no-store".parse().unwrap()));
    let key = answer.body;
    assert_eq!(answer.headers["location"], path(&key));
    let text = key["key"].as_str().unwrap();
    assert!(text.starts_with("ffk_") && text.len() == 47, "{text}");

    let mut shown = key.clone();
    shown.as_object_mut().unwrap().remove("key");
    assert_eq!(shown["last_used_at"], Value::Null);
    assert_eq!(
        (&shown["name"], &shown["scopes"], &shown["project"]),
        (&json!("billing"), &json!(["read"]), &json!("acme"))
    );
    assert_eq!(world.get(&path(&key)).await.body, shown);
    let list = world.get("/v1/api-keys").await.body.to_string();
    let hash = serde_json::to_string(&KeyHash::of(text)).unwrap();
    assert!(list.contains("billing") && !list.contains(text) && !list.contains(hash.trim_matches('"')), "{list}");

    assert_eq!(get_as(&world, &key, "/v1/webhooks").await.status, 200);
    assert_eq!(get_as(&world, &key, "/v1/api-keys").await.status, 403);
    let used = world.get(&path(&key)).await.body["last_used_at"].clone();
    assert!(used.as_str() >= key["created_at"].as_str(), "{used}");
}

#[tokio::test]
async fn another_name_and_other_scopes_hold_from_the_answer_on() {
    let world = World::new().await;
    let key = made(&world, "a", json!(["read", "manage"])).await;
    let there = path(&key);
    let change = |body: Value| world.call("PATCH", &there, Some(body));
    let answer = change(json!({"scopes": ["publish"]})).await;
    assert_eq!((answer.status, &answer.body["scopes"], &answer.body["name"]), (200, &json!(["publish"]), &json!("a")));
    assert_eq!(get_as(&world, &key, "/v1/webhooks").await.status, 403);
    assert_eq!(change(json!({"name": "b", "scopes": ["read"]})).await.status, 200);
    assert_eq!(get_as(&world, &key, "/v1/webhooks").await.status, 200, "the text has stayed");
    assert_eq!(world.get(&path(&key)).await.body["name"], "b");
    assert_eq!(change(json!({})).await.status, 200);
}

#[tokio::test]
async fn a_deleted_key_is_refused_from_the_answer_on() {
    let world = World::new().await;
    let key = made(&world, "a", json!(["read"])).await;
    assert_eq!(get_as(&world, &key, "/v1/webhooks").await.status, 200);
    assert_eq!(world.call("DELETE", &path(&key), None).await.status, 204);
    assert_eq!(get_as(&world, &key, "/v1/webhooks").await.status, 401);
    assert_eq!(world.call("DELETE", &path(&key), None).await.status, 404);
    assert_eq!(world.get(&path(&key)).await.status, 404);
}

#[tokio::test]
async fn a_project_keeps_a_key_that_may_manage_unless_the_admin_says_otherwise() {
    let world = World::new().await;
    let own = path(&manager(&world).await);
    for (method, body) in [("DELETE", None), ("PATCH", Some(json!({"scopes": ["read", "publish"]})))] {
        let answer = world.call(method, &own, body).await;
        assert_eq!((answer.status, answer.code()), (409, "last-manage-key"), "{method}");
    }
    // A stranger's does not count, one of the project's own does: then a key may delete even itself.
    let other = made(&world, "other", json!(["manage"])).await;
    assert_eq!(world.call("DELETE", &own, None).await.status, 204);
    assert_eq!(world.get("/v1/api-keys").await.status, 401);
    let admin = |method: &'static str, path: String| {
        let world = &world;
        async move { world.call_as(ADMIN, method, &path, None).await.status }
    };
    assert_eq!(admin("DELETE", path(&other)).await, 400, "the admin key names the project");
    assert_eq!(admin("DELETE", path(&other) + "?project=acme").await, 204);
}

#[tokio::test]
async fn the_admin_key_manages_the_keys_of_the_project_it_names() {
    let world = World::new().await;
    let body = json!({"name": "by admin", "scopes": ["read"]});
    let answer = world.call_as(ADMIN, "POST", "/v1/api-keys?project=other", Some(body.clone())).await;
    assert_eq!((answer.status, &answer.body["project"]), (201, &json!("other")));
    let there = path(&answer.body) + "?project=other";
    assert_eq!(world.call_as(ADMIN, "GET", &there, None).await.body["name"], "by admin");
    let renamed = world.call_as(ADMIN, "PATCH", &there, Some(json!({"name": "renamed"}))).await;
    assert_eq!((renamed.status, &renamed.body["name"]), (200, &json!("renamed")));
    let elsewhere = path(&answer.body) + "?project=acme";
    assert_eq!(world.call_as(ADMIN, "GET", &elsewhere, None).await.status, 404);

    for (wanted, status, code) in [
        ("/v1/api-keys", 400, "invalid-request"),
        ("/v1/api-keys?project=A", 400, "invalid-request"),
        ("/v1/api-keys?project=nowhere", 404, "not-found"),
    ] {
        for (method, body) in [("GET", None), ("POST", Some(body.clone()))] {
            let answer = world.call_as(ADMIN, method, wanted, body).await;
            assert_eq!((answer.status, answer.code()), (status, code), "{method} {wanted}");
        }
    }
    // A project's own key may name its own project and no other.
    assert_eq!(world.get("/v1/api-keys?project=acme").await.status, 200);
    assert_eq!(world.get("/v1/api-keys?project=other").await.status, 404);
    assert_eq!(world.call_as(STRANGER, "GET", &there, None).await.status, 200);
}

#[tokio::test]
async fn keys_are_listed_by_pages_oldest_first() {
    let world = World::new().await;
    for number in 0..4 {
        made(&world, &format!("k{number}"), json!(["read"])).await;
    }
    let (mut names, mut next) = (Vec::new(), "/v1/api-keys?limit=3".to_owned());
    loop {
        let page = world.get(&next).await.body;
        names.extend(page["data"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("/v1/api-keys?limit=3&after={after}");
    }
    assert_eq!(names.len(), 7, "three of the world's and four: {names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 7);
    // Their creation may fall into one millisecond, within which order is by chance.
    assert!(names[..3].iter().all(|name| name.starts_with("acme")), "{names:?}");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let world = World::new().await;
    let key = made(&world, "a", json!(["read"])).await;
    let long = "n".repeat(101);
    for (body, fields) in [
        (json!({}), vec!["$.name", "$.scopes"]),
        (json!({"name": "", "scopes": []}), vec!["$.name", "$.scopes"]),
        (json!({"name": long, "scopes": "read"}), vec!["$.name", "$.scopes"]),
        (json!({"name": "a\nb", "scopes": ["read", "write", "read"]}), vec!["$.name", "$.scopes[1]", "$.scopes[2]"]),
        (json!({"name": null, "scopes": null}), vec!["$.name", "$.scopes"]),
        (json!({"nmae": "a", "key": "x", "id": "y"}), vec!["$.nmae", "$.key", "$.id"]),
    ] {
        let answer = world.call("POST", "/v1/api-keys", Some(body.clone())).await;
        assert_eq!((answer.status, answer.fields()), (400, fields.iter().map(|field| (*field).to_owned()).collect()));
        if body != json!({}) {
            assert_eq!(world.call("PATCH", &path(&key), Some(body)).await.status, 400);
        }
    }
    assert_eq!(world.get("/v1/api-keys?limit=0&colour=red").await.fields(), ["colour", "limit"]);
    for path in ["/v1/api-keys/7", "/v1/api-keys/key_00000000000000000000000099"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_project_has_so_many_keys_and_no_more() {
    let world = World::with_config(ConsoleConfig { max_api_keys_per_project: 4, ..ConsoleConfig::default() }).await;
    made(&world, "fourth", json!(["read"])).await;
    let answer = world.call("POST", "/v1/api-keys", Some(json!({"name": "fifth", "scopes": ["read"]}))).await;
    assert_eq!((answer.status, answer.code()), (409, "too-many-api-keys"));
}

#[tokio::test]
async fn the_key_that_an_option_makes_is_not_deleted_while_it_does() {
    for (first_key_by_option, status) in [(true, 409), (false, 204)] {
        let operator = Operator { first_key_by_option, ..Operator::default() };
        let world = World::with(ConsoleConfig::default(), operator).await;
        let mut first = api_key(0, "the-first-key-0123456789", acme(), vec![Scope::Manage], world.clock.now());
        first.id = ApiKeyId::FIRST;
        world.store.inner.put(Record::ApiKey(first), Expected::Absent).await.unwrap();
        let answer = world.call("DELETE", &format!("/v1/api-keys/{}", ApiKeyId::FIRST), None).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.code() == "set-by-option", first_key_by_option);
    }
}

#[tokio::test]
async fn a_note_of_use_does_not_outlive_its_key() {
    let world = World::new().await;
    let key = made(&world, "a", json!(["read"])).await;
    let id: ApiKeyId = key["id"].as_str().unwrap().parse().unwrap();
    let used = |key| Record::KeyUse(KeyUse { key, last_used_at: world.clock.now() });
    world.store.inner.put(used(id), Expected::Absent).await.unwrap();
    // The store goes away between the two steps of the deletion.
    world.store.refuse(Some("remove key-use"));
    assert_eq!(world.call("DELETE", &path(&key), None).await.status, 204);
    assert!(world.store.inner.get(&Key::KeyUse(id)).await.unwrap().is_some());
    world.store.refuse(None);
    let stray = ApiKeyId(Ulid(4711));
    world.store.inner.put(used(stray), Expected::Absent).await.unwrap();

    world.console.start(std::sync::Arc::clone(&world.clock), &world.tasks);
    let store = &world.store.inner;
    let gone = async || {
        store.get(&Key::KeyUse(id)).await.unwrap().is_none() && store.get(&Key::KeyUse(stray)).await.unwrap().is_none()
    };
    world.until("the notes' removal", gone).await;
    assert_eq!(world.call_as(READER, "GET", "/v1/webhooks", None).await.status, 200);
}
