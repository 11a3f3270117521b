//! Two projects that use the same event ids, over HTTP and NATS: neither's events are taken for the other's.

use std::collections::HashSet;

use fanfare_testkit::{Engine, Fanfare, Receiver, Reply};
use serde_json::{Value, json};

const ADMIN: &str = "admin-key-0123456789abcdef";
const EVENTS: usize = 50;

crate::on_both_engines!(both_projects_get_all_of_their_own_and_repetitions_are_told_apart);

async fn post(fanfare: &Fanfare, key: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = fanfare.client().post(fanfare.url(path)).bearer_auth(key).header("content-type", "application/json");
    let answer = request.body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

fn event(project: &str, number: usize) -> Value {
    json!({"id": format!("order-{number}"), "type": "order.paid", "subject": "s", "data": {"of": project, "n": number}})
}

/// Makes the two projects, each with a webhook for everything of its own: their names and keys.
async fn two_projects(fanfare: &Fanfare, receiver: &Receiver) -> Vec<(&'static str, String)> {
    let mut keys = Vec::new();
    for project in ["shop", "bank"] {
        let body = json!({"id": project, "egress_allow": ["127.0.0.0/8"]});
        let (status, made) = post(fanfare, ADMIN, "/v1/projects", &body).await;
        assert_eq!(status, 201, "{made}");
        let body = json!({"name": "first", "scopes": ["publish", "read", "manage"]});
        let (status, made) = post(fanfare, ADMIN, &format!("/v1/api-keys?project={project}"), &body).await;
        assert_eq!(status, 201, "{made}");
        let key = made["key"].as_str().unwrap().to_owned();
        let webhook = json!({"url": receiver.url(&format!("/{project}")), "events": ["**"]});
        let (status, made) = post(fanfare, &key, "/v1/webhooks", &webhook).await;
        assert_eq!(status, 201, "{made}");
        keys.push((project, key));
    }
    keys
}

/// Waits for all events of both, and holds each against the project whose webhook it came to.
async fn each_gets_its_own(receiver: &Receiver) {
    let requests = receiver.received(2 * EVENTS).await;
    assert_eq!(requests.len(), 2 * EVENTS);
    for project in ["shop", "bank"] {
        let own = requests.iter().filter(|request| request.path == format!("/{project}"));
        let numbers: HashSet<u64> = own
            .map(|request| {
                let data: Value = serde_json::from_slice(&request.body).unwrap();
                assert_eq!(data["of"], *project, "an event of the other project");
                data["n"].as_u64().unwrap()
            })
            .collect();
        assert_eq!(numbers.len(), EVENTS, "{project}");
    }
}

async fn both_projects_get_all_of_their_own_and_repetitions_are_told_apart(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[("FANFARE_ADMIN_KEY", ADMIN)]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let keys = two_projects(&fanfare, &receiver).await;
    // In turn, so that each id is new to one project when the other has just used it.
    for number in 0..EVENTS {
        for (project, key) in &keys {
            let (status, answer) = post(&fanfare, key, "/v1/events", &event(project, number)).await;
            assert_eq!((status, &answer["status"]), (202, &json!("accepted")), "{project}: {answer}");
        }
    }
    for (project, key) in &keys {
        let (status, answer) = post(&fanfare, key, "/v1/events", &event(project, 0)).await;
        assert_eq!((status, &answer["status"]), (202, &json!("duplicate")), "{project}: {answer}");
        let (status, answer) = post(&fanfare, key, "/v1/events", &event("neither", 0)).await;
        assert_eq!(status, 409, "{project}: {answer}");
    }
    each_gets_its_own(&receiver).await;
}

/// Publishes an event to each project in turn, straight to NATS, with headers and an id as the test says; whatever the server
/// acknowledges as the first of its message id has to arrive, and what it takes for a duplicate is published again.
async fn published_to_nats(message_id: impl Fn(&str, usize) -> Option<String>, in_body: bool) {
    let mut fanfare = Fanfare::start_on(Engine::Distributed, &[("FANFARE_ADMIN_KEY", ADMIN)]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    two_projects(&fanfare, &receiver).await;
    let stream = crate::direct::connect(fanfare.servers().unwrap()).await;
    for number in 0..EVENTS {
        for project in ["shop", "bank"] {
            let mut event = event(project, number);
            if !in_body {
                event.as_object_mut().unwrap().remove("id");
            }
            loop {
                let mut headers = async_nats::HeaderMap::new();
                if let Some(id) = message_id(project, number) {
                    headers.insert("Nats-Msg-Id", id);
                }
                let subject = format!("fanfare.events.{project}.order.paid");
                let publishing = stream.publish_with_headers(subject, headers, event.to_string().into());
                // By the next time, or the one after, the server has forgotten the other project's.
                if !publishing.await.unwrap().await.unwrap().duplicate {
                    break;
                }
            }
        }
    }
    each_gets_its_own(&receiver).await;
    let shown = "fanfare_ingest_events_total{result=\"accepted\"}";
    assert_eq!(fanfare.metric(shown).await, 2.0 * f64::from(u32::try_from(EVENTS).unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_ids_over_nats_are_each_projects_own() {
    published_to_nats(|_, _| None, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_ids_that_begin_with_the_project_never_meet() {
    published_to_nats(|project, number| Some(format!("{project}:order-{number}")), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_message_ids_of_two_projects_meet_for_a_moment_and_no_acknowledgement_hides_it() {
    published_to_nats(|_, number| Some(format!("order-{number}")), false).await;
}
