//! Following the journal: quickly when there is little, on after failures and restarts, with the metrics that say so.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::delivery::{DeliveryStatus, End};
use fanfare_core::ids::Hop;
use fanfare_core::journal::{HealthChanged, JournalEntry};
use fanfare_core::ports::journal::JournalPosition;
use fanfare_telemetry::Metrics;

use super::fakes::{FOR_GOOD, Running, file};
use super::make::{at, ended, event, fanned_out, original, project, webhook, webhook_deleted};
use crate::apply::apply;
use crate::database::Database;
use crate::{DeliveryFilter, History, HistoryConfig, HistoryError};

async fn status(history: &History, number: u32, to: u128) -> Option<DeliveryStatus> {
    let found = history.delivery(&project(), original(&event(number), to).id).await.unwrap();
    found.map(|(row, _)| row.status)
}

#[tokio::test]
async fn entries_are_shown_when_they_come_without_time_going_by() {
    let running = Running::start();
    running.tell([fanned_out(&event(1), 1, &[1])]).await;
    assert_eq!(status(&running.history, 1, 1).await, Some(DeliveryStatus::Pending));
    running.tell([ended(&original(&event(1), 1), 0, End::Delivered, at(2))]).await;
    assert_eq!(status(&running.history, 1, 1).await, Some(DeliveryStatus::Delivered));
    assert_eq!(running.metrics.history_entries.get(), 2);
    assert_eq!(running.now(), at(0));
}

#[tokio::test]
async fn an_entry_that_changes_no_row_moves_the_position_all_the_same() {
    let running = Running::start();
    let health = fanfare_core::health::Health::new(webhook(1), project());
    running.tell([JournalEntry::HealthChanged(HealthChanged { health, at: at(1) })]).await;
    let running = running.restart().await;
    running.caught_up(JournalPosition(1)).await;
    assert_eq!(*running.journal.begun.lock(), [JournalPosition(0), JournalPosition(1)]);
}

#[tokio::test]
async fn the_lag_is_the_age_of_the_last_entry_applied() {
    let running = Running::start();
    running.clock.advance(Duration::from_secs(90));
    running.tell([fanned_out(&event(30), 1, &[1])]).await;
    assert_eq!(running.metrics.history_lag.get(), 60.0);
}

#[tokio::test]
async fn a_journal_that_fails_for_a_while_is_followed_on_from_the_same_place() {
    let running = Running::start();
    running.tell([fanned_out(&event(1), 1, &[1])]).await;
    running.journal.fail(3);
    running.journal.add([fanned_out(&event(2), 1, &[1])]);
    running.as_time_goes_by(async || status(&running.history, 2, 1).await.is_some()).await;
    assert_eq!(status(&running.history, 1, 1).await, Some(DeliveryStatus::Pending));
    let begun = running.journal.begun.lock().clone();
    assert_eq!(begun[0], JournalPosition(0));
    assert_eq!(begun[1..], [JournalPosition(1); 3]);
}

#[tokio::test]
async fn many_entries_wait_for_company_and_few_do_not() {
    let running = Running::start();
    let many = running.journal.add((1..=40).map(|number| fanned_out(&event(number), 1, &[1])));
    running.caught_up(many).await;
    let more = running.journal.add([fanned_out(&event(41), 1, &[1])]);
    tokio::task::yield_now().await;
    assert_eq!(*running.history.applied().borrow(), many);
    running.as_time_goes_by(async || *running.history.applied().borrow() >= more).await;
    running.tell([fanned_out(&event(42), 1, &[1])]).await;
}

#[tokio::test]
async fn what_was_applied_is_there_after_a_restart_and_following_goes_on_behind_it() {
    let running = Running::start();
    running.tell([fanned_out(&event(1), 1, &[1])]).await;
    let running = running.restart().await;
    assert_eq!(status(&running.history, 1, 1).await, Some(DeliveryStatus::Pending));
    running.tell([fanned_out(&event(2), 1, &[1])]).await;
    assert_eq!(status(&running.history, 2, 1).await, Some(DeliveryStatus::Pending));
    assert_eq!(*running.journal.begun.lock(), [JournalPosition(0), JournalPosition(1)]);
}

