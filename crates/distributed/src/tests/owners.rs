//! Owners of gates that come and go: whose claims are waited for, and whose are taken over.

use fanfare_core::ids::DeliveryId;
use fanfare_core::ports::Dedup;
use fanfare_core::ports::dedup::Claim;
use fanfare_core::ports::delivery_queue::Lease;
use fanfare_testkit::conformance::Harness;
use fanfare_testkit::conformance::fixtures::{TTL, gated, push, soon, webhook};
use fanfare_testkit::conformance::gate_owner::Owner;

use super::harness::{Servers, ports};
use crate::Distributed;

/// Takes both deliveries, in their order.
async fn take(owner: &Owner) -> [Lease; 2] {
    soon(async {
        let mut leases = Vec::new();
        while leases.len() < 2 {
            // The index of a partition fills as its owner reads what stands there.
            leases.extend(owner.take(webhook(1), 2).await);
            tokio::task::yield_now().await;
        }
        leases.try_into().unwrap()
    })
    .await
}

async fn claim(engine: &Distributed, lease: &Lease) -> Claim {
    let header = &lease.delivery.header;
    engine.claim(header.id, header.hop, TTL, lease.fence).await.unwrap()
}

/// Asks until it is not busy any more.
async fn soon_claimed(engine: &Distributed, lease: &Lease) -> Claim {
    soon(async {
        loop {
            match claim(engine, lease).await {
                Claim::Busy => tokio::task::yield_now().await,
                claim => break claim,
            }
        }
    })
    .await
}

async fn kill(engine: Distributed, owner: Option<Owner>) {
    engine.shared.faults.kill();
    drop(owner);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gives_gates_back_keeps_its_claims_as_long_as_it_lives_and_no_longer() {
    let servers = Servers::begin().await;
    let first = servers.connect().await;
    let view = ports(first.clone());
    let mut ids: Vec<DeliveryId> = Vec::new();
    for event in ["order-1", "order-2"] {
        ids.push(push(&servers, &view, webhook(1), event, gated()).await.header.id);
    }
    drop(view);

    let owner = Owner::of(&servers, &ports(first.clone())).await;
    let leases = take(&owner).await;
    assert_eq!(leases.each_ref().map(|lease| lease.delivery.header.id), *ids);
    assert_eq!(claim(&first, &leases[0]).await, Claim::Claimed);
    drop(owner);

    let second = servers.connect().await;
    let owner = Owner::of(&servers, &ports(second.clone())).await;
    let leases = take(&owner).await;
    assert_eq!(claim(&second, &leases[1]).await, Claim::Claimed);
    assert_eq!(claim(&second, &leases[0]).await, Claim::Busy);
    servers.pass(3 * servers.config().partition_lease.get()).await;
    assert_eq!(claim(&second, &leases[0]).await, Claim::Busy, "the first one is there, and may be sending");

    // An owner that is killed: what it had claimed is taken over, and not what one before it has that is alive.
    kill(second, Some(owner)).await;
    let third = servers.connect().await;
    let owner = Owner::of(&servers, &ports(third.clone())).await;
    let leases = take(&owner).await;
    assert_eq!(soon_claimed(&third, &leases[1]).await, Claim::TakenOver);
    assert_eq!(claim(&third, &leases[0]).await, Claim::Busy);

    // The one that had given them back is killed too.
    kill(first, None).await;
    assert_eq!(soon_claimed(&third, &leases[0]).await, Claim::TakenOver);
    assert_eq!(claim(&third, &leases[0]).await, Claim::Busy, "it is its own by now");
    drop(owner);
    third.close().await;
}
