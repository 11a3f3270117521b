//! Two projects that use the same event ids: neither's events are taken for the other's.

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

async fn both_projects_get_all_of_their_own_and_repetitions_are_told_apart(engine: Engine) {
    let fanfare = Fanfare::start_on(engine, &[("FANFARE_ADMIN_KEY", ADMIN)]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let mut keys = Vec::new();
    for project in ["shop", "bank"] {
        let body = json!({"id": project, "egress_allow": ["127.0.0.0/8"]});
        let (status, made) = post(&fanfare, ADMIN, "/v1/projects", &body).await;
        assert_eq!(status, 201, "{made}");
        let body = json!({"name": "first", "scopes": ["publish", "read", "manage"]});
        let (status, made) = post(&fanfare, ADMIN, &format!("/v1/api-keys?project={project}"), &body).await;
        assert_eq!(status, 201, "{made}");
        let key = made["key"].as_str().unwrap().to_owned();
        let webhook = json!({"url": receiver.url(&format!("/{project}")), "events": ["**"]});
        let (status, made) = post(&fanfare, &key, "/v1/webhooks", &webhook).await;
        assert_eq!(status, 201, "{made}");
        keys.push((project, key));
    }
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
    let requests = receiver.received(2 * EVENTS).await;
    assert_eq!(requests.len(), 2 * EVENTS);
    for (project, _) in &keys {
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
