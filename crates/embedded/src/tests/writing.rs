//! Group commit, and a log that stays short.

use fanfare_core::clock::Clock;
use fanfare_core::ports::event_log::Appended;
use fanfare_core::ports::{EventLog, Journal};
use fanfare_testkit::conformance::fixtures::{entry, event, soon};

use super::harness::{Busy, Place};
use crate::{Embedded, EmbeddedConfig};

/// Starts appends one by one, so that all of them wait for the writer.
async fn waiting(engine: &Embedded, place: &Place, count: usize) -> tokio::task::JoinSet<Vec<Appended>> {
    let mut appends = tokio::task::JoinSet::new();
    let now = place.clock.now();
    for number in 0..count {
        let (engine, event) = (engine.clone(), event("shop", &number.to_string(), "x", now));
        appends.spawn(async move { EventLog::append(&engine, vec![event]).await.unwrap() });
    }
    // On this one thread every append is polled, and so sent, before this task goes on.
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
    appends
}

#[tokio::test]
async fn what_waits_is_committed_together() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let busy = Busy::keep(&engine).await;
    let appends = waiting(&engine, &place, 60).await;
    let before = place.metrics.queue_commit_batch_size.get_sample_count();
    drop(busy);
    let answers = soon(appends.join_all()).await;
    assert!(answers.iter().all(|answer| *answer == [Appended::Accepted]));
    let histogram = &place.metrics.queue_commit_batch_size;
    assert_eq!(histogram.get_sample_count() - before, 1, "one commit for all that waited");
    assert_eq!(histogram.get_sample_sum() as u64, 60);
    assert_eq!(place.metrics.queue_commit_duration.get_sample_count(), histogram.get_sample_count());
}

#[tokio::test]
async fn a_commit_takes_no_more_than_its_bound() {
    let place = Place::new(EmbeddedConfig { commit_operations: 25, ..EmbeddedConfig::default() });
    let engine = place.open();
    let busy = Busy::keep(&engine).await;
    let appends = waiting(&engine, &place, 60).await;
    drop(busy);
    soon(appends.join_all()).await;
    assert_eq!(place.metrics.queue_commit_batch_size.get_sample_count(), 3, "25, 25 and 10");
}

#[tokio::test]
async fn the_log_stays_short_while_much_is_written() {
    const WAL: u64 = 256 * 1024;
    let place = Place::new(EmbeddedConfig { wal_bytes: WAL as usize, ..EmbeddedConfig::default() });
    let engine = place.open();
    let now = place.clock.now();
    let wal = place.path().join("queue.db-wal");
    let mut longest = 0;
    for number in 0..200 {
        let data = "x".repeat(20_000);
        let events = vec![event("shop", &format!("{number}"), &data, now)];
        Journal::append(&engine, vec![entry(number)]).await.unwrap();
        EventLog::append(&engine, events).await.unwrap();
        longest = longest.max(std::fs::metadata(&wal).unwrap().len());
    }
    // Four million bytes went through it. A commit may pass the bound; the next one begins the log anew.
    assert!(longest > WAL / 2 && longest < WAL * 2, "{longest}");
    let metric = place.metrics.sqlite_wal_bytes.with_label_values(&["queue"]).get();
    assert_eq!(metric as u64, std::fs::metadata(&wal).unwrap().len());
}
