//! What happens when the file cannot be written: everybody is told, nothing in memory has changed, and it goes on
//! after.

use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::delivery::{End, Place as Stand};
use fanfare_core::health::Health;
use fanfare_core::ids::Hop;
use fanfare_core::ports::config_store::{Expected, Group, Record, Revision};
use fanfare_core::ports::delivery_queue::{BringForward, QueueDepth, Settling};
use fanfare_core::ports::event_log::{Appended, Position};
use fanfare_core::ports::{ConfigStore, DeliveryQueue, EventLog, StoreErrorKind};
use fanfare_runtime::tasks::Failures;
use fanfare_testkit::ManualClock;
use fanfare_testkit::conformance::Harness;
use fanfare_testkit::conformance::fixtures::{
    delivery, due_in, ended, event, gated, lease_one, nothing_else, project, push, soon, waits, webhook,
};

use super::harness::{Busy, Ordinary, Place, ports};
use crate::{Embedded, EmbeddedConfig};

/// Lets the file grow by no more than that many pages, or by as many as it likes.
async fn limit(engine: &Embedded, spare: Option<i64>) {
    let set = move |tx: &mut crate::writer::Tx<'_>| {
        let pages: i64 = tx.connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let free: i64 = tx.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let most = spare.map_or(1 << 30, |spare| (pages - free + spare).max(pages));
        tx.connection.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(()))?;
        Ok(())
    };
    engine.writer.write("limit the file", 0, set, |()| ()).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_events_and_takes_them_again_when_there_is_room() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let now = place.clock.now();
    let large = |id: &str| vec![event("shop", id, &"x".repeat(200_000), now)];
    EventLog::append(&engine, vec![event("shop", "before", "x", now)]).await.unwrap();
    let mut share = engine.consume().await.unwrap();
    let mut reader = soon(share.next()).await.unwrap();
    assert_eq!(soon(reader.next(10)).await.unwrap().len(), 1);

    limit(&engine, Some(4)).await;
    let refusal = EventLog::append(&engine, large("large")).await.unwrap_err();
    assert_eq!(refusal.kind, StoreErrorKind::Full);
    assert!(refusal.is_retryable());
    assert_eq!(engine.backlog().await.unwrap(), 1);
    assert!(EventLog::get(&engine, &project("shop"), &large("large")[0].header.id).await.unwrap().is_none());
    waits(reader.next(10)).await;

    limit(&engine, None).await;
    assert_eq!(EventLog::append(&engine, large("large")).await.unwrap(), [Appended::Accepted]);
    let read = soon(reader.next(10)).await.unwrap();
    assert_eq!((read.len(), read[0].position), (1, Position(2)), "the refused one has used no position up");
    assert_eq!(engine.backlog().await.unwrap(), 2);
}

/// Every kind of change fails at its commit, and leaves what is in memory as it was.
#[tokio::test]
async fn a_failed_commit_changes_nothing_in_memory() {
    let harness = Ordinary::start().await;
    let place = harness.place();
    let engine = place.open();
    let all = ports(engine.clone());
    let pushed = push(&harness, &all, webhook(1), "held", Stand::Ready).await;
    let waiting = push(&harness, &all, webhook(1), "due", due_in(&harness, Duration::from_secs(600))).await;
    push(&harness, &all, webhook(2), "behind", gated()).await;
    let held = lease_one(&all).await;
    let before = engine.depth().await.unwrap();
    assert_eq!((before.in_flight, before.due_retry, before.gated), (1, 1, 1));

    let fails = || place.faults.fail_next();
    fails();
    engine.settle(&held, ended(&harness, End::Delivered)).await.unwrap_err();
    fails();
    let new = delivery(webhook(1), "new", place.clock.now());
    let pushes = || {
        vec![fanfare_core::ports::delivery_queue::Push { delivery: new.clone(), place: Stand::Ready, repeated: true }]
    };
    engine.push(pushes(), Vec::new()).await.unwrap_err();
    fails();
    engine.bring_forward(webhook(1), waiting.header.id, place.clock.now()).await.unwrap_err();
    fails();
    engine.discard(webhook(2)).await.unwrap_err();
    fails();
    engine.put(Record::Health(Health::new(webhook(1), project("shop"))), Expected::Any).await.unwrap_err();
    fails();
    let error = EventLog::append(&engine, vec![event("shop", "1", "x", place.clock.now())]).await.unwrap_err();
    assert_eq!(
        (error.kind, error.to_string().as_str()),
        (StoreErrorKind::Unavailable, "could not append events: the store is unavailable",)
    );

    assert_eq!(engine.depth().await.unwrap(), before);
    assert_eq!(engine.backlog().await.unwrap(), 0);
    assert_eq!(engine.last_revision(Group::State).await.unwrap(), Revision(0));
    assert_eq!(engine.gate_depth(webhook(2)).await.unwrap().count, 1);
    nothing_else(&harness, &all).await;

    // The lease is still held, and everything can be done now.
    assert_eq!(engine.settle(&held, ended(&harness, End::Delivered)).await.unwrap(), Settling::Applied);
    assert_eq!(engine.push(pushes(), Vec::new()).await.unwrap(), 1);
    let brought = engine.bring_forward(webhook(1), waiting.header.id, place.clock.now()).await.unwrap();
    assert_eq!(brought, BringForward::Ready(Hop(1)));
    assert_eq!(engine.discard(webhook(2)).await.unwrap(), 1);
    let depth = engine.depth().await.unwrap();
    assert_eq!(QueueDepth { oldest_ready: None, ..depth }, QueueDepth { ready: 2, ..QueueDepth::default() });
    drop(pushed);
}

