//! What the event log promises.

use std::collections::HashMap;

use fanfare_core::ports::StoreErrorKind;
use fanfare_core::ports::event_log::{Appended, LoggedEvent, PartitionReader, PartitionShare, Position};
use futures_util::future::select_all;

use super::fixtures::{event, event_id, project, soon, waits};
use super::{Engine, Harness};

async fn append(engine: &Engine, events: Vec<fanfare_core::event::Event>) -> Vec<Appended> {
    engine.log.append(events).await.expect("appended")
}

/// Every partition's reader. An engine with several hands them out one by one; the last one is followed by a wait.
struct Readers {
    _share: Box<dyn PartitionShare>,
    readers: Vec<Box<dyn PartitionReader>>,
}

impl Readers {
    async fn of<H: Harness>(harness: &H, engine: &Engine) -> Self {
        let mut share = engine.log.consume().await.expect("takes part");
        let mut readers = Vec::new();
        while readers.len() < harness.partitions() {
            readers.push(soon(share.next()).await.expect("a partition"));
        }
        Self { _share: share, readers }
    }

    /// Reads exactly that many events, from whichever partitions they are in; with the index of each one's reader.
    async fn read(&mut self, count: usize) -> Vec<(usize, LoggedEvent)> {
        let mut read = Vec::new();
        while read.len() < count {
            let left = count - read.len();
            let reading = select_all(self.readers.iter_mut().map(|reader| reader.next(left)));
            let (events, index, _) = soon(reading).await;
            read.extend(events.expect("read").into_iter().map(|event| (index, event)));
        }
        read
    }

    async fn advance_past(&mut self, read: &[(usize, LoggedEvent)]) {
        let mut last = HashMap::new();
        for (index, event) in read {
            last.insert(*index, event.position);
        }
        for (index, position) in last {
            self.readers[index].advance(position).await.expect("advanced");
        }
    }
}

fn ids(read: &[(usize, LoggedEvent)]) -> Vec<String> {
    let mut ids: Vec<String> = read.iter().map(|(_, logged)| logged.event.header.id.to_string()).collect();
    ids.sort();
    ids
}

/// What was accepted reads back, and what was not does not.
pub async fn an_event_is_accepted_once_and_read_back<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let sent = event("shop", "order-1", "{\"total\":1}", harness.clock().now());
    assert_eq!(append(&engine, vec![sent.clone()]).await, [Appended::Accepted]);
    let read = engine.log.get(&project("shop"), &event_id("order-1")).await.expect("read").expect("is there");
    assert_eq!((read.header, read.data, read.content), (sent.header, sent.data, sent.content));
    assert!(engine.log.get(&project("shop"), &event_id("order-2")).await.expect("read").is_none());
}

/// The content decides between a repetition and another event; the one that was first stays.
pub async fn a_repeated_event_is_a_duplicate_and_another_under_its_id_a_conflict<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    append(&engine, vec![event("shop", "order-1", "first", now)]).await;
    assert_eq!(append(&engine, vec![event("shop", "order-1", "first", now)]).await, [Appended::Duplicate]);
    assert_eq!(append(&engine, vec![event("shop", "order-1", "other", now)]).await, [Appended::Conflict]);
    let kept = engine.log.get(&project("shop"), &event_id("order-1")).await.expect("read").expect("is there");
    assert_eq!(&kept.data[..], b"first");
    assert_eq!(engine.log.backlog().await.expect("counted"), 1, "neither is fanned out again");
}

/// The answers of one call are in its order, and know of the events before them.
pub async fn one_call_may_hold_an_event_twice<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    let events = vec![
        event("shop", "a", "1", now),
        event("shop", "b", "1", now),
        event("shop", "a", "1", now),
        event("shop", "b", "2", now),
    ];
    let answers = append(&engine, events).await;
    assert_eq!(answers, [Appended::Accepted, Appended::Accepted, Appended::Duplicate, Appended::Conflict]);
    assert_eq!(engine.log.backlog().await.expect("counted"), 2);
}

