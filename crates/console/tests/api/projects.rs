//! `/v1/projects`.

use fanfare_console::{ConsoleConfig, Operator};
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::config_store::{Expected, Key, Record};
use fanfare_core::project::Project;
use serde_json::{Value, json};

use crate::world::{ADMIN, Answer, MANAGER, World};

async fn admin(world: &World, method: &str, path: &str, body: Option<Value>) -> Answer {
    world.call_as(ADMIN, method, path, body).await
}

/// Makes a project with a key that may manage, and returns the key.
async fn made(world: &World, project: Value) -> String {
    let id = project["id"].as_str().unwrap().to_owned();
    let answer = admin(world, "POST", "/v1/projects", Some(project)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.headers["location"], format!("/v1/projects/{id}"));
    let key = json!({"name": "first", "scopes": ["publish", "read", "manage"]});
    let answer = admin(world, "POST", &format!("/v1/api-keys?project={id}"), Some(key)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["key"].as_str().unwrap().to_owned()
}

fn hook() -> Option<Value> {
    Some(json!({"url": "http://127.0.0.1:1/", "events": ["**"]}))
}

#[tokio::test]
async fn a_project_is_made_changed_field_by_field_and_reset() {
    let world = World::new().await;
    let answer = admin(&world, "POST", "/v1/projects", Some(json!({"id": "shop-1"}))).await;
    let mut shown = json!({
        "id": "shop-1", "egress_allow": [], "secrets_in_reads": false, "quotas": {"events_per_second": null, "burst": null},
        "strict_event_types": false, "created_at": answer.body["created_at"],
    });
    assert_eq!((answer.status, &answer.body), (201, &shown));
    let path = "/v1/projects/shop-1";
    let change = json!({"egress_allow": ["10.1.2.3/8", "::1"], "quotas": {"events_per_second": 5, "burst": 700}});
    let answer = admin(&world, "PATCH", path, Some(change)).await;
    shown["egress_allow"] = json!(["10.0.0.0/8", "::1/128"]);
    shown["quotas"] = json!({"events_per_second": 5, "burst": 700});
    assert_eq!((answer.status, &answer.body), (200, &shown));
    for (change, quotas) in [
        (json!({"quotas": {"burst": null}}), json!({"events_per_second": 5, "burst": null})),
        (json!({"quotas": {"burst": 500, "events_per_second": 0}}), json!({"events_per_second": null, "burst": 500})),
        (json!({"quotas": null}), json!({"events_per_second": null, "burst": null})),
    ] {
        let answer = admin(&world, "PATCH", path, Some(change)).await;
        shown["quotas"] = quotas;
        assert_eq!((answer.status, &answer.body), (200, &shown));
    }
    assert_eq!(admin(&world, "PATCH", path, Some(json!({"egress_allow": null}))).await.body["egress_allow"], json!([]));
    shown["egress_allow"] = json!([]);
    assert_eq!(admin(&world, "GET", path, None).await.body, shown);
    let again = admin(&world, "POST", "/v1/projects", Some(json!({"id": "shop-1"}))).await;
    assert_eq!((again.status, again.code(), &again.body["existing_id"]), (409, "project-exists", &json!("shop-1")));
}

#[tokio::test]
async fn only_the_networks_of_its_list_are_allowed_to_a_projects_webhooks() {
    let world = World::new().await;
    let key = made(&world, json!({"id": "shop"})).await;
    let make = || world.call_as(&key, "POST", "/v1/webhooks", hook());
    assert_eq!(make().await.fields(), ["$.url"]);
    let allow = json!({"egress_allow": ["127.0.0.0/8"]});
    assert_eq!(admin(&world, "PATCH", "/v1/projects/shop", Some(allow)).await.status, 200);
    assert_eq!(make().await.status, 201);
    let answer = world.call_as(MANAGER, "PATCH", "/v1/projects/shop", Some(json!({"egress_allow": []}))).await;
    assert_eq!((answer.status, answer.code()), (403, "admin-key-needed"));
}

#[tokio::test]
async fn a_project_without_webhooks_is_deleted_with_its_keys() {
    let world = World::new().await;
    let key = made(&world, json!({"id": "shop", "egress_allow": ["127.0.0.0/8"]})).await;
    let webhook = world.call_as(&key, "POST", "/v1/webhooks", hook()).await.body["id"].clone();
    let answer = admin(&world, "DELETE", "/v1/projects/shop", None).await;
    assert_eq!((answer.status, answer.code()), (409, "project-has-webhooks"));
    assert!(answer.body["detail"].as_str().unwrap().contains("1 webhook"), "{}", answer.body);
    let path = format!("/v1/webhooks/{}", webhook.as_str().unwrap());
    assert_eq!(world.call_as(&key, "DELETE", &path, None).await.status, 204);
    assert_eq!(admin(&world, "DELETE", "/v1/projects/shop", None).await.status, 204);

    assert_eq!(world.call_as(&key, "GET", "/v1/webhooks", None).await.status, 401);
    assert_eq!(admin(&world, "GET", "/v1/projects/shop", None).await.status, 404);
    assert_eq!(admin(&world, "GET", "/v1/api-keys?project=shop", None).await.status, 404);
    assert_eq!(admin(&world, "DELETE", "/v1/projects/shop", None).await.status, 404);
    // Others are as they were, and the id is free.
    assert_eq!(world.get("/v1/webhooks").await.status, 200);
    let new = made(&world, json!({"id": "shop"})).await;
    assert_eq!(world.call_as(&new, "GET", "/v1/api-keys", None).await.body["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_deletion_that_is_cut_off_leaves_no_key_that_works_and_is_finished_by_asking_again() {
    let world = World::new().await;
    let key = made(&world, json!({"id": "shop"})).await;
    world.store.refuse(Some("remove project"));
    assert_eq!(admin(&world, "DELETE", "/v1/projects/shop", None).await.status, 503);
    assert_eq!(world.call_as(&key, "GET", "/v1/webhooks", None).await.status, 401);
    assert_eq!(admin(&world, "GET", "/v1/projects/shop", None).await.status, 200);
    world.store.refuse(None);
    assert_eq!(admin(&world, "DELETE", "/v1/projects/shop", None).await.status, 204);
}

#[tokio::test]
async fn a_key_of_a_project_that_is_gone_makes_nothing_in_it() {
    let world = World::new().await;
    let key = made(&world, json!({"id": "shop", "egress_allow": ["127.0.0.0/8"]})).await;
    // As if another process deleted the project while this one was about to store the webhook.
    world.store.inner.remove(&Key::Project(ProjectId::new("shop").unwrap()), Expected::Any).await.unwrap();
    for (path, body) in [
        ("/v1/webhooks", Some(json!({"url": "https://example.com/", "events": ["**"]}))),
        ("/v1/api-keys", Some(json!({"name": "late", "scopes": ["read"]}))),
    ] {
        let answer = world.call_as(&key, "POST", path, body).await;
        assert_eq!((answer.status, answer.code()), (404, "not-found"), "{path}");
    }
}

#[tokio::test]
async fn the_first_project_stays_and_its_networks_are_the_options_while_that_is_set() {
    for (egress_by_option, status) in [(true, 409), (false, 200)] {
        let operator = Operator { egress_by_option, ..Operator::default() };
        let world = World::with(ConsoleConfig::default(), operator).await;
        let first = Project::new(ProjectId::new("default").unwrap(), world.clock.now());
        world.store.inner.put(Record::Project(first), Expected::Absent).await.unwrap();
        let change = |body: Value| admin(&world, "PATCH", "/v1/projects/default", Some(body));
        let answer = change(json!({"egress_allow": ["10.0.0.0/8"]})).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.code() == "set-by-option", egress_by_option);
        assert_eq!(change(json!({"quotas": {"burst": 600}})).await.body["quotas"]["burst"], 600);
        let answer = admin(&world, "DELETE", "/v1/projects/default", None).await;
        assert_eq!((answer.status, answer.code()), (409, "first-project"));
    }
}

#[tokio::test]
async fn projects_are_listed_by_pages_in_order_of_their_id() {
    let world = World::new().await;
    for id in ["b", "z", "a-1"] {
        made(&world, json!({"id": id})).await;
    }
    let page = admin(&world, "GET", "/v1/projects?limit=3", None).await.body;
    let ids = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|project| project["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&page), ["a-1", "acme", "b"]);
    let rest = format!("/v1/projects?limit=3&after={}", page["next"].as_str().unwrap());
    let page = admin(&world, "GET", &rest, None).await.body;
    assert_eq!((ids(&page), &page["next"]), (vec!["other".to_owned(), "z".to_owned()], &Value::Null));
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let world = World::new().await;
    let many: Vec<String> = (0..101).map(|number| format!("10.0.{number}.0/24")).collect();
    for (body, fields) in [
        (json!({}), vec!["$.id"]),
        (json!({"id": "Shop"}), vec!["$.id"]),
        (json!({"id": null, "name": "x"}), vec!["$.id", "$.name"]),
        (json!({"id": "a", "egress_allow": "10.0.0.0/8"}), vec!["$.egress_allow"]),
        (
            json!({"id": "a", "egress_allow": ["localhost", "::1", "::1/128", 7]}),
            vec!["$.egress_allow[0]", "$.egress_allow[2]", "$.egress_allow[3]"],
        ),
        (json!({"id": "a", "egress_allow": many}), vec!["$.egress_allow"]),
        (json!({"id": "a", "quotas": 5}), vec!["$.quotas"]),
        (
            json!({"id": "a", "quotas": {"events_per_second": 1_000_001, "burst": 499, "bursts": 1}}),
            vec!["$.quotas.events_per_second", "$.quotas.burst", "$.quotas.bursts"],
        ),
        (json!({"id": "a", "created_at": "x"}), vec!["$.created_at"]),
    ] {
        let answer = admin(&world, "POST", "/v1/projects", Some(body)).await;
        assert_eq!((answer.status, answer.fields()), (400, fields.iter().map(|field| (*field).to_owned()).collect()));
    }
    let answer = admin(&world, "PATCH", "/v1/projects/acme", Some(json!({"id": "other"}))).await;
    assert_eq!(answer.fields(), ["$.id"]);
    assert_eq!(admin(&world, "GET", "/v1/projects/No", None).await.status, 404);
}

#[tokio::test]
async fn there_are_so_many_projects_and_no_more() {
    let world = World::with_config(ConsoleConfig { max_projects: 3, ..ConsoleConfig::default() }).await;
    made(&world, json!({"id": "third"})).await;
    let answer = admin(&world, "POST", "/v1/projects", Some(json!({"id": "fourth"}))).await;
    assert_eq!((answer.status, answer.code()), (409, "too-many-projects"));
    let answer = admin(&world, "POST", "/v1/projects", Some(json!({"id": "third"}))).await;
    assert_eq!(answer.code(), "project-exists", "what is there already is told first");
}
