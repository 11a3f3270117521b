//! Claims at the master that Sentinels know: after its death they go on at the replica.

use std::time::Duration;

use fanfare_core::delivery::End;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::Claim;
use fanfare_core::ports::{Dedup, StoreErrorKind};
use fanfare_testkit::RedisSentinels;
use fanfare_testkit::conformance::fixtures::{TTL, soon};
use uuid::Uuid;

use super::harness::ServersWith;
use crate::Distributed;

type Watched = ServersWith<RedisSentinels>;

fn somebody(number: u128) -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(number))
}

/// Asks until it is answered; what is not is `Unavailable`, within a bound.
async fn claim(engine: &Distributed, delivery: DeliveryId, hop: Hop) -> Claim {
    let asking = async {
        loop {
            match soon(engine.claim(delivery, hop, TTL, None)).await {
                Ok(claim) => return claim,
                Err(error) => assert_eq!(error.kind, StoreErrorKind::Unavailable),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("claims are answered again")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_go_on_at_the_replica_when_the_master_is_killed() {
    let mut servers = Watched::begin().await;
    let engine = servers.connect().await;
    assert_eq!(engine.claim(somebody(1), Hop(0), TTL, None).await.unwrap(), Claim::Claimed);
    engine.complete(somebody(2), End::Delivered, TTL).await.unwrap();
    // A Sentinel that is away hinders nobody.
    servers.redis.sentinels[0].kill().await;
    servers.redis.master.ask(&["WAIT", "1", "10000"]).await;
    servers.redis.master.kill().await;
    soon(engine.claim(somebody(3), Hop(0), TTL, None)).await.expect_err("there is no master");

    servers.redis.promoted().await;
    assert_eq!(claim(&engine, somebody(1), Hop(0)).await, Claim::Busy, "the replica had a copy");
    assert_eq!(claim(&engine, somebody(2), Hop(0)).await, Claim::Done(End::Delivered));
    assert_eq!(claim(&engine, somebody(4), Hop(0)).await, Claim::Claimed);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_becomes_a_replica_is_left_for_the_new_one() {
    let servers = Watched::begin().await;
    let engine = servers.connect().await;
    assert_eq!(engine.claim(somebody(1), Hop(0), TTL, None).await.unwrap(), Claim::Claimed);
    servers.redis.sentinels[1].ask(&["SENTINEL", "FAILOVER", "claims"]).await;
    servers.redis.promoted().await;
    assert_eq!(claim(&engine, somebody(2), Hop(0)).await, Claim::Claimed);
    engine.close().await;
}