#[tokio::test]
async fn a_deleted_webhooks_deliveries_are_discarded_those_told_of_later_too() {
    let running = Running::start();
    let fan_outs: Vec<_> = (0..2500).map(|number| fanned_out(&event(number), 1, &[1])).collect();
    running.journal.add(fan_outs);
    let position = running.journal.add([webhook_deleted(1, at(9000))]);
    running.as_time_goes_by(async || *running.history.applied().borrow() >= position).await;
    let filter = DeliveryFilter {
        statuses: vec![DeliveryStatus::Pending, DeliveryStatus::Waiting, DeliveryStatus::Gated],
        limit: 1,
        ..DeliveryFilter::default()
    };
    let open = async || running.history.deliveries(&project(), filter.clone()).await.unwrap().rows.len();
    running.as_time_goes_by(async || open().await == 0).await;

    let position = running.journal.add([fanned_out(&event(3000), 1, &[1])]);
    running.as_time_goes_by(async || *running.history.applied().borrow() >= position).await;
    let late = running.history.delivery(&project(), original(&event(3000), 1).id).await.unwrap().unwrap().0;
    assert_eq!((late.status, late.ended_at, late.hop), (DeliveryStatus::Discarded, Some(at(9000)), Hop(0)));
}

#[tokio::test]
async fn closing_a_deleted_webhooks_deliveries_goes_on_after_a_restart() {
    let running = Running::start();
    running.tell([fanned_out(&event(1), 1, &[1])]).await;
    let (directory, journal, store, clock) = running.stop().await;
    // As a crash leaves it that came after the deletion was noted and before anything was closed.
    let database = Arc::new(Database::open(&file(directory.path()), 1).unwrap());
    let noted = [(JournalPosition(2), webhook_deleted(1, at(5)))];
    database.write("note a deletion", move |transaction| apply(transaction, &noted)).await.unwrap();
    drop(database);

    let running = Running::start_in(directory, FOR_GOOD, journal, store, clock);
    running.as_time_goes_by(async || status(&running.history, 1, 1).await == Some(DeliveryStatus::Discarded)).await;
}

#[tokio::test]
async fn readers_wait_for_each_other_and_all_are_answered() {
    let running = Running::start();
    running.tell([fanned_out(&event(1), 1, &[1])]).await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let history = running.history.clone();
        asked.spawn(async move { status(&history, 1, 1).await });
    }
    assert_eq!(asked.join_all().await, vec![Some(DeliveryStatus::Pending); 50]);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path());
    let open = || History::open(&path, &HistoryConfig::default(), Metrics::new("test"));
    drop(open().unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 999").unwrap();
    drop(newer);
    let refused = open().unwrap_err();
    assert!(matches!(refused, HistoryError::Newer { found: 999, .. }), "{refused}");
    assert!(!refused.is_retryable());
}

#[test]
fn a_file_that_is_no_database_is_refused_with_its_name_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path());
    std::fs::write(&path, "not a database, but long enough to be taken for one by its length".repeat(100)).unwrap();
    let refused = History::open(&path, &HistoryConfig::default(), Metrics::new("test")).unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("history.db") && said.contains("move it away"), "{said}");
    assert!(!refused.is_retryable());
}

#[test]
fn a_new_file_can_give_its_free_pages_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path());
    drop(History::open(&path, &HistoryConfig::default(), Metrics::new("test")).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    let setting =
        |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    assert_eq!(setting("PRAGMA auto_vacuum"), 2.into(), "incremental");
    assert_eq!(setting("PRAGMA journal_mode"), "wal".to_owned().into());
}
