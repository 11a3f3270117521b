//! The document of the API and the code, held to each other both ways. That each answer and each accepted request of all other
//! tests is as the document says is seen to by [`World::send`](crate::world::World::send).

use std::collections::BTreeSet;

use fanfare_core::delivery::End;
use fanfare_http::{Access, RouteInfo};
use serde_json::{Map, Value, json};

use crate::routes::{NUMBER, both, served};
use crate::world::{ADMIN, CONTRACT, STRANGER, State, World};

/// The operations, each with its method and path.
fn operations() -> Vec<(String, &'static str, &'static Value)> {
    CONTRACT.operations().collect()
}

fn names(of: &Value, place: &str) -> BTreeSet<String> {
    let parameters = of["parameters"].as_array().into_iter().flatten();
    let placed = parameters.filter(|parameter| parameter["in"] == place);
    placed.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_route_is_in_the_document_with_its_parameters_and_who_may_call_it_and_no_other() {
    let documented: BTreeSet<String> =
        operations().iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let routes: BTreeSet<String> = served().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(documented, routes);
    let said: Vec<_> =
        [fanfare_ingest::openapi(), fanfare_console::openapi()].into_iter().flat_map(|part| part.operations).collect();
    assert_eq!(said.len(), routes.len(), "an operation is said twice, or is of no route");
    let ids: BTreeSet<&str> = said.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), said.len(), "two operations have one id");

    for RouteInfo { method, path, access, query } in served() {
        let (_, _, operation) =
            operations().into_iter().find(|(other, at, _)| other == method.as_str() && *at == path).unwrap();
        let asked: BTreeSet<String> = query.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names(operation, "query"), asked, "{method} {path}");
        let in_path: BTreeSet<String> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(str::to_owned).collect();
        assert_eq!(names(operation, "path"), in_path, "{method} {path}");
        let security = operation["security"].to_string();
        let (of_project, of_admin) = match access {
            Access::Key(scope) => (Some(scope), false),
            Access::KeyOrAdmin(scope) => (Some(scope), true),
            Access::Admin => (None, true),
        };
        let scope = of_project.map(|scope| format!("{{\"apiKey\":[\"{}\"]}}", scope.as_str()));
        assert!(scope.is_none_or(|scope| security.contains(&scope)), "{method} {path}: {security}");
        assert_eq!(security.contains("adminKey"), of_admin, "{method} {path}: {security}");
    }
}

/// Every reference in a value.
fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn references_and_links_lead_somewhere_and_nothing_is_left_over() {
    let document = CONTRACT.document();
    let mut found = Vec::new();
    references(document, &mut found);
    let found: BTreeSet<&str> = found.into_iter().collect();
    for kind in ["schemas", "responses"] {
        let named = document["components"][kind].as_object().unwrap().keys();
        for name in named.map(|name| format!("#/components/{kind}/{name}")) {
            assert!(found.contains(name.as_str()), "{name} is not used");
        }
    }
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let by_id = |id: &Value| operations().into_iter().find(|(_, _, operation)| operation["operationId"] == *id);
    for part in [fanfare_ingest::openapi(), fanfare_console::openapi()] {
        for link in part.operations.iter().flat_map(|operation| &operation.answers).flat_map(|answer| &answer.links) {
            let (_, _, target) = by_id(&json!(link.operation)).unwrap_or_else(|| panic!("{link:?} leads nowhere"));
            let takes: BTreeSet<String> = names(target, "path").union(&names(target, "query")).cloned().collect();
            for (name, _) in &link.parameters {
                assert!(takes.contains(*name), "{link:?}");
            }
        }
    }
}

