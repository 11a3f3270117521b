//! Several processes on one pair of servers: each with an engine of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use fanfare_core::delivery::{End, Place};
use fanfare_core::ports::event_log::{PartitionReader, PartitionShare, Position};
use fanfare_core::ports::{DeliveryQueue, EventLog, StoreErrorKind};
use fanfare_testkit::conformance::Harness;
use fanfare_testkit::conformance::fixtures::{ended, event, push, soon, waits, webhook};

use super::harness::{Servers, ports};
use crate::events::position;

/// Takes partitions until there are that many.
async fn gain(share: &mut dyn PartitionShare, count: usize) -> Vec<Box<dyn PartitionReader>> {
    let mut readers = Vec::new();
    while readers.len() < count {
        readers.push(soon(share.next()).await.unwrap());
    }
    readers
}

fn numbers(readers: &[Box<dyn PartitionReader>]) -> BTreeSet<u16> {
    readers.iter().map(|reader| reader.partition().0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_later_is_given_an_even_share_and_the_first_is_told() {
    let servers = Servers::begin().await;
    let (one, two) = (servers.connect().await, servers.connect().await);
    let mut first = one.consume().await.unwrap();
    let mut readers = gain(&mut *first, 4).await;
    assert_eq!(numbers(&readers).len(), 4);
    let mut second = two.consume().await.unwrap();
    let others = gain(&mut *second, 2).await;
    for reader in &mut readers {
        // What was given back says so; what was kept has nothing to read.
        if numbers(&others).contains(&reader.partition().0) {
            assert_eq!(soon(reader.next(1)).await.expect_err("it was given back").kind, StoreErrorKind::Lost);
        } else {
            waits(reader.next(1)).await;
        }
    }
    drop(second);
    let back = gain(&mut *first, 2).await;
    assert_eq!(numbers(&back), numbers(&others));
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_held_is_taken_over_and_nothing_is_skipped() {
    let servers = Servers::begin().await;
    let survivor = servers.connect().await;
    let dying = servers.connect().await;
    let now = servers.clock().now();
    let mut share = dying.consume().await.unwrap();
    let mut readers = gain(&mut *share, 4).await;
    dying.append(vec![event("shop", "a", "x", now), event("shop", "b", "x", now)]).await.unwrap();
    let home = survivor.shared.names.partition_of(&event("shop", "a", "x", now).header.project, "");
    let reader = readers.iter_mut().find(|reader| reader.partition().0 == home).unwrap();
    let read = soon(reader.next(1)).await.unwrap();
    reader.advance(read[0].position).await.unwrap();
    dying.shared.faults.kill();
    dying.close().await;

    let mut next = survivor.consume().await.unwrap();
    let taken_at = servers.clock().monotonic();
    let mut taken = gain(&mut *next, 4).await;
    assert!(servers.clock().monotonic().since(taken_at) < Duration::from_secs(10));
    let reader = taken.iter_mut().find(|reader| reader.partition().0 == home).unwrap();
    let read = soon(reader.next(10)).await.unwrap();
    assert_eq!(read.iter().map(|event| event.event.header.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert!(read[0].redelivered);
    survivor.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_was_overtaken_moves_no_position_even_if_it_does_not_know() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let mut old = position::claim(&engine, 0, 10).await.unwrap();
    let mut new = position::claim(&engine, 0, 11).await.unwrap();
    assert_eq!(old.advance(&engine, 0, 5).await.expect_err("it has been overtaken").kind, StoreErrorKind::Lost);
    new.advance(&engine, 0, 7).await.unwrap();
    new.advance(&engine, 0, 9).await.unwrap();
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_of_two_processes_share_deliveries_and_get_none_twice() {
    const COUNT: usize = 60;
    let servers = Servers::begin().await;
    let (one, two) = (servers.connect().await, servers.connect().await);
    let view = ports(one.clone());
    for number in 0..COUNT {
        push(&servers, &view, webhook(1), &number.to_string(), Place::Ready).await;
    }
    let mut seen = Vec::new();
    while seen.len() < COUNT {
        for engine in [&one, &two] {
            if seen.len() < COUNT {
                for lease in soon(engine.lease(7)).await.unwrap() {
                    engine.settle(&lease, ended(&servers, End::Delivered)).await.unwrap();
                    seen.push(lease.delivery.header.event.to_string());
                }
            }
        }
    }
    let distinct: BTreeSet<&String> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (COUNT, COUNT));
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_advance_past_what_was_read_stops_there() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let now = servers.clock().now();
    engine.append((0..3).map(|id| event("shop", &id.to_string(), "x", now)).collect()).await.unwrap();
    let mut share = engine.consume().await.unwrap();
    let home = engine.shared.names.partition_of(&event("shop", "0", "x", now).header.project, "");
    let mut readers = gain(&mut *share, 4).await;
    let reader = readers.iter_mut().find(|reader| reader.partition().0 == home).unwrap();
    // Two of the three, which may come one by one.
    for left in [2, 1] {
        let read = soon(reader.next(left)).await.unwrap();
        if read.len() == left {
            break;
        }
    }
    reader.advance(Position(u64::MAX)).await.unwrap();
    assert_eq!(engine.backlog().await.unwrap(), 1, "the third has been handed to nobody");
    engine.close().await;
}
