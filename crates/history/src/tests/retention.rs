//! What is past retention goes, in small steps; what is not, or still waits, stays.

use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{End, Next};
use fanfare_core::journal::JournalEntry;
use fanfare_runtime::Span;
use rusqlite::Transaction;

use super::fakes::Running;
use super::make::{
    at, attempt, brought_forward, ended, event, fanned_out, original, placed, project, retry, settled, subscription,
};
use crate::apply::apply;
use crate::database::in_memory;
use crate::retention::{give_back, remove_events};

const DAY: i64 = 24 * 60 * 60;

fn delivered(number: u32, webhook: u128, attempts: u32, when: Timestamp) -> Vec<JournalEntry> {
    let delivery = original(&event(number), webhook);
    let tried = |hop: u32| {
        let (last, id) = (hop + 1 == attempts, u128::from(hop) + 1);
        let attempt = Some(attempt(id, hop + 1, at(1), OutcomeClass::Success, Some(200)));
        settled(&delivery, hop, attempt, if last { Next::End { end: End::Delivered } } else { retry(at(2)) }, when)
    };
    (0..attempts).map(tried).collect()
}

fn rows(transaction: &Transaction<'_>) -> i64 {
    let sql =
        "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM attempts)";
    transaction.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn events_left(transaction: &Transaction<'_>) -> Vec<String> {
    let mut statement = transaction.prepare("SELECT id FROM events ORDER BY seq").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Sweeps; answers how many rows each step removed.
fn sweep(transaction: &Transaction<'_>, cutoff: Timestamp) -> Vec<i64> {
    let (mut steps, mut after, mut before) = (Vec::new(), i64::MIN, rows(transaction));
    while let Some(reached) = remove_events(transaction, cutoff, after).unwrap() {
        steps.push(before - rows(transaction));
        (after, before) = (reached, rows(transaction));
    }
    steps
}

#[test]
fn an_event_goes_when_the_last_of_its_deliveries_ended_before_the_cutoff() {
    let mut connection = in_memory();
    let transaction = connection.transaction().unwrap();
    let mut entries: Vec<_> = [(1, vec![1, 2]), (2, vec![1, 2]), (3, vec![1, 2]), (4, vec![]), (5, vec![])]
        .into_iter()
        .map(|(number, webhooks)| fanned_out(&event(number), 1, &webhooks))
        .collect();
    // 1: both long ago. 2: one lately. 3: one still waits. 4: matched nothing, long ago. 5: at the cutoff. 6: fan-out overtaken.
    entries.extend([delivered(1, 1, 1, at(8)), delivered(1, 2, 1, at(9))].concat());
    entries.extend([delivered(2, 1, 1, at(8)), delivered(2, 2, 1, at(5))].concat());
    entries.extend(delivered(3, 1, 1, at(8)));
    entries.push(ended(&original(&event(6), 1), 0, End::Expired, at(7)));
    apply(&transaction, &placed(entries)).unwrap();
    transaction.execute("UPDATE events SET fanned_out_at = ?1 WHERE id = 'order-5'", [at(10).as_millis()]).unwrap();
    transaction
        .execute(
            "UPDATE deliveries SET ended_at = ?1 WHERE id = ?2",
            (at(10).as_millis(), original(&event(2), 2).id.as_bytes()),
        )
        .unwrap();
    sweep(&transaction, at(10));
    assert_eq!(events_left(&transaction), ["order-2", "order-3", "order-5"]);
    assert_eq!(rows(&transaction), 3 + 4 + 3, "what stays is whole");
}

#[test]
fn no_step_removes_more_than_a_thousand_rows_and_the_steps_remove_everything() {
    let mut connection = in_memory();
    let transaction = connection.transaction().unwrap();
    let webhooks: Vec<u128> = (0..700).collect();
    let mut entries = vec![fanned_out(&event(1), 1, &webhooks)];
    entries.extend(webhooks.iter().flat_map(|webhook| delivered(1, *webhook, 3, at(5))));
    for number in 2..500 {
        entries.push(fanned_out(&event(number), 1, &[1]));
        entries.extend(delivered(number, 1, 1, at(5)));
    }
    apply(&transaction, &placed(entries)).unwrap();
    let all = rows(&transaction);
    let steps = sweep(&transaction, at(1000));
    assert!(steps.iter().all(|removed| (0..=1000).contains(removed)), "{steps:?}");
    assert_eq!((steps.iter().sum::<i64>(), rows(&transaction)), (all, 0));
}

#[test]
fn free_pages_are_given_back_but_for_a_reserve() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.db");
    let database = crate::database::Database::open(&path, 1).unwrap();
    drop(database);
    let mut connection = rusqlite::Connection::open(&path).unwrap();
    let transaction = connection.transaction().unwrap();
    for number in 0..4000 {
        let told = [vec![fanned_out(&event(number), 1, &[1])], delivered(number, 1, 3, at(5))].concat();
        apply(&transaction, &placed(told)).unwrap();
    }
    transaction.commit().unwrap();
    let transaction = connection.transaction().unwrap();
    sweep(&transaction, at(100_000));
    let pages = |pragma: &str| transaction.query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap();
    let before = pages("PRAGMA page_count");
    let mut steps = Vec::new();
    loop {
        let (counted, more) = (pages("PRAGMA page_count"), give_back(&transaction).unwrap());
        steps.push(counted - pages("PRAGMA page_count"));
        if !more {
            break;
        }
    }
    // With the pages given back go those of SQLite's own that kept track of them.
    assert!(steps.len() > 1 && steps.iter().all(|given| *given <= 1000 + 2), "{steps:?}");
    let (after, free) = (pages("PRAGMA page_count"), pages("PRAGMA freelist_count"));
    assert!(after < before / 4 && free > 0 && free <= before / 8, "{before} pages before, {after} after, {free} free");
}

#[tokio::test]
async fn as_days_go_by_what_ended_goes_and_what_waits_stays() {
    let running = Running::start_with(Span::from_secs(DAY.unsigned_abs()));
    let old = subscription(1, "**", "https://one.example/");
    running.store.set(old.clone());
    running.knows_url(&old).await;
    let unknown = original(&event(77), 1);
    running
        .tell([
            fanned_out(&event(1), 1, &[1]),
            fanned_out(&event(2), 1, &[1]),
            ended(&original(&event(1), 1), 0, End::Exhausted, at(5)),
            brought_forward(&unknown, 3, at(6)),
        ])
        .await;
    let shown = async |number| running.history.event(&project(), &event(number).id, None).await.unwrap().is_some();
    assert!(shown(1).await && shown(2).await);
    running.clock.advance(Duration::from_secs(2 * DAY.unsigned_abs()));
    running.as_time_goes_by(async || !shown(1).await).await;
    assert!(shown(2).await);
    let remembered = async || {
        let count = "SELECT count(*) FROM brought_forward";
        let database = &running.history.database;
        database
            .read("count", |transaction| transaction.query_row(count, [], |row| row.get::<_, i64>(0)))
            .await
            .unwrap()
    };
    running.as_time_goes_by(async || remembered().await == 0).await;
}
