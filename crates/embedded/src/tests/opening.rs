//! Opening: what is refused, how clearly, and what a fresh directory looks like.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::ports::delivery_queue::Push;
use fanfare_core::ports::event_log::Appended;
use fanfare_core::ports::{DeliveryQueue, EventLog};
use fanfare_testkit::conformance::fixtures::{delivery, event, events, gated, webhook};
use rusqlite::Connection;

use super::harness::Place;
use crate::{EmbeddedConfig, OpenError};

async fn filled() -> Place {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let events = (0..200).map(|number| event("shop", &number.to_string(), &"x".repeat(2000), place.clock.now()));
    engine.append(events.collect()).await.unwrap();
    engine.close().await;
    place
}

#[tokio::test]
async fn a_fresh_directory_is_made_for_this_user_alone() {
    let mut place = Place::new(EmbeddedConfig::default());
    place.directory = place.path().join("a/b");
    let engine = place.open();
    engine.append(vec![event("shop", "1", "x", place.clock.now())]).await.unwrap();
    let mode = |path: &str| fs::metadata(place.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("."), 0o700);
    for file in ["queue.db", "queue.db-wal", "queue.lock"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[tokio::test]
async fn the_file_is_synced_on_every_commit_and_can_shrink() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let pragma = |name: &'static str| {
        engine.writer.write("read a setting", 0, move |tx| Ok(setting(tx.connection, name)?), |value| value)
    };
    assert_eq!(pragma("synchronous").await.unwrap(), "2");
    assert_eq!(pragma("journal_mode").await.unwrap(), "wal");
    assert_eq!(pragma("auto_vacuum").await.unwrap(), "2");
    assert_eq!(pragma("user_version").await.unwrap(), "4");
}

fn setting(connection: &Connection, name: &str) -> rusqlite::Result<String> {
    let value: rusqlite::types::Value = connection.pragma_query_value(None, name, |row| row.get(0))?;
    Ok(match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    })
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_has_gone() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let refusal = place.try_open().unwrap_err();
    assert!(matches!(refusal, OpenError::InUse { .. }));
    assert!(refusal.to_string().starts_with("another process is using"), "{refusal}");
    drop(engine);
    place.open();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let place = Place::new(EmbeddedConfig::default());
    fs::write(place.path().join("queue.db"), "this was never a database, whatever its name says".repeat(100)).unwrap();
    let refusal = place.try_open().unwrap_err();
    assert!(matches!(refusal, OpenError::Damaged { .. }), "{refusal:?}");
}

#[tokio::test]
async fn a_damaged_file_is_refused_by_the_check() {
    let place = filled().await;
    let path = place.path().join("queue.db");
    let mut bytes = fs::read(&path).unwrap();
    // Not the header, which opening would notice by itself: the middle of the tree that holds the events.
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 3 * 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let refusal = place.try_open().unwrap_err();
    assert!(matches!(refusal, OpenError::Damaged { .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("queue.db is damaged"), "{refusal}");
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let place = filled().await;
    let path = place.path().join("queue.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refusal = place.try_open().unwrap_err();
    assert!(matches!(refusal, OpenError::Newer { found: 99, known: 4, .. }), "{refusal:?}");
    let version: i64 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_migration_that_was_cut_off_is_made_anew() {
    let place = Place::new(EmbeddedConfig::default());
    // What a crash before the first migration's commit leaves: a file with settings and no table.
    let connection = Connection::open(place.path().join("queue.db")).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    drop(connection);
    let engine = place.open();
    let answer = engine.append(vec![event("shop", "1", "x", place.clock.now())]).await.unwrap();
    assert_eq!(answer, [Appended::Accepted]);
}

#[test]
fn bounds_that_make_no_sense_are_refused_in_words() {
    for config in [
        EmbeddedConfig { window_items: 0, ..EmbeddedConfig::default() },
        EmbeddedConfig { lease: fanfare_runtime::Span::from_millis(10), ..EmbeddedConfig::default() },
    ] {
        assert!(matches!(Place::new(config).try_open().unwrap_err(), OpenError::Config(_)));
    }
}

#[test]
fn every_option_has_a_form_in_the_configuration_file() {
    let written = serde_json::to_value(EmbeddedConfig::default()).unwrap();
    let read: EmbeddedConfig = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read, EmbeddedConfig::default());
    assert!(written.as_object().unwrap().values().all(|value| !value.is_null()));
}

#[tokio::test]
async fn what_an_older_file_holds_expires_too() {
    let place = Place::new(EmbeddedConfig::default());
    let engine = place.open();
    let expires_at = place.clock.now().after(Duration::from_millis(2_345));
    let pushes = ["expires", "stays", "spoiled"].map(|event| {
        let mut delivery = delivery(webhook(1), event, place.clock.now());
        delivery.header.expires_at = (event == "expires").then_some(expires_at);
        Push { delivery, place: gated(), repeated: false }
    });
    engine.push(pushes.into(), Vec::new()).await.unwrap();
    engine.close().await;
    let file = Connection::open(place.path().join("queue.db")).unwrap();
    file.execute_batch(
        "DROP INDEX deliveries_by_expiry; ALTER TABLE deliveries DROP COLUMN expires; PRAGMA user_version = 3; \
         UPDATE bodies SET header = x'7b7b' WHERE seq = 3;",
    )
    .unwrap();
    drop(file);

    let engine = place.open();
    let mut share = engine.own_gates().await.unwrap();
    let gates = share.next().await.unwrap();
    let before = expires_at.before(Duration::from_millis(1));
    assert!(gates.take_expired(before, Timestamp::EPOCH, 9).await.unwrap().is_empty());
    let expired = gates.take_expired(expires_at, Timestamp::EPOCH, 9).await.unwrap();
    assert_eq!(events(&expired), ["expires"]);
}