/// However many publish one id at once, one is told that it was accepted.
pub async fn concurrent_appends_of_one_id_accept_exactly_one<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..16 {
        let log = engine.log.clone();
        calls.spawn(async move { log.append(vec![event("shop", "order-1", &format!("{}", number % 2), now)]).await });
    }
    let answers: Vec<Appended> =
        calls.join_all().await.into_iter().flat_map(|answer| answer.expect("appended")).collect();
    let count = |which| answers.iter().filter(|answer| **answer == which).count();
    assert_eq!((count(Appended::Accepted), count(Appended::Duplicate), count(Appended::Conflict)), (1, 7, 8));
}

/// Two projects may use the same event id.
pub async fn an_id_belongs_to_its_project<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    let answers = append(&engine, vec![event("one", "order-1", "1", now), event("two", "order-1", "2", now)]).await;
    assert_eq!(answers, [Appended::Accepted, Appended::Accepted]);
    let second = engine.log.get(&project("two"), &event_id("order-1")).await.expect("read").expect("is there");
    assert_eq!(&second.data[..], b"2");
}

/// Within a partition events come in the order of their acceptance, each once, with rising positions.
pub async fn events_come_in_order_each_once<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    let mut readers = Readers::of(&harness, &engine).await;
    for number in 0..30 {
        // One project and no ordering key: one partition.
        append(&engine, vec![event("shop", &format!("order-{number:02}"), "x", now)]).await;
    }
    let read = readers.read(30).await;
    let order: Vec<String> = read.iter().map(|(_, logged)| logged.event.header.id.to_string()).collect();
    let expected: Vec<String> = (0..30).map(|number| format!("order-{number:02}")).collect();
    assert_eq!(order, expected);
    assert!(read.windows(2).all(|pair| pair[0].1.position < pair[1].1.position));
    assert!(read.iter().all(|(_, logged)| !logged.redelivered), "nothing was handed out before");
}

/// Reading does not shorten the backlog; advancing does.
pub async fn the_backlog_counts_what_no_position_has_passed<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    assert_eq!(engine.log.backlog().await.expect("counted"), 0);
    append(&engine, (0..5).map(|number| event("shop", &number.to_string(), "x", now)).collect()).await;
    let mut readers = Readers::of(&harness, &engine).await;
    let read = readers.read(5).await;
    assert_eq!(engine.log.backlog().await.expect("counted"), 5);
    readers.advance_past(&read[..3]).await;
    assert_eq!(engine.log.backlog().await.expect("counted"), 2);
    // Back is not a direction.
    let (index, first) = (read[0].0, read[0].1.position);
    readers.readers[index].advance(first).await.expect("advanced");
    assert_eq!(engine.log.backlog().await.expect("counted"), 2);
}

