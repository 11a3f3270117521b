//! Owning gates.

use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::delivery_queue::{GatePartition, GateShare, Lease};
use fanfare_core::ports::{StoreError, StoreResult};
use parking_lot::Mutex;

use super::sharing::{Holding, Member};
use super::{Call, Client};
use crate::model::{Data, Kind, Over, Told, Topic, partition_of};

const WAITING: &str = "wait for arrivals behind gates";
const TAKING: &str = "take from behind a gate";

/// Takes part in owning gates.
pub(super) struct Share {
    client: Client,
    member: Member,
}

impl Share {
    pub(super) fn join(client: &Client) -> Self {
        Self { client: client.clone(), member: Member::join(client, Kind::Gates) }
    }
}

#[async_trait]
impl GateShare for Share {
    async fn next(&mut self) -> StoreResult<Arc<dyn GatePartition>> {
        let holding = self.member.next("wait for a partition of gates").await?;
        Ok(Arc::new(Owned { client: self.client.clone(), holding, told: Mutex::default() }))
    }
}

/// One owned partition.
struct Owned {
    client: Client,
    holding: Arc<Holding>,
    told: Mutex<Told>,
}

#[async_trait]
impl GatePartition for Owned {
    async fn arrivals(&self) -> StoreResult<Vec<WebhookId>> {
        let (shared, holding) = (&self.client.0, &self.holding);
        shared.weather.before(Call::streams(WAITING)).await?;
        // Nothing is awaited between noting that it is told and the return.
        let arrivals = |data: &mut Data, now| {
            let (held, mut told) = (holding.is_held(&*shared.clock), self.told.lock());
            if !held {
                return Ok(Err(StoreError::lost(WAITING)));
            }
            data.copies.arrivals(holding.partition, &mut told, &data.bounds, now).map(Ok)
        };
        tokio::select! {
            biased;
            told = shared.servers.wait_for(Topic::Copies, arrivals) => told,
            () = holding.lost() => Err(StoreError::lost(WAITING)),
        }
    }

    fn is_held(&self) -> bool {
        self.holding.is_held(&*self.client.0.clock)
    }

    async fn take(&self, webhook: WebhookId, max: usize) -> StoreResult<Vec<Lease>> {
        let (shared, holding) = (&self.client.0, &self.holding);
        holding.check(&*shared.clock, TAKING)?;
        if partition_of(webhook, &shared.servers.bounds()) != holding.partition {
            return Ok(Vec::new());
        }
        shared.weather.before(Call::streams(TAKING)).await?;
        let unfit =
            shared.servers.read(|data, now| data.copies.unfit_behind(webhook, max, holding.fence.0, &data.bounds, now));
        for out in unfit {
            self.client.set_aside(&out).await?;
        }
        holding.check(&*shared.clock, TAKING)?;
        let take = |data: &mut Data, now| {
            let bounds = data.bounds;
            data.copies.take(webhook, max, holding.fence, shared.id, &bounds, now)
        };
        // Nothing is awaited from the grant to the return.
        let leases = shared.servers.change(take);
        shared.from_gates.lock().extend(leases.iter().map(|lease| (lease.token, Arc::clone(holding))));
        Ok(leases)
    }

    async fn take_expired(&self, now: Timestamp, held_before: Timestamp, max: usize) -> StoreResult<Vec<Lease>> {
        const DOING: &str = "take what has expired behind gates";
        let (shared, holding) = (&self.client.0, &self.holding);
        holding.check(&*shared.clock, DOING)?;
        shared.weather.before(Call::streams(DOING)).await?;
        holding.check(&*shared.clock, DOING)?;
        let over = Over { now, held_before };
        // What may not be leased is set aside when its turn comes. Nothing is awaited from the grant to the return.
        let leases = shared.servers.change(|data: &mut Data, at| {
            let bounds = data.bounds;
            data.copies.take_expired(holding.partition, &over, max, holding.fence, shared.id, &bounds, at)
        });
        shared.from_gates.lock().extend(leases.iter().map(|lease| (lease.token, Arc::clone(holding))));
        Ok(leases)
    }
}
