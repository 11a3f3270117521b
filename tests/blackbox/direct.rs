//! Events published straight to NATS: what JetStream has acknowledged arrives, what is no event is rejected with the reason.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use async_nats::jetstream;
use fanfare_testkit::{Engine, Fanfare, Received, Receiver, Reply, Servers};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::receivers::{node_beside_clients, python, root, target};
use crate::samples::webhook;

/// Short times, so that what a killed process held is taken over soon.
const QUICK: [(&str, &str); 1] = [("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s")];

/// A producer's connection.
pub(crate) async fn connect(servers: &Servers) -> jetstream::Context {
    jetstream::new(async_nats::connect(servers.nats.url()).await.unwrap())
}

/// Publishes as a producer does, and waits until JetStream has acknowledged it.
pub(crate) async fn publish(stream: &jetstream::Context, event_type: &str, body: &Value) {
    let subject = format!("fanfare.events.default.{event_type}");
    stream.publish(subject, body.to_string().into()).await.unwrap().await.unwrap();
}

/// The reasons for the rejections so far, by the published subject.
pub(crate) async fn rejections(stream: &jetstream::Context) -> BTreeMap<String, (String, Value)> {
    let rejected = stream.get_stream("FANFARE_REJECTED").await.unwrap();
    let state = &rejected.cached_info().state;
    let mut found = BTreeMap::new();
    // A stream that never had a message begins at 0, where there is none.
    for sequence in state.first_sequence.max(1)..=state.last_sequence {
        let message = rejected.get_raw_message(sequence).await.unwrap();
        let about: Value = serde_json::from_str(&rejection(&message.headers)).unwrap();
        let body = String::from_utf8_lossy(&message.payload).into_owned();
        found.insert(about["subject"].as_str().unwrap().to_owned(), (body, about));
    }
    found
}

/// What is said of a rejected message, as JSON.
pub(crate) fn rejection(headers: &async_nats::HeaderMap) -> String {
    percent(&headers.get("Fanfare-Rejection").unwrap().as_str().replace('%', "\\x"))
}

