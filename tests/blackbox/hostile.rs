//! Every receiver that misbehaves, each with a webhook of its own, on one event: each attempt ends in its own class and time, is
//! recorded and shown whole, and the process stays small.

use fanfare_core::clock::Timestamp;
use fanfare_testkit::hostile::{Hostile, everybody};
use fanfare_testkit::{Authority, Engine, Fanfare};
use serde_json::{Value, json};

use crate::samples::order;

crate::on_both_engines! {
    each_attempt_ends_in_its_own_class_and_is_recorded,
}

/// How much memory the process may grow by while it meets them all, in KiB: each may have a buffer of 400 KiB.
const GROWTH: u64 = 96 * 1024;
/// What nobody but the receivers may see.
const MASKED: &str = "between-us";

async fn each_attempt_ends_in_its_own_class_and_is_recorded(engine: Engine) {
    let authority = Authority::new();
    let ca_file = authority.ca_file();
    let fanfare = Fanfare::start_on(engine, &[("FANFARE_EGRESS_CA_FILE", ca_file.to_str().unwrap())]).await;
    let receivers = everybody(&authority).await;
    let mut webhooks = Vec::new();
    for receiver in &receivers {
        let webhook = json!({
            "url": receiver.url(), "events": ["order.paid"], "retry_schedule": [60], "headers": {"X-Tenant-Key": MASKED},
            "timeout_seconds": if receiver.stalls { 2 } else { 30 },
        });
        webhooks.push(fanfare.create_webhook(webhook).await["id"].clone());
    }
    let before = high_water(&fanfare);
    let id = fanfare.publish(order("order-1")).await;
    let path = format!("/v1/deliveries?event_id={id}&limit=100");
    let attempted = |list: &Value| {
        let rows = list["data"].as_array().map_or(&[][..], Vec::as_slice);
        rows.len() == receivers.len() && rows.iter().all(|row| row["attempt_count"].as_u64() > Some(0))
    };
    let list = fanfare.eventually(&path, |_, list| attempted(list)).await;
    for (receiver, webhook) in receivers.iter().zip(&webhooks) {
        let row = list["data"].as_array().unwrap().iter().find(|row| row["webhook_id"] == *webhook).unwrap();
        let path = format!("/v1/deliveries/{}", row["id"].as_str().unwrap());
        let delivery = fanfare.call("GET", &path, None).await.1;
        assert_shown(receiver, &delivery);
        assert_next(receiver.name, &delivery);
    }
    for receiver in receivers.iter().filter(|receiver| receiver.closes) {
        receiver.is_left_alone().await;
    }
    let grown = high_water(&fanfare) - before;
    println!("{} receivers: memory grew by {grown} KiB", receivers.len());
    assert!(grown < GROWTH, "memory grew by {grown} KiB");
    assert!(!fanfare.log().contains("token=hidden") && !fanfare.log().contains(MASKED));
}

/// Holds the first attempt against what has to come of it, and against what the API promises of any.
fn assert_shown(receiver: &Hostile, delivery: &Value) {
    let (name, attempt) = (receiver.name, &delivery["attempts"][0]);
    assert_eq!(attempt["outcome"], receiver.outcome.as_str(), "{name}: {attempt}");
    assert_eq!(attempt["status"].as_u64(), receiver.status.map(u64::from), "{name}: {attempt}");
    match receiver.error {
        None => assert_eq!(attempt["error"], Value::Null, "{name}"),
        Some(part) => assert!(attempt["error"].as_str().unwrap().contains(part), "{name}: {attempt}"),
    }
    assert_eq!(attempt["number"], 1, "{name}");
    let duration = attempt["duration_ms"].as_f64().unwrap();
    assert!(!receiver.stalls || duration >= 2000.0, "{name} took {duration} ms");
    assert!(duration < 60_000.0, "{name} took {duration} ms");

    let phases = &attempt["phases"];
    assert_eq!(phases["connection_reused"], false, "{name}");
    let connected = !matches!(receiver.outcome.as_str(), "connect" | "tls");
    assert_eq!(phases["connect_ms"].is_number(), connected, "{name}: {phases}");
    assert_eq!(phases["first_byte_ms"].is_number(), receiver.status.is_some(), "{name}: {phases}");
    assert_eq!(phases["dns_ms"].is_number(), receiver.url().starts_with("https://localhost"), "{name}: {phases}");
    let whole = receiver.outcome.as_str() != "invalid_response" && receiver.status.is_some();
    assert!(!whole || phases["body_ms"].is_number(), "{name}: {phases}");

    let header = |of: &str, name: &str| {
        let mut headers = attempt[of].as_array().unwrap().iter();
        headers.find(|header| header["name"] == name).map(|header| header["value"].as_str().unwrap().to_owned())
    };
    assert!(header("request_headers", "x-webhook-signature").is_some(), "{name}: {attempt}");
    let masked = header("request_headers", "x-tenant-key").unwrap();
    assert!(!masked.contains(MASKED) && !delivery.to_string().contains(MASKED), "{name}");
    let body = &attempt["response_body"];
    let content = body["content"].as_str().unwrap();
    match name {
        "bytes of every kind" => {
            assert_eq!((&body["encoding"], content), (&json!("base64"), "YQD//oBi"), "{name}");
            assert_eq!(header("response_headers", "x-why").unwrap(), "caf\u{fffd}", "{name}");
        }
        "a gzip bomb" => assert_eq!((&body["encoding"], &body["truncated"]), (&json!("base64"), &json!(true))),
        "a body without end" | "a body of 300 MB" => {
            assert_eq!(
                (content.len(), &body["encoding"], &body["truncated"]),
                (16 * 1024, &json!("utf-8"), &json!(true))
            );
        }
        "200 in pieces" => assert_eq!(content, "hello"),
        "HTTP/1.0" => assert_eq!(content, "old but well"),
        "301 to a private address" => {
            assert_eq!(header("response_headers", "location").unwrap(), "http://10.0.0.1/");
        }
        _ => {}
    }
}

/// Holds when it is tried again against the receiver's wish.
fn assert_next(name: &str, delivery: &Value) {
    let wanted = match name {
        "429 for some seconds" => 119..=122,
        "429 to a date" | "429 for a year" => 86_399..=86_402,
        "429 with nonsense" => 47..=73,
        _ => return,
    };
    let time = |field: &str| Timestamp::parse(delivery[field].as_str().unwrap()).unwrap();
    let wait = time("next_attempt_at").since(time("last_attempt_at")).as_secs();
    assert!(wanted.contains(&wait), "{name}: waits {wait} s");
}

/// The most memory that the process has had, in KiB.
fn high_water(fanfare: &Fanfare) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", fanfare.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
