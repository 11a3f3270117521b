//! Producers that write the protocol themselves: whatever bytes they publish, everybody else's events arrive.

use std::time::Duration;

use async_nats::jetstream;
use fanfare_testkit::{Fanfare, RawProducer, Receiver, Reply, Servers};
use serde_json::Value;

use crate::direct::rejection;
use crate::samples::webhook;

const QUICK: [(&str, &str); 1] = [("FANFARE_DISTRIBUTED_PARTITION_LEASE", "1s")];
const PLAIN: &[u8] = b"NATS/1.0\r\nX: y\r\n\r\n";

/// What no library sends: the subject, and the headers.
const HOSTILE: [(&[u8], &[u8]); 11] = [
    (b"fanfare.events.default.x", b"NATS/1.0\r\nA: \xff\xfe\r\n\r\n"),
    (b"fanfare.events.default.x", b"NATS/1.0\r\nno colon\r\n\r\n"),
    (b"fanfare.events.default.x", b"NATS/1.0\r\nA: b\rc\r\n\r\n"),
    (b"fanfare.events.default.x", b"Z"),
    (b"fanfare.events.default.x", b"\x00\xff\r\n\r\n"),
    (b"fanfare.events.default.x.\xff\xfe", PLAIN),
    (b"fanfare.events.def\xffault.x", PLAIN),
    (b"fanfare.events.default.a\x0bb", PLAIN),
    ("fanfare.events.default.a\u{2028}b".as_bytes(), PLAIN),
    (b"fanfare.events.*.x", PLAIN),
    (b"fanfare.events.default.>", PLAIN),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_of_a_producer_stop_the_intake_and_each_message_is_rejected_whole() {
    const ROUNDS: usize = 5;
    let servers = Servers::start().await;
    let mut members = Vec::new();
    for role in ["console", "ingest", "fanout", "delivery"] {
        members.push(Fanfare::start_role(role, &servers, &QUICK).await);
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    members[0].create_webhook(webhook(&receiver.url("/"))).await;
    let mut raw = RawProducer::connect(&servers.nats.url()).await;
    let mut healthy = 0;
    for round in 0..ROUNDS {
        for (subject, headers) in HOSTILE {
            assert!(raw.publish(subject, headers, b"{\"data\":{}}").await, "the server takes it");
            // The healthy ones are the same project's, so that they stand in the same partition.
            let body = format!("{{\"id\":\"order-{healthy}\",\"data\":{{\"n\":{healthy}}}}}");
            assert!(raw.publish(b"fanfare.events.default.order.paid", b"", body.as_bytes()).await);
            healthy += 1;
        }
        // Each round is taken in while the process follows, not only when it begins to.
        let requests = receiver.received(healthy).await;
        assert_eq!(requests.len(), healthy, "in round {round}");
    }
    let rejected = ROUNDS * HOSTILE.len();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let invalid = "fanfare_ingest_events_total{result=\"invalid\"}";
    while members[1].metric(invalid).await < rejected as f64 {
        ticks.tick().await;
    }
    assert_eq!(members[1].metric(invalid).await, rejected as f64, "each is counted once");

    let stream = jetstream::new(async_nats::connect(servers.nats.url()).await.unwrap());
    let kept = stream.get_stream("FANFARE_REJECTED").await.unwrap();
    let state = kept.cached_info().state.clone();
    assert_eq!(state.messages, rejected as u64);
    let mut with_raw_headers = 0;
    for sequence in state.first_sequence..=state.last_sequence {
        let message = kept.get_raw_message(sequence).await.unwrap();
        assert_eq!(&message.payload[..], b"{\"data\":{}}");
        let about: Value = serde_json::from_str(&rejection(&message.headers)).unwrap();
        with_raw_headers += usize::from(about["raw_headers"].is_string());
    }
    assert_eq!(with_raw_headers, 5 * ROUNDS);
    // The project sees its own, the newest first, in pages.
    let mut shown: Vec<Value> = Vec::new();
    let mut after = String::new();
    loop {
        let (status, page) = members[0].call("GET", &format!("/v1/rejections?limit=7{after}"), None).await;
        assert_eq!(status, 200, "{page}");
        shown.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    // Two of the eleven name no project that could exist.
    assert_eq!(shown.len(), 9 * ROUNDS);
    // Those with a wildcard are rejected by another line than the project's.
    let line = shown.iter().filter(|rejection| rejection["subject"] != "fanfare.events.default.>");
    assert!(line.is_sorted_by(|one, two| one["published_at"].as_str() >= two["published_at"].as_str()));
    assert!(shown.iter().all(|rejection| rejection["body"] == "{\"data\":{}}" && rejection["reason"].is_string()));
    let raw = shown.iter().filter(|rejection| rejection["headers_base64"].is_string()).count();
    assert_eq!(raw, 5 * ROUNDS);
    assert!(shown.iter().any(|rejection| rejection["headers_base64"] == "Wg==" && rejection["field"] == "headers"));
    // Nothing of it is left to be looked at again.
    while stream.get_stream("FANFARE_INTAKE").await.unwrap().cached_info().state.messages > 0 {
        ticks.tick().await;
    }
}
