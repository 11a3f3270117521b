//! What the journal promises.

use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::journal::{JournalPosition, JournalReader};

use super::fixtures::{entry, soon, waits, webhook};
use super::{Engine, Harness};

async fn append(engine: &Engine, numbers: impl IntoIterator<Item = u128>) {
    engine.journal.append(numbers.into_iter().map(entry).collect()).await.expect("appended");
}

async fn reader(engine: &Engine, after: u64) -> Box<dyn JournalReader> {
    engine.journal.read(JournalPosition(after)).await.expect("read")
}

/// Exactly that many entries, `max` at a time: their positions, and the numbers they were made with.
async fn read(reader: &mut dyn JournalReader, count: usize, max: usize) -> Vec<(JournalPosition, u128)> {
    let mut read = Vec::new();
    while read.len() < count {
        let page = soon(reader.next(max.min(count - read.len()))).await.expect("read");
        assert!((1..=max).contains(&page.len()));
        for (position, entry) in page {
            let JournalEntry::WebhookDeleted(deleted) = entry else { panic!("not what was appended: {entry:?}") };
            read.push((position, deleted.webhook.as_uuid().as_u128() - webhook(0).as_uuid().as_u128()));
        }
    }
    assert!(read.windows(2).all(|pair| pair[0].0 < pair[1].0), "positions rise");
    read
}

fn numbers(read: &[(JournalPosition, u128)]) -> Vec<u128> {
    read.iter().map(|(_, number)| *number).collect()
}

/// In the order of appending; reading can begin anywhere.
pub async fn entries_come_in_order_from_a_position_on<H: Harness>(harness: H) {
    let engine = harness.open().await;
    append(&engine, 0..3).await;
    append(&engine, 3..10).await;
    let mut first = reader(&engine, 0).await;
    let all = read(&mut *first, 10, 4).await;
    assert_eq!(numbers(&all), (0..10).collect::<Vec<_>>());
    let mut later = reader(&engine, all[5].0.0).await;
    assert_eq!(read(&mut *later, 4, 10).await, all[6..]);
}

/// A reader at the end waits; a wait that is given up costs nothing.
pub async fn a_reader_waits_for_what_is_appended<H: Harness>(harness: H) {
    let engine = harness.open().await;
    append(&engine, [1]).await;
    let mut reader = reader(&engine, 0).await;
    assert_eq!(numbers(&read(&mut *reader, 1, 10).await), [1]);
    waits(reader.next(10)).await;
    let waiting = tokio::spawn(async move { numbers(&read(&mut *reader, 2, 1).await) });
    tokio::task::yield_now().await;
    append(&engine, [2, 3]).await;
    assert_eq!(soon(waiting).await.expect("no panic"), [2, 3]);
    drop(harness);
}

/// Each reader has its own place.
pub async fn two_readers_do_not_disturb_each_other<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let (mut one, mut two) = (reader(&engine, 0).await, reader(&engine, 0).await);
    append(&engine, 0..6).await;
    assert_eq!(numbers(&read(&mut *one, 4, 2).await), [0, 1, 2, 3]);
    assert_eq!(numbers(&read(&mut *two, 6, 6).await), [0, 1, 2, 3, 4, 5]);
    append(&engine, 6..8).await;
    assert_eq!(numbers(&read(&mut *one, 4, 3).await), [4, 5, 6, 7]);
    assert_eq!(numbers(&read(&mut *two, 2, 3).await), [6, 7]);
    drop(harness);
}

/// What was answered is there after a crash; what comes after it comes behind it, also when nothing is left.
pub async fn entries_survive_a_crash_and_positions_go_on_rising<H: Harness>(harness: H) {
    let engine = harness.open().await;
    append(&engine, 0..5).await;
    harness.crash(engine).await;
    let engine = harness.open().await;
    append(&engine, [5]).await;
    let mut first = reader(&engine, 0).await;
    let all = read(&mut *first, 6, 10).await;
    assert_eq!(numbers(&all), [0, 1, 2, 3, 4, 5]);
    let last = all[5].0;
    first.done(last).await.expect("done");
    drop(first);
    harness.crash(engine).await;
    let engine = harness.open().await;
    append(&engine, [6]).await;
    let mut second = reader(&engine, last.0).await;
    let new = read(&mut *second, 1, 10).await;
    assert_eq!(numbers(&new), [6]);
    assert!(new[0].0 > last);
}

/// After `done` a reader that goes on from there misses nothing.
pub async fn entries_that_are_done_with_are_not_asked_for_again<H: Harness>(harness: H) {
    let engine = harness.open().await;
    append(&engine, 0..6).await;
    let mut first = reader(&engine, 0).await;
    let some = read(&mut *first, 4, 2).await;
    first.done(some[2].0).await.expect("done");
    // Less than before is no news.
    first.done(some[0].0).await.expect("done");
    assert_eq!(numbers(&read(&mut *first, 2, 10).await), [4, 5]);
    let mut second = reader(&engine, some[2].0.0).await;
    assert_eq!(numbers(&read(&mut *second, 3, 10).await), [3, 4, 5]);
    drop(harness);
}

/// Appends from many sides are interleaved, but none is torn or reordered.
pub async fn concurrent_appends_keep_the_order_of_each<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let mut appenders = tokio::task::JoinSet::new();
    for appender in 0..4_u128 {
        let engine = engine.clone();
        appenders.spawn(async move {
            for step in 0..10 {
                let first = appender * 1000 + step * 2;
                append(&engine, [first, first + 1]).await;
            }
        });
    }
    let mut reader = reader(&engine, 0).await;
    let all = numbers(&read(&mut *reader, 80, 7).await);
    soon(appenders.join_all()).await;
    for appender in 0..4 {
        let own: Vec<u128> = all.iter().copied().filter(|number| number / 1000 == appender).collect();
        assert_eq!(own, (appender * 1000..appender * 1000 + 20).collect::<Vec<_>>());
    }
    drop(harness);
}

/// The entries behind it are read.
pub async fn an_entry_that_cannot_be_read_is_passed_over<H: Harness>(harness: H) {
    let engine = harness.open().await;
    append(&engine, 0..3).await;
    harness.crash(engine).await;
    harness.spoil_last_entry().await;
    let engine = harness.open().await;
    let mut reader = reader(&engine, 0).await;
    assert_eq!(numbers(&read(&mut *reader, 2, 10).await), [0, 1]);
    waits(reader.next(10)).await;
    append(&engine, [3]).await;
    assert_eq!(numbers(&read(&mut *reader, 1, 10).await), [3]);
    drop(harness);
}
