//! Rotating a secret: nobody who knows the new one or the old one refuses a request while the overlap lasts.

use fanfare_testkit::{Fanfare, Receiver, Reply};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::receivers::{SECRET, Sample, run_of, verified, verifiers};
use crate::samples::{FIVE, event};

/// The five events during an overlap, through each library with the new secret and with the old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_libraries_verify_with_the_new_secret_and_with_the_old() {
    let fanfare = Fanfare::start(&[]).await;
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    let created = fanfare.create_webhook(json!({"url": receiver.url("/"), "events": ["**"]})).await;
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    let (status, rotated) = fanfare.call("POST", &format!("{path}/rotate-secret"), None).await;
    assert_eq!(status, 200, "{rotated}");
    for event_type in FIVE {
        fanfare.publish(event(event_type)).await;
    }
    let during = receiver.received(FIVE.len()).await;
    for request in &during {
        assert_eq!(request.header("webhook-signature").split(' ').count(), 2);
    }
    for secret in [&rotated["secret"], &created["secret"]] {
        for verifier in verifiers("rotated") {
            verified(verifier, secret, &run_of(&during)).await;
        }
    }

    // The overlap ended: the new secret alone.
    let end = json!({"secret": rotated["secret"], "overlap_seconds": 0});
    let (status, ended) = fanfare.call("POST", &format!("{path}/rotate-secret"), Some(end)).await;
    assert_eq!((status, &ended["previous_secret_until"]), (200, &Value::Null));
    fanfare.publish(event(FIVE[0])).await;
    let after = receiver.received(FIVE.len() + 1).await.pop().unwrap();
    assert_eq!(after.header("webhook-signature").split(' ').count(), 1);
    assert!(!after.headers.contains_key("x-webhook-signature-previous"));
    for verifier in verifiers("rotated") {
        verified(verifier, &rotated["secret"], &run_of(std::slice::from_ref(&after))).await;
    }
}

/// The receivers of the docs go on with the secret they know, and take the new one when they are started with it.
async fn sample_goes_on(command: impl Fn() -> Command) {
    let fanfare = Fanfare::start(&[]).await;
    let mut sample = Sample::start(command(), SECRET).await;
    let created = fanfare.create_webhook(json!({"url": sample.url, "events": ["whatsapp.**"], "secret": SECRET})).await;
    let path = format!("/v1/webhooks/{}", created["id"].as_str().unwrap());
    let (status, rotated) = fanfare.call("POST", &format!("{path}/rotate-secret"), None).await;
    assert_eq!(status, 200, "{rotated}");
    let id = fanfare.publish(event(FIVE[0])).await;
    assert!(sample.line().await.starts_with(FIVE[0]));
    let delivered = |_: u16, shown: &Value| shown["deliveries"][0]["status"] == "delivered";
    fanfare.eventually(&format!("/v1/events/{id}"), delivered).await;

    let mut renewed = Sample::start(command(), rotated["secret"].as_str().unwrap()).await;
    assert_eq!(fanfare.call("PATCH", &path, Some(json!({"url": renewed.url}))).await.0, 200);
    let id = fanfare.publish(event(FIVE[1])).await;
    assert!(renewed.line().await.starts_with(FIVE[1]));
    fanfare.eventually(&format!("/v1/events/{id}"), delivered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_node_sample_goes_on_through_a_rotation() {
    sample_goes_on(crate::receivers::node_sample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_sample_goes_on_through_a_rotation() {
    sample_goes_on(crate::receivers::python_sample).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_go_sample_goes_on_through_a_rotation() {
    let binary = crate::receivers::go_sample("rotated-go").await;
    sample_goes_on(|| Command::new(&binary)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rust_sample_goes_on_through_a_rotation() {
    sample_goes_on(crate::receivers::rust_sample).await;
}
