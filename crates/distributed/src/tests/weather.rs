//! Servers that go away and come back: everything goes on, and nothing is lost.

use std::time::Duration;

use fanfare_core::delivery::{End, Place};
use fanfare_core::health::Health;
use fanfare_core::ids::Hop;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::config_store::{Expected, Group, Record};
use fanfare_core::ports::dedup::Claim;
use fanfare_core::ports::delivery_queue::{Push, Settling};
use fanfare_core::ports::event_log::Appended;
use fanfare_core::ports::journal::JournalPosition;
use fanfare_core::ports::{ConfigStore, Dedup, DeliveryQueue, EventLog, Journal, StoreErrorKind};
use fanfare_testkit::conformance::Harness;
use fanfare_testkit::conformance::fixtures::{
    TTL, delivery, ended, entry, event, event_id, failed, gated, lease, lease_one, nothing_else, project, push, soon,
    webhook,
};

use super::harness::{Servers, ports};
use crate::Distributed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_or_waits_goes_on_after_nats_was_killed() {
    let mut servers = Servers::begin().await;
    let engine = servers.connect().await;
    let now = servers.clock().now();
    EventLog::append(&engine, vec![event("shop", "before", "x", now)]).await.unwrap();
    Journal::append(&engine, vec![entry(1)]).await.unwrap();
    let mut journal = engine.read(JournalPosition(0)).await.unwrap();
    assert_eq!(soon(journal.next(10)).await.unwrap().len(), 1);
    let mut watch = engine.watch(Group::State).await.unwrap();
    soon(watch.next()).await.unwrap();
    let waiting = tokio::spawn({
        let engine = engine.clone();
        async move {
            loop {
                // Not being answered is no end: workers ask again.
                if let Ok(leases) = engine.lease(10).await {
                    return leases;
                }
            }
        }
    });

    servers.nats.kill().await;
    let refused = EventLog::append(&engine, vec![event("shop", "during", "x", now)]).await;
    assert!(refused.is_err_and(|error| error.kind == StoreErrorKind::Unavailable));
    servers.nats.start_again().await;

    let answer = retry(async || EventLog::append(&engine, vec![event("shop", "during", "x", now)]).await).await;
    // The first call may have got through in the end.
    assert!(matches!(answer[0], Appended::Accepted | Appended::Duplicate));
    let before = EventLog::get(&engine, &project("shop"), &event_id("before")).await;
    assert!(before.unwrap().is_some());
    retry(async || Journal::append(&engine, vec![entry(2)]).await).await;
    assert_eq!(soon(journal.next(10)).await.unwrap()[0].1, entry(2));
    let record = Record::Health(Health::new(webhook(7), project("new")));
    retry(async || engine.put(record.clone(), Expected::Any).await).await;
    // A watch that begins anew may tell of nothing first.
    let change = soon(async {
        loop {
            if let Some(change) = watch.next().await.unwrap().changes.pop() {
                return change;
            }
        }
    })
    .await;
    assert_eq!(change.record, Some(record));
    retry(async || {
        let pushes = vec![Push { delivery: delivery(webhook(1), "order-1", now), place: Place::Ready, repeated: true }];
        engine.push(pushes, Vec::new()).await
    })
    .await;
    let leases = soon(waiting).await.unwrap();
    assert_eq!(leases[0].delivery.header.event.as_str(), "order-1");
    engine.close().await;
}

