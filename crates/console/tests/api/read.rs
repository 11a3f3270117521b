//! `GET /v1/webhooks`, `/v1/webhooks/{id}`, `/v1/webhooks/{id}/secret`, `/v1/event-types`.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use fanfare_core::ports::config_store::{Expected, Key};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::world::World;

async fn several(world: &World, count: usize) -> HashSet<String> {
    let mut ids = HashSet::new();
    for number in 0..count {
        let body = json!({"url": format!("https://127.0.0.1:1/{number}"), "events": ["a"]});
        ids.insert(world.webhook(body).await["id"].as_str().unwrap().to_owned());
    }
    ids
}

#[tokio::test]
async fn pages_show_each_webhook_once_also_while_others_come_and_go() {
    let world = World::new().await;
    let ids = several(&world, 7).await;
    let (mut shown, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = world.get(&format!("/v1/webhooks?limit=3{after}")).await.body;
        let data = page["data"].as_array().unwrap();
        shown.extend(data.iter().map(|webhook| webhook["id"].as_str().unwrap().to_owned()));
        pages += 1;
        if pages == 1 {
            // The last one shown goes: what comes after it is found all the same.
            let last = shown.last().unwrap();
            assert_eq!(world.call("DELETE", &format!("/v1/webhooks/{last}"), None).await.status, 204);
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(pages, 3);
    assert_eq!(shown.len(), 7);
    assert_eq!(shown.into_iter().collect::<HashSet<_>>(), ids);
}

#[tokio::test]
async fn a_page_that_is_just_full_is_the_last() {
    let world = World::new().await;
    several(&world, 3).await;
    let page = world.get("/v1/webhooks?limit=3").await.body;
    assert_eq!((page["data"].as_array().unwrap().len(), &page["next"]), (3, &Value::Null));
}

#[tokio::test]
async fn each_wrong_parameter_is_named() {
    let world = World::new().await;
    for (query, field) in
        [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("after=x", "after"), ("page=2", "page")]
    {
        let answer = world.get(&format!("/v1/webhooks?{query}")).await;
        assert_eq!((answer.status, answer.fields()), (400, vec![field.to_owned()]), "{query}");
    }
}

#[tokio::test]
async fn reads_are_as_new_as_changes_made_by_another_process() {
    let world = World::new().await;
    let id = world.some_webhook().await;
    world.store.inner.remove(&Key::Webhook(id), Expected::Any).await.unwrap();
    assert_eq!(world.get(&format!("/v1/webhooks/{id}")).await.status, 404);
    let id = world.some_webhook().await;
    world.pause(id).await;
    let shown = world.get(&format!("/v1/webhooks/{id}")).await.body;
    assert_eq!((&shown["state"], &shown["paused_reason"]), (&json!("paused"), &json!("gone")));
    assert_eq!(shown["active"], true, "its owner did not do it");
}

#[tokio::test]
async fn the_catalogue_has_a_schema_and_a_sample_of_each_type() {
    let world = World::new().await;
    let types = world.get("/v1/event-types?limit=100").await.body;
    let data = types["data"].as_array().unwrap();
    let received = data.iter().find(|entry| entry["type"] == "whatsapp.message.received").unwrap();
    assert!(received["schema"].is_object() && received["sample"]["message"].is_object(), "{received}");
    assert_eq!(received["scope"], "number");
    assert_eq!(data.len(), 31);
    for entry in data {
        assert!(entry["sample"].is_object() && entry["schema"].is_object() && entry["title"].is_string(), "{entry}");
        assert!(entry["scope"] == "number" || entry["scope"] == "project", "{entry}");
    }
}

/// Keeps what is logged, by other tests too: a subscriber of one thread alone would miss lines that others logged first.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_secret_is_shown_to_who_asks_for_it_and_that_is_logged_and_it_is_nowhere_else() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = World::new().await;
    let body = json!({
        "url": "https://127.0.0.1:1/", "events": ["a"], "secret": "own-secret-8642!", "headers": {"X-A": "value-8642"},
    });
    let id = world.webhook(body).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhooks/{id}");

    let mut shown = vec![world.get(&path).await.body, world.get("/v1/webhooks").await.body];
    shown.push(world.call("PATCH", &path, Some(json!({"description": "d", "headers": {"X-A": "***"}}))).await.body);
    shown.push(world.call("POST", &format!("{path}/activate"), None).await.body);
    shown.push(world.call("POST", &format!("{path}/test"), None).await.body);
    for answer in shown {
        assert!(!answer.to_string().contains("secret-8642"), "{answer}");
        assert!(!answer.to_string().contains("value-8642"), "{answer}");
    }
    let answer = world.get(&format!("{path}/secret")).await;
    assert_eq!((answer.status, answer.body), (200, json!({"secret": "own-secret-8642!"})));
    assert_eq!(answer.headers["cache-control"], "no-store");

    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    let audited =
        log.lines().any(|line| line.contains("webhook.secret_read") && line.contains(&id) && line.contains("key_"));
    assert!(audited, "{log}");
    for (act, states) in [("webhook.created", &["after="][..]), ("webhook.updated", &["before=", "after="])] {
        let line = log.lines().find(|line| line.contains(act) && line.contains(&id)).unwrap_or_default();
        assert!(states.iter().all(|state| line.contains(state)), "{act}: {line}");
    }
    let description = |line: &str| {
        line.find("before=").zip(line.find("after=")).map(|(before, after)| {
            (line[before..after].contains(r#"description\":null"#), line[after..].contains(r#"description\":\"d\""#))
        })
    };
    assert!(log.lines().any(|line| description(line) == Some((true, true))), "{log}");
    // Whole words of them: four digits alone turn up in ids and times as well.
    assert!(!log.contains("secret-8642") && !log.contains("value-8642"), "{log}");
    let debug = format!("{:?}", world.console);
    assert!(!debug.contains("secret-8642") && !debug.contains("value-8642"), "{debug}");
}
