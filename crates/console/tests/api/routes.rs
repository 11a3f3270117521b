//! Every route of the API: who may call it, and that another project's things are not there. A route that is added fails this
//! until it has its line here and its place in `docs/api.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use fanfare_core::api_key::{AdminKey, Scope};
use fanfare_core::delivery::End;
use fanfare_core::ports::config_store::{ConfigStore, Expected, Record};
use fanfare_http::{Access, RouteInfo};
use fanfare_ingest::{Ingest, IngestConfig};
use fanfare_telemetry::Metrics;
use serde_json::{Value, json};

use crate::world::{ADMIN, Answer, STRANGER, State, World, acme, api_key};

/// What the `{id}` in a path is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// There is none.
    None,
    Webhook,
    /// A webhook of the number in the path.
    NumbersWebhook,
    /// A webhook under Kapso's paths.
    Kapso,
    Event,
    Delivery,
    ApiKey,
    Project,
    EventType,
}

const PUBLISH: Access = Access::Key(Scope::Publish);
const READ: Access = Access::Key(Scope::Read);
const MANAGE: Access = Access::Key(Scope::Manage);
const KEYS: Access = Access::KeyOrAdmin(Scope::Manage);
const ADMINS: Access = Access::Admin;

pub(crate) const NUMBER: &str = "100200300400500";
const OF_NUMBER: &str = "/platform/v1/whatsapp/phone_numbers/{phone_number_id}/webhooks";
const ONE_OF_NUMBER: &str = "/platform/v1/whatsapp/phone_numbers/{phone_number_id}/webhooks/{id}";

/// Every route, those that delete last: they are called, too.
const ROUTES: [(&str, &str, Access, Of); 46] = [
    ("POST", "/v1/events", PUBLISH, Of::None),
    ("GET", "/v1/webhooks", READ, Of::None),
    ("POST", "/v1/webhooks", MANAGE, Of::None),
    ("GET", "/v1/webhooks/{id}", READ, Of::Webhook),
    ("PATCH", "/v1/webhooks/{id}", MANAGE, Of::Webhook),
    ("POST", "/v1/webhooks/{id}/test", MANAGE, Of::Webhook),
    ("POST", "/v1/webhooks/{id}/activate", MANAGE, Of::Webhook),
    ("GET", "/v1/webhooks/{id}/health", READ, Of::Webhook),
    ("GET", "/v1/webhooks/{id}/secret", MANAGE, Of::Webhook),
    ("POST", "/v1/webhooks/{id}/rotate-secret", MANAGE, Of::Webhook),
    ("POST", "/v1/filters/preview", READ, Of::None),
    ("GET", "/v1/event-types", READ, Of::None),
    ("POST", "/v1/event-types", MANAGE, Of::None),
    ("GET", "/v1/event-types/{type}", READ, Of::EventType),
    ("PATCH", "/v1/event-types/{type}", MANAGE, Of::EventType),
    ("GET", "/v1/events", READ, Of::None),
    ("GET", "/v1/events/{id}", READ, Of::Event),
    ("GET", "/v1/rejections", READ, Of::None),
    ("GET", "/v1/deliveries", READ, Of::None),
    ("GET", "/v1/deliveries/{id}", READ, Of::Delivery),
    ("POST", "/v1/deliveries/{id}/retry", MANAGE, Of::Delivery),
    ("GET", "/v1/api-keys", KEYS, Of::None),
    ("POST", "/v1/api-keys", KEYS, Of::None),
    ("GET", "/v1/api-keys/{id}", KEYS, Of::ApiKey),
    ("PATCH", "/v1/api-keys/{id}", KEYS, Of::ApiKey),
    ("GET", "/v1/projects", ADMINS, Of::None),
    ("POST", "/v1/projects", ADMINS, Of::None),
    ("GET", "/v1/projects/{id}", ADMINS, Of::Project),
    ("PATCH", "/v1/projects/{id}", ADMINS, Of::Project),
    ("GET", OF_NUMBER, READ, Of::None),
    ("POST", OF_NUMBER, MANAGE, Of::None),
    ("GET", ONE_OF_NUMBER, READ, Of::NumbersWebhook),
    ("PATCH", ONE_OF_NUMBER, MANAGE, Of::NumbersWebhook),
    ("GET", "/platform/v1/whatsapp/webhooks", READ, Of::None),
    ("POST", "/platform/v1/whatsapp/webhooks", MANAGE, Of::None),
    ("GET", "/platform/v1/whatsapp/webhooks/{id}", READ, Of::Kapso),
    ("PATCH", "/platform/v1/whatsapp/webhooks/{id}", MANAGE, Of::Kapso),
    ("POST", "/platform/v1/whatsapp/webhooks/{id}/test", MANAGE, Of::Kapso),
    ("GET", "/platform/v1/webhook_deliveries", READ, Of::None),
    ("DELETE", "/v1/events/{id}", MANAGE, Of::Event),
    ("DELETE", ONE_OF_NUMBER, MANAGE, Of::NumbersWebhook),
    ("DELETE", "/platform/v1/whatsapp/webhooks/{id}", MANAGE, Of::Kapso),
    ("DELETE", "/v1/event-types/{type}", MANAGE, Of::EventType),
    ("DELETE", "/v1/webhooks/{id}", MANAGE, Of::Webhook),
    ("DELETE", "/v1/api-keys/{id}", KEYS, Of::ApiKey),
    ("DELETE", "/v1/projects/{id}", ADMINS, Of::Project),
];

