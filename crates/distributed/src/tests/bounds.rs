//! Sizes, ages and characters at their bounds.

use std::time::Duration;

use bytes::Bytes;
use fanfare_core::delivery::Place;
use fanfare_core::event::{MAX_DATA_BYTES, Subject};
use fanfare_core::ports::delivery_queue::Push;
use fanfare_core::ports::event_log::Appended;
use fanfare_core::ports::{DeliveryQueue, EventLog, StoreErrorKind};
use fanfare_runtime::Span;
use fanfare_testkit::conformance::Harness;
use fanfare_testkit::conformance::fixtures::{delivery, event, event_id, lease_one, project, soon, webhook};

use super::harness::{Servers, metrics, ports};
use crate::Distributed;
use crate::events::position;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_greatest_event_and_any_text_in_its_attributes_come_back_as_they_were() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let now = servers.clock().now();
    let mut sent = event("shop", "100%/{order}", &"x".repeat(MAX_DATA_BYTES), now);
    sent.header.subject = Some(Subject::new("  a conversation 🎺 of Łukasz  ").unwrap());
    sent.header.extensions.insert("note".to_owned(), serde_json::json!("one\r\nNats-Msg-Id: two\0"));
    assert_eq!(engine.append(vec![sent.clone()]).await.unwrap(), [Appended::Accepted]);
    let read = engine.get(&project("shop"), &event_id("100%/{order}")).await.unwrap().unwrap();
    assert_eq!((read.header, read.data, read.content), (sent.header.clone(), sent.data, sent.content));

    let mut pushed = delivery(webhook(1), "100%/{order}", now);
    pushed.header.subject = sent.header.subject;
    pushed.body = Bytes::from(vec![0xff; MAX_DATA_BYTES]);
    engine
        .push(vec![Push { delivery: pushed.clone(), place: Place::Ready, repeated: true }], Vec::new())
        .await
        .unwrap();
    assert_eq!(lease_one(&ports(engine.clone())).await.delivery, pushed);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_events_go_only_when_they_have_been_processed() {
    let servers = Servers::begin().await;
    let mut config = servers.config();
    config.event_retention = Span::from_millis(1);
    let engine = Distributed::connect(&config, servers.clock(), metrics()).await.unwrap();
    let now = servers.clock().now();
    let events = ["a", "b", "c"].map(|id| event("shop", id, "x", now));
    engine.append(events.to_vec()).await.unwrap();
    let mut share = engine.consume().await.unwrap();
    let home = engine.shared.names.partition_of(&events[0].header.project, "");
    let mut ours = None;
    for _ in 0..config.partitions {
        let mut reader = soon(share.next()).await.unwrap();
        if reader.partition().0 == home {
            ours = Some(reader);
        } else {
            // Nothing comes there, and its position follows the log's end.
            tokio::spawn(async move { reader.next(1).await.map(|_| ()) });
        }
    }
    let mut reader = ours.unwrap();
    let first = soon(reader.next(1)).await.unwrap()[0].position;
    reader.advance(first).await.unwrap();
    let positions = async || position::all(&engine, "look").await.unwrap();
    soon(async {
        while positions().await.into_iter().min() < Some(first.0) {
            servers.pass(Duration::from_millis(50)).await;
        }
    })
    .await;
    engine.forget_events().await.unwrap();
    let end = events.len() as u64;
    assert!(positions().await.iter().all(|position| [first.0, end].contains(position)));
    let is_kept = async |id| engine.get(&project("shop"), &event_id(id)).await.unwrap().is_some();
    assert!(!is_kept("a").await && is_kept("b").await && is_kept("c").await);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_event_stream_refuses_and_drops_nothing() {
    let servers = Servers::begin().await;
    let mut config = servers.config();
    config.event_max_bytes = 20_000;
    let engine = Distributed::connect(&config, servers.clock(), metrics()).await.unwrap();
    let now = servers.clock().now();
    let mut kept = 0;
    let refused = loop {
        match engine.append(vec![event("shop", &kept.to_string(), &"x".repeat(1000), now)]).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "it is never full");
    };
    assert_eq!(refused.kind, StoreErrorKind::Full);
    assert_eq!(engine.backlog().await.unwrap(), kept);
    assert!(engine.get(&project("shop"), &event_id("0")).await.unwrap().is_some());
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_are_refused_at_the_high_water_mark() {
    let servers = Servers::begin().await;
    let mut config = servers.config();
    config.delivery_high_water_bytes = 1;
    let engine = Distributed::connect(&config, servers.clock(), metrics()).await.unwrap();
    let now = servers.clock().now();
    let push = async |id| {
        let pushes = vec![Push { delivery: delivery(webhook(1), id, now), place: Place::Ready, repeated: true }];
        engine.push(pushes, Vec::new()).await
    };
    assert_eq!(push("first").await.unwrap(), 1);
    servers.pass(Duration::from_secs(1)).await;
    let refused = push("second").await.expect_err("the mark is reached");
    assert_eq!(refused.kind, StoreErrorKind::Full);
    engine.close().await;
}