/// It says how many wait once they are more than it is asked for, and hears of what a position passes.
pub async fn a_backlog_above_a_bound_is_told<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    let above = async |max| engine.log.backlog_above(max).await.expect("counted");
    assert_eq!(above(0).await, None);
    append(&engine, (0..5).map(|number| event("shop", &number.to_string(), "x", now)).collect()).await;
    assert_eq!((above(5).await, above(4).await), (None, Some(5)));
    let mut readers = Readers::of(&harness, &engine).await;
    let read = readers.read(5).await;
    readers.advance_past(&read[..3]).await;
    soon(async {
        while above(2).await.is_some() {
            harness.pass(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    append(&engine, vec![event("shop", "5", "x", now)]).await;
    assert_eq!(above(2).await, Some(3));
}

/// At the bound and beyond; another project in the same partition is not concerned.
pub async fn a_line_is_crowded_by_its_own_projects_events_until_a_position_has_passed_them<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    let (ours, theirs) = ([event("shop", "next", "x", now)], [event("other", "next", "x", now)]);
    let is = |events: [fanfare_core::event::Event; 1]| {
        let log = engine.log.clone();
        async move { log.is_crowded(&events, 5).await.expect("counted") }
    };
    assert!(!is(ours.clone()).await);
    append(&engine, (0..4).map(|number| event("shop", &number.to_string(), "x", now)).collect()).await;
    assert!(!is(ours.clone()).await);
    append(&engine, vec![event("shop", "4", "x", now)]).await;
    assert!(is(ours.clone()).await);
    assert!(!is(theirs).await);
    let mut readers = Readers::of(&harness, &engine).await;
    let read = readers.read(5).await;
    readers.advance_past(&read[..2]).await;
    soon(async {
        while is(ours.clone()).await {
            harness.pass(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    drop(readers);
    harness.crash(engine).await;

    let engine = harness.open().await;
    append(&engine, vec![event("shop", "5", "x", now), event("shop", "6", "x", now)]).await;
    // An engine that asks its server does so when it has appended some itself.
    let _ = engine.log.is_crowded(&ours, 5).await.expect("counted");
    append(&engine, vec![event("shop", "7", "x", now)]).await;
    assert!(engine.log.is_crowded(&ours, 5).await.expect("counted"), "what was there before a crash counts");
}

/// A wait that is given up costs no event.
pub async fn a_reader_waits_and_loses_nothing_when_it_is_dropped_waiting<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    let mut readers = Readers::of(&harness, &engine).await;
    for reader in &mut readers.readers {
        waits(reader.next(1)).await;
    }
    append(&engine, vec![event("shop", "a", "x", now), event("shop", "b", "x", now)]).await;
    assert_eq!(ids(&readers.read(2).await), ["a", "b"]);
}

/// After a crash reading goes on behind the advanced position, and says what may have been seen before.
pub async fn an_advanced_position_is_durable_and_the_rest_comes_again<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    append(&engine, ["a", "b", "c", "d"].iter().map(|id| event("shop", id, "x", now)).collect()).await;
    let mut readers = Readers::of(&harness, &engine).await;
    let read = readers.read(3).await;
    readers.advance_past(&read[..1]).await;
    drop(readers);
    harness.crash(engine).await;

    let engine = harness.open().await;
    assert_eq!(engine.log.backlog().await.expect("counted"), 3);
    let mut readers = Readers::of(&harness, &engine).await;
    let again = readers.read(3).await;
    assert_eq!(ids(&again), ["b", "c", "d"]);
    assert!(again[..2].iter().all(|(_, logged)| logged.redelivered), "b and c had been handed out");
    append(&engine, vec![event("shop", "e", "x", now)]).await;
    let new = readers.read(1).await;
    assert_eq!((ids(&new), new[0].1.redelivered), (vec!["e".to_owned()], false));
    readers.advance_past(&new).await;
    assert_eq!(engine.log.backlog().await.expect("counted"), 0);
}

/// One holder at a time; the next one starts behind the position, and the old one is told.
pub async fn a_partition_passes_to_the_next_holder<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    append(&engine, vec![event("shop", "a", "x", now), event("shop", "b", "x", now)]).await;
    let mut first = Readers::of(&harness, &engine).await;
    let read = first.read(2).await;
    first.advance_past(&read[..1]).await;
    let Readers { _share: share, readers: mut old } = first;
    let mut next_share = engine.log.consume().await.expect("takes part");
    drop(share);
    let mut reader = soon(next_share.next()).await.expect("the partition");
    if old.len() == 1 {
        let come = soon(reader.next(10)).await.expect("read");
        assert_eq!(come.iter().map(|logged| logged.event.header.id.as_str()).collect::<Vec<_>>(), ["b"]);
        assert!(come[0].redelivered, "the first holder had been handed it");
    }
    for lost in &mut old {
        assert_eq!(lost.advance(Position(u64::MAX >> 1)).await.expect_err("lost").kind, StoreErrorKind::Lost);
        assert_eq!(soon(lost.next(1)).await.expect_err("lost").kind, StoreErrorKind::Lost);
    }
    assert_eq!(engine.log.backlog().await.expect("counted"), 1, "a holder that has lost it moves no position");
}

/// What was answered `Accepted` is there after a crash, and still recognised.
pub async fn accepted_events_survive_a_crash<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    let sent: Vec<_> = (0..40).map(|number| event("shop", &format!("{number:02}"), &number.to_string(), now)).collect();
    append(&engine, sent.clone()).await;
    harness.crash(engine).await;
    let engine = harness.open().await;
    assert!(append(&engine, sent).await.iter().all(|answer| *answer == Appended::Duplicate));
    let read = Readers::of(&harness, &engine).await.read(40).await;
    assert_eq!(ids(&read), (0..40).map(|number| format!("{number:02}")).collect::<Vec<_>>());
}

/// It is passed over, wherever it stands, and the backlog does not count it for ever.
pub async fn an_event_that_cannot_be_read_holds_nobody_up<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    append(&engine, ["a", "b", "c"].iter().map(|id| event("shop", id, "x", now)).collect()).await;
    harness.crash(engine).await;
    harness.spoil_event(&project("shop"), &event_id("a")).await;
    harness.spoil_event(&project("shop"), &event_id("b")).await;

    let engine = harness.open().await;
    append(&engine, ["d", "e"].iter().map(|id| event("shop", id, "x", now)).collect()).await;
    let mut readers = Readers::of(&harness, &engine).await;
    let read = readers.read(3).await;
    assert_eq!(ids(&read), ["c", "d", "e"]);
    readers.advance_past(&read).await;
    assert_eq!(engine.log.backlog().await.expect("counted"), 0);
    drop(readers);
    harness.crash(engine).await;
    harness.spoil_event(&project("shop"), &event_id("e")).await;

    // Done with or not, at the end and alone.
    let engine = harness.open().await;
    append(&engine, vec![event("shop", "f", "x", now)]).await;
    harness.crash(engine).await;
    harness.spoil_event(&project("shop"), &event_id("f")).await;
    let engine = harness.open().await;
    let mut readers = Readers::of(&harness, &engine).await;
    let passing = async {
        while engine.log.backlog().await.expect("counted") > 0 {
            for reader in &mut readers.readers {
                waits(reader.next(1)).await;
            }
            harness.pass(std::time::Duration::from_millis(50)).await;
        }
    };
    soon(passing).await;
    append(&engine, vec![event("shop", "g", "x", now)]).await;
    assert_eq!(ids(&readers.read(1).await), ["g"]);
}

/// An erased event is not read back and not handed out again; its id stays used, and what stands around it is untouched.
pub async fn an_erased_event_is_gone_and_its_id_stays_used<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let now = harness.clock().now();
    append(&engine, ["a", "b", "c", "d"].iter().map(|id| event("shop", id, "x", now)).collect()).await;
    append(&engine, vec![event("other", "b", "x", now)]).await;
    let mut readers = Readers::of(&harness, &engine).await;
    readers.read(5).await;
    for id in ["a", "b", "d", "no-such-event", "a"] {
        engine.log.erase(&project("shop"), &event_id(id)).await.expect("erased");
    }
    assert_eq!(append(&engine, vec![event("shop", "b", "x", now)]).await, [Appended::Duplicate]);
    drop(readers);
    harness.crash(engine).await;

    let engine = harness.open().await;
    for id in ["a", "b", "d"] {
        assert!(engine.log.get(&project("shop"), &event_id(id)).await.expect("read").is_none(), "{id}");
    }
    assert!(engine.log.get(&project("shop"), &event_id("c")).await.expect("read").is_some());
    assert!(engine.log.get(&project("other"), &event_id("b")).await.expect("read").is_some());
    assert_ne!(append(&engine, vec![event("shop", "d", "another", now)]).await, [Appended::Accepted]);
    append(&engine, vec![event("shop", "e", "x", now)]).await;
    let mut readers = Readers::of(&harness, &engine).await;
    let read = readers.read(3).await;
    assert_eq!(ids(&read), ["b", "c", "e"], "the other project's `b`");
    readers.advance_past(&read).await;
    assert_eq!(engine.log.backlog().await.expect("counted"), 0);
}
