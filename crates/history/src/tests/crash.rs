//! What the journal may forget is what no crash and no loss of power takes from the read model.

use fanfare_core::delivery::{DeliveryStatus, End};
use fanfare_core::ports::journal::JournalPosition;
use fanfare_telemetry::Metrics;

use super::fakes::{Running, file};
use super::make::{at, ended, event, fanned_out, original, project};
use crate::{History, HistoryConfig};

#[tokio::test]
async fn what_is_done_with_is_in_the_database_file_itself() {
    let running = Running::start();
    let copy = tempfile::tempdir().unwrap();
    // Without its write-ahead log, as after a loss of power that undid all of it.
    *running.journal.copied_when_done.lock() = Some((file(running.directory.path()), file(copy.path())));
    running.tell([fanned_out(&event(1), 1, &[1]), ended(&original(&event(1), 1), 0, End::Delivered, at(2))]).await;
    assert_eq!(*running.journal.done().borrow(), JournalPosition(0), "nothing is done with before a checkpoint");
    let done = running.journal.done();
    running.as_time_goes_by(async || *done.borrow() == JournalPosition(2)).await;

    let left = History::open(&file(copy.path()), &HistoryConfig::default(), Metrics::new("test")).unwrap();
    let (row, _) = left.delivery(&project(), original(&event(1), 1).id).await.unwrap().unwrap();
    assert_eq!(row.status, DeliveryStatus::Delivered);
    let position = left.database.read("read the position", crate::apply::position).await.unwrap();
    assert_eq!(position, JournalPosition(2));
}

#[tokio::test]
async fn nothing_is_done_with_while_a_reader_keeps_a_checkpoint_from_being_whole() {
    let running = Running::start();
    let database = &running.history.database;
    assert!(database.checkpoint().await.unwrap());
    let reader = rusqlite::Connection::open(file(running.directory.path())).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM deliveries").unwrap();
    running.tell([fanned_out(&event(1), 1, &[1])]).await;
    assert!(!database.checkpoint().await.unwrap());
    let wal_bytes = running.metrics.sqlite_wal_bytes.with_label_values(&["history"]);
    // Told after each checkpoint that the follower makes.
    running.as_time_goes_by(async || wal_bytes.get() > 0).await;
    assert_eq!(*running.journal.done().borrow(), JournalPosition(0));

    reader.execute_batch("COMMIT").unwrap();
    let done = running.journal.done();
    running.as_time_goes_by(async || *done.borrow() == JournalPosition(1)).await;
}

#[tokio::test]
async fn a_crash_between_the_rows_and_done_repeats_nothing_and_says_done_after_all() {
    let running = Running::start();
    running.tell([fanned_out(&event(1), 1, &[1])]).await;
    let running = running.restart().await;
    assert_eq!(*running.journal.done().borrow(), JournalPosition(0));
    let done = running.journal.done();
    running.as_time_goes_by(async || *done.borrow() == JournalPosition(1)).await;
    assert_eq!(running.metrics.history_entries.get(), 0, "no entry was applied again");
}
