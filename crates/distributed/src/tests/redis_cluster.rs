//! Claims in a cluster of three masters.

use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::{Claim, Standing};
use fanfare_core::ports::{Dedup, StoreErrorKind};
use fanfare_testkit::RedisCluster;
use fanfare_testkit::conformance::fixtures::{TTL, soon};
use uuid::Uuid;

use super::harness::ServersWith;

type Clustered = ServersWith<RedisCluster>;

mod conformance {
    use super::Clustered;
    fanfare_testkit::conformance_suite! { @tests Clustered;
        dedup {
            a_claim_is_held_until_it_runs_out
            a_higher_hop_takes_over_and_the_lower_is_stale
            a_release_makes_lower_hops_stale
            done_comes_first_and_the_first_end_stays
            claims_of_queued_deliveries_follow_their_hop
            standing_says_what_is_known
            ends_are_remembered_after_a_crash
        }
    }
}

fn somebody(number: u128) -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(number))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_spread_over_all_masters_and_looked_up_together() {
    let servers = Clustered::begin().await;
    let engine = servers.connect().await;
    let deliveries: Vec<DeliveryId> = (0..60).map(somebody).collect();
    for delivery in &deliveries {
        assert_eq!(engine.claim(*delivery, Hop(2), TTL, None).await.unwrap(), Claim::Claimed);
    }
    for node in &servers.redis.nodes {
        let keys: u32 = node.ask(&["DBSIZE"]).await.parse().unwrap();
        assert!(keys > 0, "one master has no claims");
    }
    assert_eq!(engine.standing(&deliveries).await.unwrap(), vec![Standing::Live(Hop(2)); 60]);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_has_moved_is_followed() {
    let servers = Clustered::begin().await;
    let engine = servers.connect().await;
    // What the client has learned is then wrong for this key.
    let (delivery, key) = (somebody(7), engine.shared.names.redis_key(somebody(7)));
    assert_eq!(engine.claim(delivery, Hop(0), TTL, None).await.unwrap(), Claim::Claimed);
    servers.redis.move_slot_of(&key).await;
    assert_eq!(
        engine.claim(delivery, Hop(1), TTL, None).await.unwrap(),
        Claim::Claimed,
        "its claim was not moved with it"
    );
    assert_eq!(engine.standing(&[delivery]).await.unwrap(), [Standing::Live(Hop(1))]);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_away_fails_its_own_claims_within_their_bound_and_comes_back() {
    let mut servers = Clustered::begin().await;
    let engine = servers.connect().await;
    for number in 0..30 {
        assert_eq!(engine.claim(somebody(number), Hop(0), TTL, None).await.unwrap(), Claim::Claimed);
    }
    servers.redis.nodes[0].kill().await;
    let mut refused = 0;
    for number in 0..30 {
        match soon(engine.claim(somebody(number), Hop(1), TTL, None)).await {
            Ok(claim) => assert!(matches!(claim, Claim::TakenOver | Claim::Claimed), "{claim:?}"),
            Err(error) => {
                assert_eq!(error.kind, StoreErrorKind::Unavailable);
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "nobody had claims at the master that is away");
    servers.redis.nodes[0].start_again().await;
    for number in 0..30 {
        soon(async { while engine.claim(somebody(number), Hop(2), TTL, None).await.is_err() {} }).await;
    }
    engine.close().await;
}
