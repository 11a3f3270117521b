//! Claims.

use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::delivery::End;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::dedup::{Claim, Dedup, Fence, Standing};
use fanfare_core::ports::delivery_queue::Lease;

use super::{Call, Client};
use crate::model::{Claimer, Data, Now};

/// Names of calls, in errors and traces.
pub(crate) const CLAIM: &str = "claim a delivery";
pub(crate) const RELEASE: &str = "release a claim";
pub(crate) const COMPLETE: &str = "mark a delivery as ended";

#[async_trait]
impl Dedup for Client {
    async fn claim(&self, delivery: DeliveryId, hop: Hop, ttl: Duration, fence: Option<Fence>) -> StoreResult<Claim> {
        let by = Claimer { process: self.0.id, fence };
        let call = Call::claims(CLAIM).of(delivery, hop);
        let claim = |data: &mut Data, Now { monotonic: now, .. }| {
            let is_gone = |process| data.shares.is_gone(process, now);
            data.claims.claim(delivery, hop, ttl, by, is_gone, now)
        };
        self.call(call, claim).await
    }

    async fn release(&self, delivery: DeliveryId, hop: Hop) -> StoreResult<()> {
        let call = Call::claims(RELEASE).of(delivery, hop);
        self.call(call, |data, now| data.claims.raise(delivery, hop.next(), now.monotonic)).await
    }

    async fn complete(&self, delivery: DeliveryId, end: End, keep: Duration) -> StoreResult<()> {
        let call = Call::claims(COMPLETE).of(delivery, Hop(0));
        self.call(call, |data, now| data.claims.complete(delivery, end, keep, now.monotonic)).await
    }

    async fn standing(&self, deliveries: &[DeliveryId]) -> StoreResult<Vec<Standing>> {
        let look = |data: &mut Data, now: Now| {
            deliveries.iter().map(|delivery| data.claims.standing(*delivery, now.monotonic)).collect()
        };
        self.ask(Call::claims("ask what is known"), look).await
    }
}

impl Client {
    /// Ends this process's claim on a delivery that it does not work on any more. Where that fails the claim runs out.
    pub(super) async fn give_claim_up(&self, lease: &Lease) {
        let (delivery, hop) = (lease.delivery.header.id, lease.delivery.header.hop);
        let by = Claimer { process: self.0.id, fence: lease.fence };
        let call = Call::claims("give a claim up").of(delivery, hop);
        let _ = self.call(call, |data, now| data.claims.give_up(delivery, hop, by, now.monotonic)).await;
    }
}