#[test]
fn every_example_is_as_its_schema_says() {
    let mut count = 0;
    for (method, path, operation) in operations() {
        let responses =
            operation["responses"].as_object().unwrap().values().map(|response| CONTRACT.resolved(response));
        let contents = responses.map(|response| &response["content"]).chain([&operation["requestBody"]["content"]]);
        for content in contents.filter_map(Value::as_object).flat_map(Map::values) {
            let several = content["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
            let examples: Vec<&Value> = several.chain(content.get("example")).collect();
            assert!(!examples.is_empty(), "{method} {path} has a body without an example");
            for example in examples {
                CONTRACT
                    .check_value(&content["schema"], example)
                    .unwrap_or_else(|wrong| panic!("{method} {path}: {wrong}"));
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn every_code_is_in_the_reference_and_every_code_of_the_reference_is_in_the_document() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/api.md")).unwrap();
    let all = CONTRACT.document().to_string();
    let codes: BTreeSet<&str> = all
        .split("urn:fanfare:problem:")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|code| !code.starts_with('['))
        .collect();
    for code in &codes {
        assert!(page.contains(&format!("`{code}`")), "docs/api.md does not have {code}");
    }
    // In the table of codes, and where a status stands before them.
    let table = page.lines().filter(|line| line.starts_with("| 4") || line.starts_with("| 5"));
    for line in table {
        for code in line.split('`').skip(1).step_by(2).filter(|code| code.contains('-')) {
            // The method is not any operation's.
            let known = codes.contains(code) || code == "method-not-allowed";
            assert!(known || ["Retry-After"].contains(&code), "the document does not have {code}");
        }
    }
}

/// Where things are that the requests of the documented examples are made to.
struct Things {
    world: World,
    webhook: String,
    of_number: String,
    own_type: String,
    key: String,
}

impl Things {
    async fn new() -> Self {
        let mut world = World::new().await;
        world.router = both(&world);
        let webhook = world.webhook(json!({"url": "https://127.0.0.1:1/there", "events": ["order.paid"]})).await;
        let webhook = webhook["id"].as_str().unwrap().to_owned();
        let of_number = json!({"url": "https://127.0.0.1:1/number", "events": ["order.paid"], "source": NUMBER});
        let of_number = world.webhook(of_number).await["id"].as_str().unwrap().to_owned();
        let own = json!({"type": "stock.counted", "title": "Counted", "sample": {}});
        assert_eq!(world.call("POST", "/v1/event-types", Some(own)).await.status, 201);
        let key = world.call("POST", "/v1/api-keys", Some(json!({"name": "spare", "scopes": ["read"]}))).await;
        let key = key.body["id"].as_str().unwrap().to_owned();
        Self { world, webhook, of_number, own_type: "stock.counted".to_owned(), key }
    }

    fn path(&self, template: &str) -> String {
        let id = match template {
            path if path.starts_with("/v1/api-keys/") => &self.key,
            // Its networks are taken away; those of `acme` are needed.
            path if path.starts_with("/v1/projects/") => "other",
            path if path.contains("{phone_number_id}") => &self.of_number,
            _ => &self.webhook,
        };
        template.replace("{id}", id).replace("{type}", &self.own_type).replace("{phone_number_id}", NUMBER)
    }

    /// A key that may call an operation.
    fn key(operation: &Value) -> &'static str {
        let security = operation["security"].to_string();
        match security.contains("apiKey") {
            true if security.contains("publish") => crate::world::PUBLISHER,
            true => crate::world::MANAGER,
            false => ADMIN,
        }
    }
}

/// The URL of an example, made to be one that the tests' project may reach.
fn on_loopback(body: &mut Value, number: usize) {
    match body {
        Value::Object(fields) => {
            if fields.contains_key("url") {
                fields.insert("url".to_owned(), format!("https://127.0.0.1:1/{number}").into());
            }
            fields.values_mut().for_each(|value| on_loopback(value, number));
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The properties of an object's schema, wherever they are said.
fn properties(schema: &Value) -> BTreeSet<String> {
    let schema = CONTRACT.resolved(schema);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let parts = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|of| schema[of].as_array()).flatten();
    own.chain(parts.flat_map(properties)).collect()
}

#[tokio::test]
async fn every_example_is_accepted_and_together_they_have_every_field() {
    let things = Things::new().await;
    for (number, (method, template, operation)) in operations().into_iter().enumerate() {
        let Some(contents) = operation["requestBody"]["content"].as_object() else { continue };
        let mut given = BTreeSet::new();
        for (index, example) in contents["application/json"]["examples"].as_object().unwrap().values().enumerate() {
            let mut body = example["value"].clone();
            let enveloped = body.get("whatsapp_webhook").unwrap_or(&body);
            given.extend(enveloped.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
            on_loopback(&mut body, number * 10 + index);
            let key = Things::key(operation);
            let answer = things.world.call_as(key, &method, &things.path(template), Some(body.clone())).await;
            // The webhook's own types are not those of the catalogue, which the example of a test names.
            let not_subscribed = answer.status == 422 && template.ends_with("/test");
            assert!(answer.status < 300 || not_subscribed, "{method} {template}: {body} {:?}", answer.body);
        }
        let schema = CONTRACT.resolved(&contents["application/json"]["schema"]);
        let schema = schema["properties"].get("whatsapp_webhook").unwrap_or(schema);
        let ignored = ["id", "project_id", "created_at", "updated_at"];
        let said = properties(schema).into_iter();
        let said: BTreeSet<String> = match template.starts_with("/platform/") {
            true => said.filter(|name| !ignored.contains(&name.as_str())).collect(),
            false => said.collect(),
        };
        // Events are told apart by an attribute of one's own.
        given.remove("region");
        assert_eq!(given, said, "{method} {template}: a field has no example, or an example a field that is none");
    }
}

#[tokio::test]
async fn every_body_refuses_a_field_that_the_document_does_not_have() {
    let things = Things::new().await;
    for (number, (method, template, operation)) in operations().into_iter().enumerate() {
        let Some(contents) = operation["requestBody"]["content"].as_object() else { continue };
        let mut body =
            contents["application/json"]["examples"].as_object().unwrap().values().next().unwrap()["value"].clone();
        on_loopback(&mut body, number);
        let fields = if body.get("whatsapp_webhook").is_some() { &mut body["whatsapp_webhook"] } else { &mut body };
        fields["No_such_field"] = 7.into();
        let answer = things.world.call_as(Things::key(operation), &method, &things.path(template), Some(body)).await;
        let named = answer.body.to_string().contains("No_such_field");
        assert!(named && [400, 422].contains(&answer.status), "{method} {template}: {} {}", answer.status, answer.body);
    }
}

#[tokio::test]
async fn the_document_is_served_to_everybody_and_takes_no_parameters() {
    let mut world = World::new().await;
    let router = fanfare_http::openapi::router(CONTRACT.document());
    world.router = fanfare_http::with_fallbacks(router);
    let get = |path: &'static str| {
        let request = http::Request::get(path).body(axum::body::Body::empty()).unwrap();
        tower::ServiceExt::oneshot(world.router.clone(), request)
    };
    let answer = get("/openapi.json").await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), *CONTRACT.document());
    assert_eq!(get("/openapi.json?x=1").await.unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn an_event_with_all_that_became_of_it_is_as_the_document_says() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    for (event, state) in [
        ("order-1", State::Ended(End::Exhausted)),
        ("order-2", State::Waiting),
        ("order-3", State::Gated),
        ("order-4", State::Ended(End::Delivered)),
    ] {
        let delivery = world.delivery(event, webhook, state).await;
        for path in [format!("/v1/deliveries/{delivery}"), format!("/v1/events/{event}")] {
            assert_eq!(world.get(&path).await.status, 200, "{path}");
        }
    }
    for path in ["/v1/deliveries", "/platform/v1/webhook_deliveries", "/v1/event-types?limit=100"] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
    assert_eq!(world.call_as(STRANGER, "GET", "/v1/events/order-1", None).await.status, 404);
}
