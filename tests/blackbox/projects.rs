//! Projects and their keys, as the operator makes them and their owners use them.

use fanfare_testkit::{Fanfare, Receiver, Reply};
use serde_json::{Value, json};

use crate::samples::order;

const ADMIN: &str = "admin-key-0123456789abcdef";

/// An installation with an admin key.
async fn start() -> Fanfare {
    Fanfare::start(&[("FANFARE_ADMIN_KEY", ADMIN)]).await
}

/// Calls with a key; the answer's status and body.
async fn call(fanfare: &Fanfare, key: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let mut request = fanfare.client().request(method.parse().unwrap(), fanfare.url(path)).bearer_auth(key);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
}

async fn expect(fanfare: &Fanfare, key: &str, method: &str, path: &str, body: Option<Value>, status: u16) -> Value {
    let (answered, shown) = call(fanfare, key, method, path, body).await;
    assert_eq!(answered, status, "{method} {path}: {shown:#}");
    shown
}

/// Makes a project and a key of it with these scopes.
async fn project(fanfare: &Fanfare, project: Value, scopes: Value) -> Value {
    let path = format!("/v1/api-keys?project={}", project["id"].as_str().unwrap());
    expect(fanfare, ADMIN, "POST", "/v1/projects", Some(project), 201).await;
    expect(fanfare, ADMIN, "POST", &path, Some(json!({"name": "first", "scopes": scopes})), 201).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_made_by_the_operator_publishes_and_receives_apart_from_the_others() {
    let mut fanfare = start().await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let all = json!(["publish", "read", "manage"]);
    let shop = project(&fanfare, json!({"id": "shop", "egress_allow": ["127.0.0.0/8"]}), all.clone()).await;
    let bank = project(&fanfare, json!({"id": "bank"}), all).await;
    let (shop_key, bank_key) = (text(&shop["key"]), text(&bank["key"]));
    let hook = json!({"url": receiver.url("/"), "events": ["**"]});
    let created = expect(&fanfare, shop_key, "POST", "/v1/webhooks", Some(hook.clone()), 201).await;
    let refused = expect(&fanfare, bank_key, "POST", "/v1/webhooks", Some(hook), 400).await;
    assert_eq!(refused["errors"][0]["field"], "$.url", "the bank's webhooks reach public addresses alone");

    // One id, twice: each project's own.
    for key in [shop_key, bank_key] {
        let accepted = expect(&fanfare, key, "POST", "/v1/events", Some(order("order-1")), 202).await;
        assert_eq!(accepted["status"], "accepted");
    }
    let requests = receiver.received(1).await;
    assert_eq!(requests.len(), 1);
    let webhook = format!("/v1/webhooks/{}", text(&created["id"]));
    expect(&fanfare, bank_key, "GET", &webhook, None, 404).await;
    expect(&fanfare, shop_key, "GET", &webhook, None, 200).await;

    // A restart keeps projects, keys, and when they were last used.
    let path = format!("/v1/api-keys/{}", text(&shop["id"]));
    let used = expect(&fanfare, shop_key, "GET", &path, None, 200).await["last_used_at"].clone();
    assert!(used.is_string());
    assert!(fanfare.terminate().await.success());
    fanfare.start_again().await;
    let there = format!("{path}?project=shop");
    let kept = expect(&fanfare, ADMIN, "GET", &there, None, 200).await["last_used_at"].clone();
    assert!(text(&kept) >= text(&used), "{kept} is before {used}");

    expect(&fanfare, ADMIN, "DELETE", "/v1/projects/shop", None, 409).await;
    expect(&fanfare, shop_key, "DELETE", &webhook, None, 204).await;
    expect(&fanfare, ADMIN, "DELETE", "/v1/projects/shop", None, 204).await;
    expect(&fanfare, shop_key, "POST", "/v1/events", Some(order("order-2")), 401).await;
    expect(&fanfare, bank_key, "POST", "/v1/events", Some(order("order-2")), 202).await;

    let log = fanfare.log();
    for act in ["project.created", "api_key.created", "project.deleted", "api_key.deleted", "webhook.deleted"] {
        assert!(log.contains(act), "{act} is not in the log:\n{log}");
    }
    for secret in [ADMIN, shop_key, bank_key] {
        assert!(!log.contains(secret), "a key is in the log");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projects_quotas_are_its_own_and_change_while_it_runs() {
    let fanfare = start().await;
    let quotas = json!({"events_per_second": 1, "burst": 500});
    let shop = project(&fanfare, json!({"id": "shop", "quotas": quotas}), json!(["publish"])).await;
    let key = text(&shop["key"]);
    let batch = |prefix: &str| Value::from((0..500).map(|n| order(&format!("{prefix}-{n}"))).collect::<Vec<_>>());
    expect(&fanfare, key, "POST", "/v1/events", Some(batch("a")), 202).await;
    expect(&fanfare, key, "POST", "/v1/events", Some(batch("b")), 429).await;
    // The first project's are the server's.
    assert_eq!(fanfare.call("POST", "/v1/events", Some(batch("b"))).await.0, 202);
    expect(&fanfare, ADMIN, "PATCH", "/v1/projects/shop", Some(json!({"quotas": null})), 200).await;
    // At the old rate 500 more would take eight minutes; at the new one there is room in a moment.
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
    let accepted = async {
        while call(&fanfare, key, "POST", "/v1/events", Some(batch("b"))).await.0 != 202 {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(60), accepted).await.is_ok(), "the old quota stays");
    let log = fanfare.log();
    let told = log.lines().find(|line| line.contains("project.updated")).unwrap_or_else(|| panic!("{log}"));
    assert!(told.contains("before") && told.contains("after") && told.contains("admin"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_key_manages_projects_and_keys_and_nothing_else() {
    let fanfare = start().await;
    for (method, path) in [("POST", "/v1/events"), ("GET", "/v1/webhooks"), ("GET", "/v1/deliveries")] {
        let refused = expect(&fanfare, ADMIN, method, path, Some(order("order-1")), 403).await;
        assert_eq!(refused["type"], "urn:fanfare:problem:admin-key-refused", "{method} {path}");
    }
    let (status, refused) = fanfare.call("GET", "/v1/projects", None).await;
    assert_eq!((status, &refused["type"]), (403, &json!("urn:fanfare:problem:admin-key-needed")));
    expect(&fanfare, "admin-key-0123456789abcdeg", "GET", "/v1/projects", None, 401).await;

    // The first project's networks are the option's.
    let change = json!({"egress_allow": ["10.0.0.0/8"]});
    let refused = expect(&fanfare, ADMIN, "PATCH", "/v1/projects/default", Some(change), 409).await;
    assert_eq!(refused["type"], "urn:fanfare:problem:set-by-option");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_admin_key_nobody_manages_projects_and_a_weak_one_is_refused() {
    let fanfare = Fanfare::start(&[]).await;
    let (status, refused) = fanfare.call("POST", "/v1/projects", Some(json!({"id": "shop"}))).await;
    assert_eq!(status, 403);
    assert!(text(&refused["detail"]).contains("FANFARE_ADMIN_KEY"), "{refused}");
    for (admin, says) in [("short", "16 to 256"), (fanfare_testkit::process::API_KEY, "have to differ")] {
        let mut command = fanfare.command();
        command.env("FANFARE_ADMIN_KEY", admin);
        let output = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says) && !said.contains(&format!("{admin:?}")), "{said}");
    }
}