pub(crate) fn served() -> Vec<RouteInfo> {
    [fanfare_ingest::routes(), fanfare_console::routes()].concat()
}

/// Both services over one world, as the binary has them, and one thing of each kind in the project `acme`.
struct Whole {
    world: World,
    webhook: String,
    of_number: String,
    kapso: String,
    delivery: String,
    key: String,
}

impl Whole {
    async fn new() -> Self {
        let mut world = World::new().await;
        world.router = both(&world);
        let webhook = world.some_webhook().await;
        let delivery = world.delivery("order-1", webhook, State::Ended(End::Exhausted)).await;
        let mut kapso = Vec::new();
        for source in [json!(NUMBER), Value::Null] {
            let fields = json!({"url": "https://127.0.0.1:1/kapso", "events": ["order.paid"], "source": source});
            kapso.push(world.webhook(fields).await["id"].as_str().unwrap().to_owned());
        }
        let spare = world.call("POST", "/v1/api-keys", Some(json!({"name": "spare", "scopes": ["read"]}))).await;
        let own = json!({"type": "stock.low", "title": "Stock is low", "sample": {}});
        assert_eq!(world.call("POST", "/v1/event-types", Some(own)).await.status, 201);
        let key = spare.body["id"].as_str().unwrap().to_owned();
        let (of_number, kapso) = (kapso.remove(0), kapso.remove(0));
        Self { world, webhook: webhook.to_string(), of_number, kapso, delivery: delivery.to_string(), key }
    }

    /// The route's path with the id of what `acme` has.
    fn path(&self, path: &str, of: Of) -> String {
        let id = match of {
            Of::None => "",
            Of::Webhook => &self.webhook,
            Of::NumbersWebhook => &self.of_number,
            Of::Kapso => &self.kapso,
            Of::Event => "order-1",
            Of::Delivery => &self.delivery,
            Of::ApiKey => &self.key,
            Of::Project => "acme",
            Of::EventType => "stock.low",
        };
        assert_eq!(path.contains("{id}") || path.contains("{type}"), of != Of::None, "{path}");
        path.replace("{id}", id).replace("{type}", id).replace("{phone_number_id}", NUMBER)
    }