#[tokio::test]
async fn a_failed_batch_tells_everybody_in_it() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let now = place.clock.now();
    place.faults.fail_next();
    let mut appends = tokio::task::JoinSet::new();
    for number in 0..10 {
        let engine = engine.clone();
        appends
            .spawn(async move { EventLog::append(&engine, vec![event("shop", &number.to_string(), "x", now)]).await });
    }
    let answers = soon(appends.join_all()).await;
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(accepted < 10);
    assert_eq!(engine.backlog().await.unwrap(), accepted as u64);
}

#[tokio::test]
async fn an_operation_that_fails_again_and_again_does_not_starve_those_beside_it() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let now = place.clock.now();
    for round in 0..2 {
        let busy = Busy::keep(&engine).await;
        let broken = |tx: &mut crate::writer::Tx<'_>| {
            tx.counters.event += 100;
            tx.connection.execute("UPDATE marks SET value = 'lost' WHERE name = 'events_passed'", [])?;
            tx.connection.execute("INSERT INTO nowhere VALUES (1)", [])?;
            Ok(())
        };
        let culprit = engine.clone();
        let culprit = tokio::spawn(async move { culprit.writer.write("break", 0, broken, |()| ()).await });
        let beside = engine.clone();
        let appended = format!("beside-{round}");
        let beside =
            tokio::spawn(async move { EventLog::append(&beside, vec![event("shop", &appended, "x", now)]).await });
        // On this one thread both are polled, and so sent, before this task goes on.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        drop(busy);
        soon(culprit).await.unwrap().unwrap_err();
        assert_eq!(soon(beside).await.unwrap().is_ok(), round > 0, "alone from the second time on");
    }
    assert_eq!(engine.backlog().await.unwrap(), 1);
    let mut share = engine.consume().await.unwrap();
    let mut reader = soon(share.next()).await.unwrap();
    assert_eq!(soon(reader.next(10)).await.unwrap()[0].position, Position(1), "its numbers were taken back");
}

#[tokio::test]
async fn a_lease_whose_settlement_failed_runs_out_like_any_other() {
    let harness = Ordinary::start().await;
    let place = harness.place();
    let engine = place.open();
    let all = ports(engine.clone());
    push(&harness, &all, webhook(1), "order-1", Stand::Ready).await;
    let held = lease_one(&all).await;
    place.faults.fail_next();
    engine.settle(&held, ended(&harness, End::Delivered)).await.unwrap_err();
    place.clock.advance(place.config.lease.get());
    assert_eq!(lease_one(&all).await.redeliveries, 1);
}

#[tokio::test]
async fn the_end_of_the_writer_is_a_failure_of_the_process() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let mut failures = Failures::new();
    engine.start(&failures.group());
    let statements = |_: &mut crate::writer::Tx<'_>| -> Result<(), crate::writer::Failed> { panic!("a bug") };
    engine.writer.write("fall over", 0, statements, |()| ()).await.unwrap_err();
    let failure = soon(failures.first()).await;
    assert_eq!(failure.name, "queue-maintenance");
    let error = EventLog::append(&engine, vec![event("shop", "1", "x", ManualClock::new().now())]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
}