/// Undoes the encoding of a header, of which these tests use what is ASCII.
fn percent(text: &str) -> String {
    let mut parts = text.split("\\x");
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        decoded.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        decoded.push_str(rest);
    }
    decoded
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_straight_to_nats_arrives_or_is_rejected_with_the_reason() {
    let servers = Servers::start().await;
    let mut members = Vec::new();
    for role in ["console", "ingest", "fanout", "delivery"] {
        members.push(Fanfare::start_role(role, &servers, &QUICK).await);
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[0].create_webhook(webhook(&receiver.url("/"))).await;
    let stream = connect(&servers).await;

    publish(&stream, "order.paid", &json!({"id": "order-1", "data": {"b": 1.0, "a": [2]}})).await;
    publish(&stream, "order.paid", &json!({"id": "order-1", "data": {"b": 1, "a": [2]}})).await;
    publish(&stream, "order.paid", &json!({"data": {"without": "an id"}})).await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("ce-id", "order-2");
    headers.insert("ce-subject", "caf%C3%A9%20%F0%9F%99%82");
    let subject = "fanfare.events.default.order.binary".to_owned();
    stream.publish_with_headers(subject, headers, "{\"mode\":\"binary\"}".into()).await.unwrap().await.unwrap();

    let refused = [
        ("order.conflict", json!({"id": "order-1", "data": {"b": 3}}), "$.id", "another event was accepted"),
        ("order.other", json!({"type": "order.paid", "data": {}}), "$.type", "must be order.other"),
        ("order.empty", json!({"id": "order-3"}), "$.data", "required"),
        ("order.id", json!({"id": "a b", "data": {}}), "$.id", "must be"),
        ("fanfare.webhook.paused", json!({"data": {}}), "subject (type)", "must not begin with fanfare."),
    ];
    for (event_type, body, _, _) in &refused {
        publish(&stream, event_type, body).await;
    }
    stream.publish("fanfare.events.nobody.x", "{}".into()).await.unwrap().await.unwrap();

    let requests = receiver.received(3).await;
    let bodies: HashSet<&[u8]> = requests.iter().map(|request| &request.body[..]).collect();
    let expected: [&[u8]; 3] = [br#"{"b":1,"a":[2]}"#, br#"{"without":"an id"}"#, br#"{"mode":"binary"}"#];
    assert_eq!(bodies, HashSet::from(expected));
    members[0].eventually("/v1/events/order-2", |_, shown| shown["subject"] == "caf\u{e9} \u{1F642}").await;

    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let rejected = loop {
        ticks.tick().await;
        let found = rejections(&stream).await;
        if found.len() == refused.len() + 1 {
            break found;
        }
    };
    for (event_type, body, field, reason) in &refused {
        let (kept, about) = &rejected[&format!("fanfare.events.default.{event_type}")];
        assert_eq!(*kept, body.to_string());
        assert_eq!(about["field"], *field, "{about}");
        assert!(about["reason"].as_str().unwrap().contains(reason), "{about}");
    }
    let (_, about) = &rejected["fanfare.events.nobody.x"];
    assert_eq!(about["reason"], "there is no project nobody");
    let counted = |result| format!("fanfare_ingest_events_total{{result=\"{result}\"}}");
    assert_eq!(members[1].metric(&counted("accepted")).await, 3.0);
    assert_eq!(members[1].metric(&counted("duplicate")).await, 1.0);
    assert_eq!(members[1].metric(&counted("conflict")).await, 1.0);
    assert_eq!(members[1].metric(&counted("invalid")).await, 5.0);
    assert_eq!(receiver.so_far().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_ingest_being_killed_and_is_accepted_once() {
    const EVENTS: usize = 600;
    let servers = Servers::start().await;
    let mut members = Vec::new();
    for role in ["console", "fanout", "delivery", "ingest", "ingest"] {
        members.push(Fanfare::start_role(role, &servers, &QUICK).await);
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[0].create_webhook(webhook(&receiver.url("/"))).await;
    let stream = connect(&servers).await;
    for number in 0..EVENTS {
        // Half of them without an id of their own.
        let id = if number % 2 == 0 { json!(format!("order-{number}")) } else { Value::Null };
        publish(&stream, "order.paid", &json!({"id": id, "data": {"n": number}})).await;
        if number % 100 == 50 {
            let ingest = 3 + number / 100 % 2;
            members[ingest].kill().await;
            members[ingest].start_again().await;
        }
    }
    let all = |requests: &[Received]| {
        let numbers: HashSet<u64> = requests
            .iter()
            .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap()["n"].as_u64().unwrap())
            .collect();
        numbers.len() == EVENTS
    };
    let requests = receiver.until("every event", all).await;
    assert_eq!(requests.len(), EVENTS, "taking in again makes no second event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_whose_line_is_crowded_waits_in_the_intake_and_nothing_of_it_is_refused() {
    const EVENTS: usize = 300;
    let servers = Servers::start().await;
    let settings = [QUICK[0], ("FANFARE_INGEST_MAX_PROJECT_BACKLOG", "320")];
    let console = Fanfare::start_role("console", &servers, &QUICK).await;
    let ingest = Fanfare::start_role("ingest", &servers, &settings).await;
    let mut fanout = Fanfare::start_role("fanout", &servers, &QUICK).await;
    let _delivery = Fanfare::start_role("delivery", &servers, &QUICK).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    console.create_webhook(webhook(&receiver.url("/"))).await;
    let stream = connect(&servers).await;
    let messages = async |name: &str| stream.get_stream(name).await.unwrap().cached_info().state.messages;

    // Nobody fans out: twenty go into the log, and what comes in the same turn as the last of them.
    fanout.kill().await;
    for number in 0..EVENTS {
        publish(&stream, "order.paid", &json!({"id": format!("order-{number}"), "data": {"n": number}})).await;
    }
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    while messages("FANFARE_EVENTS").await < 20 {
        ticks.tick().await;
    }
    // The gauge follows once a second.
    while ingest.metric("fanfare_intake_waiting").await < 200.0 {
        ticks.tick().await;
    }
    assert!(messages("FANFARE_INTAKE").await >= 200);

    fanout.start_again().await;
    receiver.received(EVENTS).await;
    while messages("FANFARE_INTAKE").await > 0 {
        ticks.tick().await;
    }
    assert_eq!(ingest.metric("fanfare_ingest_events_total{result=\"accepted\"}").await, EVENTS as f64);
    assert!(rejections(&stream).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_request_is_answered_as_the_docs_say_of_the_nats_tool() {
    let servers = Servers::start().await;
    let _ingest = Fanfare::start_role("ingest", &servers, &QUICK).await;
    let client = async_nats::connect(servers.nats.url()).await.unwrap();
    let body = r#"{"id": "order-1000-paid", "data": {"order": "1000", "total": 12.5}}"#;
    let docs = std::fs::read_to_string(root().join("docs/publish.md")).unwrap();
    assert!(docs.contains(&format!("nats request fanfare.events.default.order.paid '{body}'")));
    let answer = client.request("fanfare.events.default.order.paid", body.into()).await.unwrap();
    let said = std::str::from_utf8(&answer.payload).unwrap();
    assert!(docs.contains(&format!("It prints `{said}`")), "docs/publish.md does not show {said}");
}

/// Runs a sample of docs/publish.md and waits for its event.
async fn sample_publishes(mut command: Command, id: &str) {
    let mut fanfare = Fanfare::start_on(Engine::Distributed, &QUICK).await;
    let url = fanfare.servers().unwrap().nats.url();
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    fanfare.create_webhook(webhook(&receiver.url("/"))).await;
    let output = command.env("NATS_URL", url).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.starts_with(&format!("kept {id} at ")), "{said}");
    let requests = receiver.received(1).await;
    assert_eq!(requests[0].headers["x-webhook-event"], "order.paid");
    fanfare.eventually(&format!("/v1/events/{id}"), |status, _| status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sample_publishes() {
    let mut command = Command::new(python());
    command.arg(root().join("docs/publishers/python.py"));
    sample_publishes(command, "order-1001-paid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_sample_publishes() {
    sample_publishes(node_beside_clients("docs/publishers/node.mjs", "publish.mjs"), "order-1002-paid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_sample_publishes() {
    sample_publishes(Command::new(target().join("fanfare-publisher-example")), "order-1004-paid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_go_sample_publishes() {
    sample_publishes(Command::new(go_sample().await), "order-1003-paid").await;
}

/// Builds the Go sample with the client that Debian brings, else with one that Go fetches.
async fn go_sample() -> PathBuf {
    let dir = tempfile::tempdir().unwrap().keep();
    std::fs::copy(root().join("docs/publishers/go/main.go"), dir.join("main.go")).unwrap();
    let (packaged, binary) = (Path::new("/usr/share/gocode"), target().join("publish-go"));
    let go = async |arguments: &[&str]| {
        let mut go = Command::new("go");
        go.args(arguments).current_dir(&dir).env("GOCACHE", target().join("go-cache"));
        if packaged.join("src/github.com/nats-io/nats.go").exists() {
            go.env("GO111MODULE", "off").env("GOPATH", packaged);
        }
        let output = go.output().await.unwrap();
        assert!(output.status.success(), "go {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    if !packaged.join("src/github.com/nats-io/nats.go").exists() {
        go(&["mod", "init", "publish"]).await;
        go(&["get", "github.com/nats-io/nats.go@v1.22.1"]).await;
    }
    go(&["build", "-o", &binary.to_string_lossy(), "main.go"]).await;
    std::fs::remove_dir_all(&dir).unwrap();
    binary
}

#[test]
fn the_docs_show_the_samples_of_publishing_as_they_are() {
    let docs = std::fs::read_to_string(root().join("docs/publish.md")).unwrap();
    for (language, file) in
        [("python", "python.py"), ("js", "node.mjs"), ("go", "go/main.go"), ("rust", "rust/src/main.rs")]
    {
        let sample = std::fs::read_to_string(root().join("docs/publishers").join(file)).unwrap();
        assert!(docs.contains(&format!("```{language}\n{sample}```")), "docs/publish.md does not show {file} as it is");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_intake_refuses_and_recovers_and_data_over_its_bound_is_rejected() {
    let servers = Servers::start().await;
    let console = Fanfare::start_role("console", &servers, &QUICK).await;
    let settings = [QUICK[0], ("FANFARE_DISTRIBUTED_INTAKE_MAX_MESSAGES_PER_TYPE", "5")];
    let apply = [settings[0], settings[1], ("FANFARE_DISTRIBUTED_APPLY", "true")];
    let mut ingest = Fanfare::start_role("ingest", &servers, &apply).await;
    let _fanout = Fanfare::start_role("fanout", &servers, &apply).await;
    let _delivery = Fanfare::start_role("delivery", &servers, &apply).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    console.create_webhook(webhook(&receiver.url("/"))).await;
    let stream = connect(&servers).await;

    // Nobody takes anything in: five fit, the sixth is refused, another type is not concerned.
    ingest.kill().await;
    for number in 0..5 {
        publish(&stream, "order.paid", &json!({"id": format!("order-{number}"), "data": {}})).await;
    }
    let sixth = stream.publish("fanfare.events.default.order.paid", r#"{"data":{}}"#.into()).await.unwrap().await;
    assert!(sixth.unwrap_err().to_string().contains("maximum messages per subject exceeded"));
    publish(&stream, "order.sent", &json!({"id": "order-sent", "data": {}})).await;
    ingest.start_again().await;
    receiver.received(6).await;
    publish(&stream, "order.paid", &json!({"id": "order-5", "data": {}})).await;
    receiver.received(7).await;

    // 256 KiB of data, and one byte past it.
    let data = |bytes: usize| json!({"x": "x".repeat(bytes - r#"{"x":""}"#.len())});
    publish(&stream, "order.large", &json!({"id": "largest", "data": data(256 * 1024)})).await;
    assert_eq!(receiver.received(8).await[7].body.len(), 256 * 1024);
    publish(&stream, "order.larger", &json!({"id": "larger", "data": data(256 * 1024 + 1)})).await;
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    while ingest.metric("fanfare_ingest_events_total{result=\"too_large\"}").await < 1.0 {
        ticks.tick().await;
    }
    let (_, about) = &rejections(&stream).await["fanfare.events.default.order.larger"];
    assert_eq!(about["field"], "$.data", "{about}");
}