    /// A key of `acme` with these scopes.
    async fn key(&self, scopes: &[Scope]) -> String {
        let bits = scopes.iter().fold(0, |bits, scope| bits | 1 << (*scope as u32));
        let text = format!("acme-key-with-scopes-{bits}");
        let key = api_key(1000 + u128::from(bits as u32), &text, acme(), scopes.to_vec(), self.world.clock.now());
        self.world.store.inner.put(Record::ApiKey(key), Expected::Any).await.unwrap();
        text
    }

    async fn call(&self, key: &str, method: &str, path: &str) -> Answer {
        self.world.call_as(key, method, path, (method != "GET").then(|| json!({}))).await
    }
}

pub(crate) fn both(world: &World) -> Router {
    let ingest = Ingest {
        log: Arc::new(world.engine.clone()),
        store: Arc::clone(&world.store) as Arc<dyn ConfigStore>,
        registry: Arc::clone(&world.console.registry),
        admin_key: Some(AdminKey::new(ADMIN)),
        config: IngestConfig::default(),
    };
    let ingest = ingest.router(Arc::clone(&world.clock), Metrics::new("test"));
    let console = world.console.clone().router(Arc::clone(&world.clock), Metrics::new("test"));
    fanfare_console::with_kapso_errors(fanfare_http::with_fallbacks(ingest.merge(console)))
}

/// The code of an error, whatever its shape; a shape that does not belong to the path has none.
fn code_of(answer: &Answer) -> String {
    match answer.body["error"]["code"].as_str() {
        Some(code) => code.replace('_', "-"),
        None => answer.code().to_owned(),
    }
}

fn scope_of(access: Access) -> Option<Scope> {
    match access {
        Access::Key(scope) | Access::KeyOrAdmin(scope) => Some(scope),
        Access::Admin => None,
    }
}

#[test]
fn every_route_that_is_served_is_in_the_table_and_no_other() {
    let line = |method: &str, path: &str, access: Access| format!("{method} {path} {access:?}");
    let listed: BTreeSet<String> = ROUTES.iter().map(|(method, path, access, _)| line(method, path, *access)).collect();
    let served: BTreeSet<String> =
        served().iter().map(|route| line(route.method.as_str(), route.path, route.access)).collect();
    assert_eq!(listed.len(), ROUTES.len());
    assert_eq!(listed, served, "a route is missing in ROUTES, or is not served");
}

#[tokio::test]
async fn every_route_refuses_who_lacks_its_scope_and_does_nothing() {
    let whole = Whole::new().await;
    let every = whole.key(&Scope::ALL).await;
    for (method, path, access, of) in ROUTES {
        let path = whole.path(path, of);
        let refused = async |key: &str, status: u16, code: &str| {
            let answer = whole.call(key, method, &path).await;
            assert_eq!((answer.status, code_of(&answer).as_str()), (status, code), "{method} {path}: {}", answer.body);
        };
        refused("a-key-that-nobody-has", 401, "unauthorized").await;
        match scope_of(access) {
            Some(scope) => {
                let rest: Vec<Scope> = Scope::ALL.into_iter().filter(|other| *other != scope).collect();
                refused(&whole.key(&rest).await, 403, "missing-scope").await;
                for other in rest {
                    refused(&whole.key(&[other]).await, 403, "missing-scope").await;
                }
            }
            None => {
                refused(&every, 403, "admin-key-needed").await;
                refused(STRANGER, 403, "admin-key-needed").await;
            }
        }
        match access {
            Access::Key(_) => refused(ADMIN, 403, "admin-key-refused").await,
            // Without `?project=` it is not said which.
            Access::KeyOrAdmin(_) => refused(ADMIN, 400, "invalid-request").await,
            Access::Admin => {}
        }
    }
    for (path, of) in
        [("/v1/webhooks/{id}", Of::Webhook), ("/v1/deliveries/{id}", Of::Delivery), ("/v1/api-keys/{id}", Of::ApiKey)]
    {
        assert_eq!(whole.call(&every, "GET", &whole.path(path, of)).await.status, 200, "{path}");
    }
    assert_eq!(whole.call(ADMIN, "GET", "/v1/projects/acme").await.status, 200);
}

