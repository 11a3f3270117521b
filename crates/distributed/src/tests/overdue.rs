//! Schedules that the server did not fire, since its store was full.

use std::time::Duration;

use fanfare_core::delivery::{DueReason, Place};
use fanfare_core::ids::Hop;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::journal::JournalPosition;
use fanfare_core::ports::{DeliveryQueue, EventLog, Journal, StoreErrorKind};
use fanfare_runtime::Span;
use fanfare_runtime::tasks::Failures;
use fanfare_testkit::conformance::Harness;
use fanfare_testkit::conformance::fixtures::{event, failed, lease_one, nothing_else, push, soon, webhook};

use super::harness::{Servers, metrics, ports};
use crate::Distributed;
use crate::queue::overdue::Sweep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_fell_due_while_the_store_was_full_is_moved_when_it_has_room() {
    const FILLING: usize = 200_000;
    let servers = Servers::small(16 * 1024 * 1024).await;
    let mut config = servers.config();
    config.overdue_after = Span::from_secs(1);
    // Bounds are reserved, and there is not so much.
    (config.event_max_bytes, config.journal_max_bytes, config.quarantine_max_bytes) = (0, 0, 0);
    (config.intake_max_bytes, config.rejected_max_bytes) = (0, 0);
    let metrics = metrics();
    let engine = Distributed::connect(&config, servers.clock(), metrics.clone()).await.unwrap();
    let view = ports(engine.clone());
    // Nearly full before the clock matters.
    for number in 0..60 {
        let large = event("shop", &format!("before-{number}"), &"x".repeat(FILLING), servers.clock().now());
        EventLog::append(&engine, vec![large]).await.unwrap();
    }
    let pushed = push(&servers, &view, webhook(1), "waits", Place::Ready).await.header.id;
    let held = lease_one(&view).await;
    let at = servers.clock().now().after(Duration::from_secs(8));
    let due = Place::Due { at, reason: DueReason::Retry };
    engine.settle(&held, failed(&servers, due)).await.unwrap();

    // By events, to the last byte of what is tried.
    let (mut size, mut number) = (FILLING, 0);
    while size > 10 {
        number += 1;
        let large = event("shop", &number.to_string(), &"x".repeat(size), servers.clock().now());
        if let Err(error) = EventLog::append(&engine, vec![large]).await {
            assert_eq!(error.kind, StoreErrorKind::Full, "{error:?}");
            size /= 2;
        }
    }
    assert!(servers.clock().now() < at, "this machine took too long to fill the store for this test to say anything");
    servers.pass(Duration::from_secs(9)).await;
    let mut sweep = Sweep::default();
    let full = soon(async {
        loop {
            // It fired after all if the sweep finds nothing.
            match sweep.once(&engine).await {
                Err(error) => return error,
                Ok(moved) => assert_eq!(moved, 0, "it was moved into a full store"),
            }
            servers.pass(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(full.kind, StoreErrorKind::Full, "{full:?}");
    assert_eq!(metrics.delivery_overdue.get(), 1);

    let stream = engine.shared.store.stream("make room", &engine.shared.names.events()).await.unwrap();
    stream.purge().await.unwrap();
    let failures = Failures::new();
    let tasks = failures.group();
    engine.start(&tasks);
    let moved = lease_one(&view).await;
    assert_eq!((moved.delivery.header.id, moved.delivery.header.hop), (pushed, Hop(2)));
    nothing_else(&servers, &view).await;
    soon(async {
        while metrics.delivery_overdue.get() != 0 || metrics.delivery_overdue_moved.get() != 1 {
            servers.pass(Duration::from_millis(20)).await;
        }
    })
    .await;
    tasks.stop(Duration::from_secs(5)).await.unwrap();
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sweep_leaves_alone_what_is_not_overdue_and_one_process_sweeps_at_a_time() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let view = ports(engine.clone());
    push(&servers, &view, webhook(1), "waits", Place::Ready).await;
    let held = lease_one(&view).await;
    let at = servers.clock().now().after(Duration::from_secs(600));
    engine.settle(&held, failed(&servers, Place::Due { at, reason: DueReason::Retry })).await.unwrap();
    let (mut one, mut two) = (Sweep::default(), Sweep::default());
    assert!(one.is_my_turn(&engine).await.unwrap());
    assert!(!two.is_my_turn(&engine).await.unwrap(), "the first has just begun");
    assert_eq!(one.once(&engine).await.unwrap(), 0);
    assert!(one.is_my_turn(&engine).await.unwrap());
    assert!(!two.is_my_turn(&engine).await.unwrap(), "the first goes on");
    assert!(two.is_my_turn(&engine).await.unwrap(), "the first has not been heard of");
    assert_eq!(two.once(&engine).await.unwrap(), 0);
    assert_eq!(engine.depth().await.unwrap().due_retry, 1);
    let mut journal = engine.read(JournalPosition(0)).await.unwrap();
    let told = soon(journal.next(10)).await.unwrap();
    assert!(matches!(told.as_slice(), [(_, JournalEntry::Settled(_))]), "{told:?}");
    engine.close().await;
}