/// Repeats a call until it is answered.
async fn retry<T>(call: impl AsyncFn() -> fanfare_core::ports::StoreResult<T>) -> T {
    soon(async {
        loop {
            match call().await {
                Ok(answer) => return answer,
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_go_on_without_redis_and_claims_say_that_it_is_away() {
    let mut servers = Servers::begin().await;
    let engine = servers.connect().await;
    servers.redis.kill().await;
    let view = ports(engine.clone());
    let pushed = push(&servers, &view, webhook(1), "order-1", Place::Ready).await;
    let held = lease_one(&view).await;
    let refused = soon(engine.claim(pushed.header.id, Hop(0), TTL, None)).await.expect_err("Redis is away");
    assert_eq!(refused.kind, StoreErrorKind::Unavailable);
    assert_eq!(view.queue.settle(&held, failed(&servers, Place::Ready)).await.unwrap(), Settling::Applied);
    let again = lease_one(&view).await;
    assert_eq!(again.delivery.header.hop, Hop(1));
    assert_eq!(view.queue.settle(&again, ended(&servers, End::Delivered)).await.unwrap(), Settling::Applied);

    servers.redis.start_again().await;
    let claim = retry(async || engine.claim(pushed.header.id, Hop(1), TTL, None).await).await;
    assert_eq!(claim, Claim::Claimed, "it was never told of the end");
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_emptied_loses_no_delivery() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let view = ports(engine.clone());
    push(&servers, &view, webhook(1), "ready", Place::Ready).await;
    push(&servers, &view, webhook(1), "gated", gated()).await;
    let held = lease_one(&view).await;
    let id = held.delivery.header.id;
    assert_eq!(engine.claim(id, Hop(0), TTL, None).await.unwrap(), Claim::Claimed);
    let client = redis::Client::open(servers.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    assert_eq!(view.queue.settle(&held, failed(&servers, Place::Ready)).await.unwrap(), Settling::Applied);
    let again = lease_one(&view).await;
    assert_eq!((again.delivery.header.id, again.delivery.header.hop), (id, Hop(1)));
    assert_eq!(engine.claim(id, Hop(0), TTL, None).await.unwrap(), Claim::Stale, "the move was noted again");
    assert_eq!(engine.claim(id, Hop(1), TTL, None).await.unwrap(), Claim::Claimed);
    assert_eq!(engine.gate_depth(webhook(1)).await.unwrap().count, 1);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_cut_off_anywhere_is_whole_when_it_is_repeated() {
    for point in ["after the deliveries", "before the journal"] {
        let servers = Servers::begin().await;
        let engine = servers.connect().await;
        let now = servers.clock().now();
        let pushes = || {
            let ready = Push { delivery: delivery(webhook(1), "ready", now), place: Place::Ready, repeated: true };
            vec![ready, Push { delivery: delivery(webhook(2), "gated", now), place: gated(), repeated: true }]
        };
        engine.shared.faults.plan(point);
        assert!(engine.push(pushes(), vec![entry(1)]).await.is_err());
        Harness::crash(&servers, ports(engine)).await;

        let engine = servers.connect().await;
        // The fan-out that comes next may see the gates otherwise.
        let mut again = pushes();
        again.iter_mut().for_each(|push| push.place = Place::Ready);
        let second = engine.push(if point == "before the journal" { again } else { pushes() }, vec![entry(1)]).await;
        assert_eq!(second.unwrap(), 0, "{point}");
        let view = ports(engine.clone());
        assert_eq!(lease(&view, 1).await[0].delivery.header.event.as_str(), "ready");
        assert_eq!(engine.depth().await.unwrap().ready, 0, "{point}: pushed twice");
        assert_eq!(engine.gate_depth(webhook(2)).await.unwrap().count, 1);
        let mut journal = engine.read(JournalPosition(0)).await.unwrap();
        assert_eq!(soon(journal.next(10)).await.unwrap()[0].1, entry(1), "{point}: the journal does not tell of it");
        engine.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_owner_that_dies_while_settling_loses_nothing() {
    for point in ["before step 1", "after step 1", "after step 2", "before the copy is removed"] {
        let servers = Servers::begin().await;
        let engine = servers.connect().await;
        let view = ports(engine.clone());
        let id = push(&servers, &view, webhook(1), "order-1", gated()).await.header.id;
        let held = take(&engine).await;
        assert_eq!(
            engine.claim(id, held.delivery.header.hop, Duration::from_millis(1), None).await.unwrap(),
            Claim::Claimed
        );
        engine.shared.faults.plan(point);
        assert!(engine.settle(&held, failed(&servers, gated())).await.is_err());
        drop(view);
        Harness::crash(&servers, ports(engine)).await;

        let engine = servers.connect().await;
        let behind = engine.gate_read(webhook(1), Default::default(), 10).await.unwrap();
        let hops: Vec<Hop> = behind.iter().map(|(_, delivery)| delivery.header.hop).collect();
        assert!(!hops.is_empty(), "{point}: lost");
        // Of two copies the claims know which one is live.
        for (_, delivery) in &behind {
            let claim = engine.claim(id, delivery.header.hop, TTL, None).await.unwrap();
            let is_last = Some(&delivery.header.hop) == hops.iter().max();
            assert!(claim != Claim::Busy && (!is_last || claim != Claim::Stale), "{point}: {hops:?} {claim:?}");
        }
        engine.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_on_the_way_into_quarantine_loses_nothing_and_leaves_one_copy() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let view = ports(engine.clone());
    let id = push(&servers, &view, webhook(1), "order-1", Place::Ready).await.header.id;
    servers.spoil(webhook(1), id).await;
    engine.shared.faults.plan("after the quarantine");
    // It is in quarantine and still in the queue, from where it comes again.
    soon(async {
        let waiting = async { drop(engine.lease(1).await) };
        tokio::select! {
            () = waiting => {}
            () = until_quarantined(&engine) => {}
        }
    })
    .await;
    drop(view);
    Harness::crash(&servers, ports(engine)).await;

    let engine = servers.connect().await;
    let view = ports(engine.clone());
    let told = async {
        let mut journal = engine.read(JournalPosition(0)).await.unwrap();
        journal.next(10).await.unwrap()
    };
    let told = soon(async {
        tokio::select! {
            told = told => told,
            leased = engine.lease(1) => panic!("it was leased: {leased:?}"),
        }
    })
    .await;
    assert!(matches!(&told[0].1, JournalEntry::Quarantined(entry) if entry.delivery == id), "{told:?}");
    nothing_else(&servers, &view).await;
    assert_eq!(engine.depth().await.unwrap().quarantined, 1);
    engine.close().await;
}

async fn until_quarantined(engine: &Distributed) {
    while engine.depth().await.unwrap().quarantined == 0 {
        tokio::task::yield_now().await;
    }
}

/// Takes the one delivery behind the gate of webhook 1.
async fn take(engine: &Distributed) -> fanfare_core::ports::delivery_queue::Lease {
    let mut share = engine.own_gates().await.unwrap();
    soon(async {
        loop {
            if let Some(lease) = share.next().await.unwrap().take(webhook(1), 1).await.unwrap().pop() {
                // The partition stays held until the engine is gone.
                std::mem::forget(share);
                return lease;
            }
        }
    })
    .await
}
