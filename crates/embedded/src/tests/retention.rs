//! What is over is removed in time, what is not stays, and the room is given back.

use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::delivery::{End, Place as Stand};
use fanfare_core::ports::delivery_queue::Push;
use fanfare_core::ports::event_log::{Appended, Position};
use fanfare_core::ports::journal::JournalPosition;
use fanfare_core::ports::{DeliveryQueue, EventLog, Journal};
use fanfare_testkit::conformance::Harness;
use fanfare_testkit::conformance::fixtures::{ended, entry, event, lease_one, push, soon, webhook};

use super::harness::{Ordinary, Place, ports};
use crate::{Embedded, EmbeddedConfig};

async fn count(engine: &Embedded, table: &'static str) -> i64 {
    let count = move |file: &rusqlite::Connection| {
        Ok(file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
    };
    engine.readers.read("count rows", count).await.unwrap()
}

#[tokio::test]
async fn events_go_when_they_are_old_and_passed() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let append = |from: u32, to: u32| {
        let now = place.clock.now();
        EventLog::append(&engine, (from..to).map(|number| event("shop", &number.to_string(), "x", now)).collect())
    };
    append(0, 2500).await.unwrap();
    place.clock.advance(place.config.event_retention.get());
    append(2500, 2510).await.unwrap();
    place.clock.advance(Duration::from_secs(1));
    engine.tend().await.unwrap();
    assert_eq!(count(&engine, "events").await, 2510, "none has been passed");

    let mut share = engine.consume().await.unwrap();
    let mut reader = soon(share.next()).await.unwrap();
    reader.advance(Position(2400)).await.unwrap();
    engine.tend().await.unwrap();
    assert_eq!(count(&engine, "events").await, 110, "the rest is old and not passed, or passed and not old");
    reader.advance(Position(2505)).await.unwrap();
    engine.tend().await.unwrap();
    assert_eq!(count(&engine, "events").await, 10);
    assert_eq!(engine.backlog().await.unwrap(), 5);
    // An id may be used again when its event is forgotten.
    assert_eq!(append(0, 1).await.unwrap(), [Appended::Accepted]);
}

#[tokio::test]
async fn positions_go_on_rising_when_all_events_are_gone() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let now = place.clock.now();
    EventLog::append(&engine, vec![event("shop", "1", "x", now), event("shop", "2", "x", now)]).await.unwrap();
    let mut share = engine.consume().await.unwrap();
    soon(share.next()).await.unwrap().advance(Position(2)).await.unwrap();
    drop(share);
    place.clock.advance(place.config.event_retention.get() + Duration::from_secs(1));
    engine.tend().await.unwrap();
    assert_eq!(count(&engine, "events").await, 0);
    drop(engine);
    let engine = place.open();
    EventLog::append(&engine, vec![event("shop", "3", "x", now)]).await.unwrap();
    let mut share = engine.consume().await.unwrap();
    let read = soon(soon(share.next()).await.unwrap().next(10)).await.unwrap();
    assert_eq!((read.len(), read[0].position, read[0].redelivered), (1, Position(3), false));
}

#[tokio::test]
async fn an_ended_delivery_is_remembered_for_its_time() {
    let harness = Ordinary::start().await;
    let place = harness.place();
    let engine = place.open();
    let all = ports(engine.clone());
    let delivery = push(&harness, &all, webhook(1), "order-1", Stand::Ready).await;
    let kept = push(
        &harness,
        &all,
        webhook(1),
        "waits",
        Stand::Due {
            at: place.clock.now().after(Duration::from_secs(1_000_000)),
            reason: fanfare_core::delivery::DueReason::Retry,
        },
    );
    kept.await;
    let lease = lease_one(&all).await;
    engine.settle(&lease, ended(&harness, End::Delivered)).await.unwrap();
    assert_eq!(count(&engine, "bodies").await, 1, "its body is gone at once");
    let again = || vec![Push { delivery: delivery.clone(), place: Stand::Ready, repeated: true }];

    place.clock.advance(place.config.done_retention.get() - Duration::from_secs(1));
    engine.tend().await.unwrap();
    assert_eq!(engine.push(again(), Vec::new()).await.unwrap(), 0);
    place.clock.advance(Duration::from_secs(1));
    engine.tend().await.unwrap();
    assert_eq!(count(&engine, "deliveries").await, 1, "what is alive stays");
    assert_eq!(engine.push(again(), Vec::new()).await.unwrap(), 1);
}

#[tokio::test]
async fn the_journal_keeps_what_the_read_model_has_not() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    Journal::append(&engine, (0..2300).map(entry).collect()).await.unwrap();
    engine.tend().await.unwrap();
    assert_eq!(count(&engine, "journal").await, 2300);
    let mut reader = engine.read(JournalPosition(0)).await.unwrap();
    let read = soon(reader.next(2200)).await.unwrap();
    reader.done(read[2199].0).await.unwrap();
    engine.tend().await.unwrap();
    assert_eq!(count(&engine, "journal").await, 100);
    assert_eq!(soon(reader.next(1000)).await.unwrap().len(), 100);
}

#[tokio::test]
async fn journal_positions_go_on_rising_when_all_entries_are_gone() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    Journal::append(&engine, vec![entry(1), entry(2)]).await.unwrap();
    engine.read(JournalPosition(0)).await.unwrap().done(JournalPosition(2)).await.unwrap();
    engine.tend().await.unwrap();
    assert_eq!(count(&engine, "journal").await, 0);
    drop(engine);
    let engine = place.open();
    Journal::append(&engine, vec![entry(3)]).await.unwrap();
    let mut reader = engine.read(JournalPosition(2)).await.unwrap();
    assert_eq!(soon(reader.next(10)).await.unwrap()[0].0, JournalPosition(3), "the read model has seen the first two");
}

#[tokio::test]
async fn a_reader_of_a_journal_that_was_replaced_reads_the_new_one() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    Journal::append(&engine, vec![entry(1), entry(2)]).await.unwrap();
    let mut reader = engine.read(JournalPosition(500)).await.unwrap();
    let read = soon(reader.next(10)).await.unwrap();
    assert_eq!(read.iter().map(|(position, _)| position.0).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn the_file_shrinks_when_much_has_gone() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let now = place.clock.now();
    for number in 0..40 {
        let events = (0..10).map(|part| event("shop", &format!("{number}-{part}"), &"x".repeat(100_000), now));
        EventLog::append(&engine, events.collect()).await.unwrap();
    }
    let pages = || {
        engine
            .readers
            .read("count pages", |file| Ok(file.pragma_query_value::<i64, _>(None, "page_count", |row| row.get(0))?))
    };
    let full = pages().await.unwrap();
    let mut share = engine.consume().await.unwrap();
    soon(share.next()).await.unwrap().advance(Position(400)).await.unwrap();
    place.clock.advance(place.config.event_retention.get() + Duration::from_secs(1));
    engine.tend().await.unwrap();
    let left = pages().await.unwrap();
    assert!(full > 9_000 && left < 4_200, "{full} pages before, {left} after");
}