#[tokio::test]
async fn every_route_answers_404_for_what_another_project_has() {
    let whole = Whole::new().await;
    for (method, path, access, of) in ROUTES {
        if of == Of::None || access == Access::Admin {
            continue;
        }
        let path = whole.path(path, of);
        let callers = match access {
            Access::Key(_) | Access::Admin => vec![(STRANGER, path.clone())],
            Access::KeyOrAdmin(_) => vec![(STRANGER, path.clone()), (ADMIN, format!("{path}?project=other"))],
        };
        for (key, path) in callers {
            let answer = whole.call(key, method, &path).await;
            let code = code_of(&answer);
            assert_eq!((answer.status, code.as_str()), (404, "not-found"), "{method} {path}: {}", answer.body);
        }
    }
}

#[tokio::test]
async fn every_route_lets_in_who_has_its_scope() {
    let whole = Whole::new().await;
    // So that the last key that may manage is not at stake.
    whole.key(&Scope::ALL).await;
    for (method, path, access, of) in ROUTES {
        let key = match scope_of(access) {
            Some(scope) => whole.key(&[scope]).await,
            None => ADMIN.to_owned(),
        };
        let path = whole.path(path, of);
        let answer = whole.call(&key, method, &path).await;
        let let_in = answer.status < 500 && ![401, 403, 404, 405].contains(&answer.status);
        assert!(let_in, "{method} {path}: {} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn every_route_refuses_a_parameter_that_it_does_not_know_by_name_and_does_nothing() {
    let whole = Whole::new().await;
    for (method, path, access, of) in ROUTES {
        let key = match scope_of(access) {
            Some(scope) => whole.key(&[scope]).await,
            None => ADMIN.to_owned(),
        };
        let path = format!("{}?no_such_parameter=1", whole.path(path, of));
        let answer = whole.call(&key, method, &path).await;
        let named = answer.body.to_string().contains("no_such_parameter");
        assert_eq!((answer.status, named), (400, true), "{method} {path}: {}", answer.body);
    }
}

#[test]
fn the_reference_has_every_route_with_its_scope_and_no_other() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/api.md")).unwrap();
    let documented: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("### `")).collect();
    let served: Vec<String> = served()
        .iter()
        .map(|route| {
            let needs = match route.access {
                Access::Key(scope) => scope.as_str().to_owned(),
                Access::KeyOrAdmin(scope) => format!("{} or admin key", scope.as_str()),
                Access::Admin => "admin key".to_owned(),
            };
            format!("{} {}` ({needs})", route.method, route.path)
        })
        .collect();
    assert_eq!(documented, served.iter().map(String::as_str).collect());
}

#[tokio::test]
async fn a_webhook_is_documented_field_by_field() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/api.md")).unwrap();
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let shown = world.get(&format!("/v1/webhooks/{webhook}")).await.body;
    let delivery = world.delivery("order-1", webhook, State::Ended(End::Exhausted)).await;
    let delivery = world.get(&format!("/v1/deliveries/{delivery}")).await.body;
    let event = world.get("/v1/events/order-1").await.body;
    let project = world.call_as(ADMIN, "GET", "/v1/projects/acme", None).await.body;
    let keys = world.get("/v1/api-keys").await.body;
    let types = world.get("/v1/event-types").await.body;
    let events = world.get("/v1/events").await.body;
    assert_eq!(events["data"][0]["id"], "order-1");
    for answer in [
        &shown,
        &delivery,
        &delivery["attempts"][0],
        &event,
        &events["data"][0],
        &project,
        &keys["data"][0],
        &types["data"][0],
    ] {
        for field in answer.as_object().map(|fields| fields.keys().collect::<Vec<_>>()).unwrap_or_default() {
            assert!(page.contains(&format!("`{field}`")), "docs/api.md does not say what `{field}` is");
        }
    }
    assert_ne!(delivery["attempts"], Value::Null);
}
