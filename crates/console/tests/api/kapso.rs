//! The API that Kapso's clients know.

use fanfare_core::delivery::End;
use fanfare_testkit::{Receiver, Reply};
use serde_json::{Value, json};

use crate::world::{ADMIN, Answer, MANAGER, READER, State, World};

const ALL: &str = "/platform/v1/whatsapp/webhooks";
const OF_NUMBER: &str = "/platform/v1/whatsapp/phone_numbers/100200300400500/webhooks";

fn hook(events: &[&str]) -> Value {
    json!({"whatsapp_webhook": {"url": "https://127.0.0.1:1/kapso", "events": events}})
}

async fn create(world: &World, path: &str, body: Value) -> Value {
    let answer = world.call("POST", path, Some(body)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["data"].clone()
}

fn error(answer: &Answer) -> (u16, &str) {
    assert_eq!(answer.headers["content-type"], "application/json", "{}", answer.body);
    assert_eq!(answer.body.as_object().unwrap().len(), 1, "{}", answer.body);
    assert!(answer.body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", answer.body);
    (answer.status, answer.body["error"]["code"].as_str().unwrap())
}

#[tokio::test]
async fn a_webhook_has_every_field_of_the_resource() {
    let world = World::new().await;
    let created = create(&world, OF_NUMBER, hook(&["whatsapp.message.received"])).await;
    let expected = json!({
        "id": created["id"],
        "url": "https://127.0.0.1:1/kapso",
        "kind": "kapso",
        "events": ["whatsapp.message.received"],
        "active": true,
        "headers": {},
        "payload_version": "v2",
        "buffer_enabled": false,
        "buffer_window_seconds": null,
        "max_buffer_size": null,
        "buffer_events": [],
        "inactivity_minutes": null,
        "project_id": "acme",
        "phone_number_id": "100200300400500",
        "created_at": created["created_at"],
        "updated_at": created["created_at"],
        "secret_key": created["secret_key"],
    });
    assert_eq!(created, expected);
    assert!(created["secret_key"].as_str().unwrap().starts_with("whsec_"));
    let read = world.get(&format!("{OF_NUMBER}/{}", created["id"].as_str().unwrap())).await.body["data"].clone();
    let mut without_secret = expected;
    without_secret["secret_key"] = Value::Null;
    assert_eq!(read, without_secret);
}

#[tokio::test]
async fn errors_have_kapsos_shape_whatever_is_wrong() {
    let world = World::new().await;
    for (method, path, body, expected) in [
        ("POST", ALL, json!({"webhook": {"url": "x"}}), (400, "missing_parameter")),
        ("POST", ALL, json!({"whatsapp_webhook": "x"}), (400, "missing_parameter")),
        ("POST", ALL, json!("{"), (400, "malformed_json")),
        ("POST", ALL, json!([]), (400, "invalid_body")),
        ("POST", ALL, json!({"whatsapp_webhook": {}}), (422, "validation_failed")),
        ("POST", ALL, hook(&[]), (422, "validation_failed")),
        ("POST", ALL, hook(&["whatsapp.message.received"]), (422, "phone_number_id_needed")),
        ("POST", ALL, hook(&["whatsapp.conversation.x"]), (422, "phone_number_id_needed")),
        ("POST", ALL, hook(&["whatsapp.**"]), (422, "phone_number_id_needed")),
        (
            "POST",
            ALL,
            json!({"whatsapp_webhook": {"url": "https://10.0.0.1/", "events": ["a"]}}),
            (422, "validation_failed"),
        ),
        ("GET", "/platform/v1/whatsapp/webhooks?page=0", Value::Null, (400, "invalid_parameter")),
        ("GET", "/platform/v1/whatsapp/webhooks/x", Value::Null, (404, "not_found")),
        ("GET", "/platform/v1/customers", Value::Null, (404, "no_such_path")),
        ("PUT", ALL, json!({}), (405, "method_not_allowed")),
    ] {
        let answer = world.call(method, path, Some(body.clone()).filter(|body| !body.is_null())).await;
        assert_eq!(error(&answer), expected, "{method} {path} {body}: {}", answer.body);
    }
    let mut buffered = hook(&["whatsapp.message.received"]);
    buffered["whatsapp_webhook"]["buffer_enabled"] = json!(true);
    let refused = world.call("POST", OF_NUMBER, Some(buffered)).await;
    assert_eq!(error(&refused), (422, "validation_failed"));
    assert!(refused.body["error"]["message"].as_str().unwrap().contains("buffer_enabled"), "{}", refused.body);
    let ours = world.get("/v1/webhooks/x").await;
    assert_eq!((ours.status, ours.code()), (404, "not-found"), "outside the adapter problems stay problems");
}

#[tokio::test]
async fn duplicates_are_allowed_here_and_refused_by_ours() {
    let world = World::new().await;
    let one = create(&world, ALL, hook(&["project.event"])).await;
    let two = create(&world, ALL, hook(&["project.event"])).await;
    assert_ne!(one["id"], two["id"]);
    let ours = json!({"url": "https://127.0.0.1:1/kapso", "events": ["order.paid"]});
    for id in [&one["id"], &two["id"]] {
        let refused = world.call("POST", "/v1/webhooks", Some(ours.clone())).await;
        assert_eq!((refused.status, refused.code()), (409, "webhook-exists"), "{}", refused.body);
        let path = format!("{ALL}/{}", id.as_str().unwrap());
        assert_eq!(world.call("DELETE", &path, None).await.status, 204);
    }
    assert_eq!(world.call("POST", "/v1/webhooks", Some(ours)).await.status, 201);
}

#[tokio::test]
async fn scopes_and_numbers_are_kept_apart() {
    let world = World::new().await;
    let mut of_number = hook(&["whatsapp.message.received", "whatsapp.config.created"]);
    of_number["whatsapp_webhook"]["phone_number_id"] = json!("100200300400500");
    let created = create(&world, ALL, of_number).await;
    assert_eq!(created["events"], json!(["whatsapp.message.received", "whatsapp.phone_number.created"]));
    let id = created["id"].as_str().unwrap();
    assert_eq!(world.get(&format!("{OF_NUMBER}/{id}")).await.status, 200);
    let other = OF_NUMBER.replace("100200300400500", "2");
    for method in ["GET", "PATCH", "DELETE"] {
        let answer =
            world.call(method, &format!("{other}/{id}"), Some(hook(&["a"])).filter(|_| method == "PATCH")).await;
        assert_eq!(error(&answer), (404, "not_found"), "{method}");
    }
    let project = create(&world, ALL, hook(&["project.event"])).await;
    let path = format!("{ALL}/{}", project["id"].as_str().unwrap());
    let widened = json!({"whatsapp_webhook": {"events": ["whatsapp.message.read"]}});
    assert_eq!(error(&world.call("PATCH", &path, Some(widened)).await), (422, "phone_number_id_needed"));
    assert_eq!(world.get(ALL).await.body["meta"]["total_count"], 2);
    assert_eq!(world.get(OF_NUMBER).await.body["meta"]["total_count"], 1);
    assert_eq!(world.get(&other).await.body["data"], json!([]));
}

#[tokio::test]
async fn a_pause_reads_as_inactive_and_patching_active_ends_it() {
    let world = World::new().await;
    let created = create(&world, OF_NUMBER, hook(&["whatsapp.conversation.inactive"])).await;
    assert_eq!(created["inactivity_minutes"], 60);
    let path = format!("{OF_NUMBER}/{}", created["id"].as_str().unwrap());
    world.pause(created["id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!(world.get(&path).await.body["data"]["active"], false);
    assert_eq!(world.get(&format!("{ALL}?active=false")).await.body["meta"]["total_count"], 1);
    let sent = json!({"whatsapp_webhook": {"active": true, "inactivity_minutes": 30, "headers": {"X-Tenant": "blue"}}});
    let patched = world.call("PATCH", &path, Some(sent)).await;
    assert_eq!((patched.status, &patched.body["data"]["active"]), (200, &json!(true)), "{}", patched.body);
    assert_eq!(patched.body["data"]["inactivity_minutes"], 30);
    assert_eq!(patched.body["data"]["headers"], json!({"X-Tenant": "***"}));
    assert_eq!(world.get(&path).await.body["data"]["active"], true);
    assert_eq!(world.get(&format!("{ALL}?active=false")).await.body["meta"]["total_count"], 0);
    // A client that sends back what it read changes nothing.
    let read = world.get(&path).await.body["data"].clone();
    let again = world.call("PATCH", &path, Some(json!({"whatsapp_webhook": read}))).await;
    assert_eq!((again.status, &again.body["data"]), (200, &read), "{}", again.body);
}

#[tokio::test]
async fn secrets_are_shown_where_the_project_says_so_and_replaced_with_an_overlap() {
    let world = World::new().await;
    let mut own = hook(&["whatsapp.message.read"]);
    own["whatsapp_webhook"]["secret_key"] = json!("my own secret 1");
    let created = create(&world, OF_NUMBER, own).await;
    assert_eq!(created["secret_key"], "my own secret 1");
    let path = format!("{OF_NUMBER}/{}", created["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.body["data"]["secret_key"], Value::Null);
    let says = world.call_as(ADMIN, "PATCH", "/v1/projects/acme", Some(json!({"secrets_in_reads": true}))).await;
    assert_eq!((says.status, &says.body["secrets_in_reads"]), (200, &json!(true)), "{}", says.body);
    let new = json!({"whatsapp_webhook": {"secret_key": "my own secret 2"}});
    assert_eq!(world.call("PATCH", &path, Some(new)).await.status, 200);
    let shown = world.call_as(MANAGER, "GET", &path, None).await.body["data"]["secret_key"].clone();
    assert_eq!(shown, "my own secret 2");
    assert_eq!(world.call_as(READER, "GET", &path, None).await.body["data"]["secret_key"], Value::Null);
    let ours = world.get(&format!("/v1/webhooks/{}", created["id"].as_str().unwrap())).await.body;
    assert!(ours["previous_secret_until"].is_string(), "the one before signs beside it: {ours}");
    let short = world.call("PATCH", &path, Some(json!({"whatsapp_webhook": {"secret_key": "short"}}))).await;
    assert_eq!(error(&short), (422, "validation_failed"));
}

#[tokio::test]
async fn a_test_takes_its_type_from_the_body_or_the_query_also_by_its_name_in_v1() {
    let world = World::new().await;
    let receiver = Receiver::http(|_| Reply::Status(500)).await;
    let mut fields = hook(&["project.event", "whatsapp.phone_number.created"]);
    fields["whatsapp_webhook"]["url"] = json!(receiver.url("/"));
    let created = create(&world, ALL, fields).await;
    let path = format!("{ALL}/{}/test", created["id"].as_str().unwrap());
    let created_event = "whatsapp.phone_number.created";
    for (query, body, expected) in [
        ("", Value::Null, "project.event"),
        ("?event_type=whatsapp.phone_number.created", Value::Null, created_event),
        ("", json!({"event_type": "whatsapp.config.created"}), created_event),
        ("?event_type=project.event", json!({"event_type": created_event}), created_event),
    ] {
        let answer = world.call("POST", &format!("{path}{query}"), Some(body).filter(|body| !body.is_null())).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(
            (&answer.body["data"]["success"], &answer.body["data"]["status_code"]),
            (&json!(false), &json!(500))
        );
        let sent = receiver.so_far();
        assert_eq!(sent.last().unwrap().header("x-webhook-event"), expected);
    }
    let other = world.call("POST", &format!("{path}?event_type=order.paid"), None).await;
    assert_eq!(error(&other), (422, "not_subscribed"));
}

#[tokio::test]
async fn deliveries_are_listed_by_cursors_and_by_pages() {
    let world = World::new().await;
    let webhook = world.some_webhook().await;
    let ends = [State::Ended(End::Exhausted), State::Ended(End::Delivered), State::Ended(End::Expired), State::Gated];
    let mut ids = Vec::new();
    for (number, state) in ends.into_iter().enumerate() {
        ids.push(world.delivery(&format!("order-{number}"), webhook, state).await.to_string());
    }
    ids.reverse();
    let list = "/platform/v1/webhook_deliveries";
    let of = |answer: &Answer| -> Vec<String> {
        let rows = answer.body["data"].as_array().unwrap();
        rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = world.get(list).await;
    assert_eq!(of(&all), ids);
    let statuses: Vec<&Value> = all.body["data"].as_array().unwrap().iter().map(|row| &row["status"]).collect();
    assert_eq!(statuses, ["pending", "failed", "delivered", "failed"]);
    assert_eq!(all.body["meta"], json!({"page": 1, "per_page": 20, "total_pages": 1, "total_count": 4}));
    let row = &all.body["data"][1];
    assert_eq!(row["webhook_url"], "https://127.0.0.1:1/hooks");
    assert_eq!(
        (&row["event"], &row["attempt_count"], &row["response_status"]),
        (&json!("order.paid"), &json!(1), &json!(500))
    );
    assert!(row["failed_at"].is_string() && row["delivered_at"].is_null() && row["whatsapp_config_id"].is_null());

    for (query, expected) in [
        ("status=failed", vec![1, 3]),
        ("status=delivered&period=30d", vec![2]),
        ("status=pending", vec![0]),
        ("errors_only=true", vec![1, 3]),
        ("errors_only=true&status=delivered", vec![]),
        ("event=order.paid&limit=1", vec![0]),
        ("event=order.lost", vec![]),
        ("page=2&per_page=3", vec![3]),
        ("page=9", vec![]),
    ] {
        let expected: Vec<&String> = expected.into_iter().map(|index: usize| &ids[index]).collect();
        assert_eq!(of(&world.get(&format!("{list}?{query}")).await).iter().collect::<Vec<_>>(), expected, "{query}");
    }
    let first = world.get(&format!("{list}?limit=3")).await;
    assert_eq!((of(&first).as_slice(), &first.body["paging"]["previous"]), (&ids[..3], &Value::Null));
    let second = world.get(first.body["paging"]["next"].as_str().unwrap()).await;
    assert_eq!((of(&second).as_slice(), &second.body["paging"]["next"]), (&ids[3..], &Value::Null));
    assert_eq!(second.body["meta"]["page"], 2);
    let back = world.get(second.body["paging"]["previous"].as_str().unwrap()).await;
    assert_eq!(of(&back), ids[..3]);
    let cursor = first.body["paging"]["cursors"]["after"].as_str().unwrap();
    assert_eq!(of(&world.get(&format!("{list}?limit=3&after={cursor}")).await), ids[3..]);
}
