//! Closing: what was given is written, who waits is told, and the file is whole by itself.

use fanfare_core::clock::Clock;
use fanfare_core::ports::config_store::Group;
use fanfare_core::ports::event_log::Appended;
use fanfare_core::ports::journal::JournalPosition;
use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, Journal, StoreErrorKind, StoreResult};
use fanfare_testkit::conformance::fixtures::{event, event_id, project, soon, webhook};

use super::harness::Place;
use crate::EmbeddedConfig;

fn is_unavailable<T>(answer: StoreResult<T>) -> bool {
    answer.err().is_some_and(|error| error.kind == StoreErrorKind::Unavailable)
}

#[tokio::test]
async fn what_was_given_before_is_written() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let now = place.clock.now();
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..20 {
        let engine = engine.clone();
        appends
            .spawn(async move { EventLog::append(&engine, vec![event("shop", &number.to_string(), "x", now)]).await });
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    soon(engine.close()).await;
    for answer in soon(appends.join_all()).await {
        assert_eq!(answer.unwrap(), [Appended::Accepted]);
    }
    assert!(!place.path().join("queue.db-wal").exists(), "the log has been copied into the file");
    // Although somebody still has the closed one.
    assert_eq!(place.open().backlog().await.unwrap(), 20);
    drop(engine);
}

#[tokio::test]
async fn after_closing_everything_is_unavailable() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let mut share = engine.consume().await.unwrap();
    let mut reader = soon(share.next()).await.unwrap();
    let mut journal = engine.read(JournalPosition(0)).await.unwrap();
    let mut watch = engine.watch(Group::Config).await.unwrap();
    soon(watch.next()).await.unwrap();
    soon(engine.close()).await;
    soon(engine.close()).await;

    let now = place.clock.now();
    assert!(is_unavailable(EventLog::append(&engine, vec![event("shop", "1", "x", now)]).await));
    assert!(is_unavailable(EventLog::get(&engine, &project("shop"), &event_id("1")).await));
    assert!(is_unavailable(soon(engine.lease(1)).await));
    assert!(is_unavailable(engine.discard(webhook(1)).await));
    assert!(is_unavailable(engine.gate_depth(webhook(1)).await));
    assert!(is_unavailable(engine.last_revision(Group::Config).await));
    assert!(is_unavailable(engine.standing(&[]).await));
    assert!(is_unavailable(soon(reader.next(1)).await));
    assert!(is_unavailable(soon(journal.next(1)).await));
    assert!(is_unavailable(soon(watch.next()).await));
    assert!(is_unavailable(soon(share.next()).await.map(|_| ())));
}

#[tokio::test]
async fn whoever_waits_is_told() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let mut waiters = tokio::task::JoinSet::new();
    let worker = engine.clone();
    waiters.spawn(async move { is_unavailable(worker.lease(1).await) });
    let mut share = engine.consume().await.unwrap();
    waiters.spawn(async move { is_unavailable(share.next().await.unwrap().next(1).await) });
    let mut journal = engine.read(JournalPosition(0)).await.unwrap();
    waiters.spawn(async move { is_unavailable(journal.next(1).await) });
    let mut gates = engine.own_gates().await.unwrap();
    waiters.spawn(async move { is_unavailable(gates.next().await.unwrap().arrivals().await) });
    let mut watch = engine.watch(Group::State).await.unwrap();
    watch.next().await.unwrap();
    waiters.spawn(async move { is_unavailable(watch.next().await) });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    soon(engine.close()).await;
    assert!(soon(waiters.join_all()).await.into_iter().all(|told| told));
}
