//! The queue: pushing, leasing, settling, in the steps of the distributed engine.

mod forward;
mod settle;

use std::collections::BTreeSet;

use async_trait::async_trait;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{Delivery, Place, Settlement};
use fanfare_core::ids::{DeliveryId, WebhookId};
use fanfare_core::journal::{JournalEntry, Quarantined};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::dedup::{Dedup as _, Standing};
use fanfare_core::ports::delivery_queue::{
    BringForward, DeliveryQueue, GateDepth, GatePosition, GateShare, Lease, LeaseToken, Push, QueueDepth, Settling,
    Withdrawal,
};

#[cfg(test)]
pub(crate) use settle::PUBLISH;
pub(crate) use settle::{JOURNAL, REMOVE};

use super::gates::Share;
use super::{Call, Client};
use crate::model::{Data, Now, Out, Topic};

#[async_trait]
impl DeliveryQueue for Client {
    /// 1. What is known, or stands ready, is left out. 2. The rest is published. 3. What does not stand ready is noted as live.
    /// 4. The journal tells of it.
    async fn push(&self, mut pushes: Vec<Push>, entries: Vec<JournalEntry>) -> StoreResult<usize> {
        let mut seen = BTreeSet::new();
        pushes.retain(|push| seen.insert(push.delivery.header.id));
        let repeated: Vec<DeliveryId> =
            pushes.iter().filter(|push| push.repeated).map(|push| push.delivery.header.id).collect();
        // Without the claims all of it is pushed: message ids recognise what was pushed lately.
        if !repeated.is_empty()
            && let Ok(standings) = self.standing(&repeated).await
        {
            let known = repeated.iter().zip(standings).filter(|(_, standing)| *standing != Standing::Unknown);
            let known: BTreeSet<DeliveryId> = known.map(|(id, _)| *id).collect();
            pushes.retain(|push| !known.contains(&push.delivery.header.id));
            let ready = self
                .ask(Call::streams("look for what stands ready"), |data, now| {
                    repeated.iter().copied().filter(|id| data.copies.stands_ready(*id, now)).collect::<BTreeSet<_>>()
                })
                .await?;
            pushes.retain(|push| !ready.contains(&push.delivery.header.id));
        }
        let mut new = 0;
        for push in &pushes {
            let header = &push.delivery.header;
            let call = Call::streams("push deliveries").of(header.id, header.hop);
            let body = push.delivery.body.clone();
            let publish = |data: &mut crate::model::Data, now| {
                let bounds = data.bounds;
                data.copies.publish(header, body, push.place, &bounds, now)
            };
            new += usize::from(self.call(call, publish).await?);
        }
        pushes.retain(|push| push.place != Place::Ready);
        if !pushes.is_empty() {
            let note = |data: &mut crate::model::Data, now: crate::model::Now| {
                for push in &pushes {
                    data.claims.raise(push.delivery.header.id, push.delivery.header.hop, now.monotonic);
                }
            };
            let _ = self.call(Call::claims("note what was pushed"), note).await;
        }
        if !entries.is_empty() {
            let tell = |data: &mut crate::model::Data, _| {
                entries.into_iter().for_each(|entry| data.journal.append(entry, None));
            };
            self.call(Call::streams("journal what was pushed"), tell).await?;
        }
        Ok(new)
    }

    /// Nothing is awaited between the grant and the return: a wait that is given up has leased nothing.
    async fn lease(&self, max: usize) -> StoreResult<Vec<Lease>> {
        let (shared, by) = (&self.0, self.0.id);
        loop {
            shared.weather.before(Call::streams("lease deliveries")).await?;
            let unfit = shared.servers.read(|data, now| data.copies.unfit(&data.bounds, now));
            for out in unfit {
                self.set_aside(&out).await?;
            }
            let lease = |data: &mut crate::model::Data, now| {
                let bounds = data.bounds;
                // What comes to be unfit meanwhile is set aside first.
                if !data.copies.unfit(&bounds, now).is_empty() {
                    return Ok(None);
                }
                data.copies.lease(max.max(1), by, &bounds, now).map(Some)
            };
            if let Some(leases) = shared.servers.wait_for(Topic::Copies, lease).await {
                return Ok(leases);
            }
        }
    }

    /// What was taken from behind a gate its owner has leased to itself: no server is asked.
    async fn renew(&self, tokens: &[LeaseToken]) -> StoreResult<Vec<LeaseToken>> {
        let mut tokens = tokens.to_vec();
        tokens.sort_unstable();
        let gate = |token: &LeaseToken| self.0.from_gates.lock().get(token).cloned();
        let (gated, ready): (Vec<LeaseToken>, Vec<LeaseToken>) =
            tokens.into_iter().partition(|token| gate(token).is_some());
        let is_held = |token: &LeaseToken| gate(token).is_some_and(|holding| holding.is_held(&*self.0.clock));
        let mut lost = self.0.servers.change(|data: &mut Data, now| {
            let bounds = data.bounds;
            let mut lost = gated;
            lost.retain(|token| !is_held(token) || !data.copies.renew(*token, &bounds, now.monotonic));
            lost
        });
        if ready.is_empty() {
            return Ok(lost);
        }
        let renew = |data: &mut Data, now: Now| {
            let bounds = data.bounds;
            let mut lost = ready;
            lost.retain(|token| !data.copies.renew(*token, &bounds, now.monotonic));
            lost
        };
        lost.extend(self.call(Call::streams("renew leases"), renew).await?);
        Ok(lost)
    }

    async fn settle(&self, lease: &Lease, settlement: Settlement) -> StoreResult<Settling> {
        settle::settle(self, lease, settlement).await
    }

    /// 1. The claim ends. 2. The copy is free.
    async fn abandon(&self, lease: &Lease) -> StoreResult<()> {
        let header = &lease.delivery.header;
        self.give_claim_up(lease).await;
        if self.0.from_gates.lock().contains_key(&lease.token) {
            self.0.servers.change(|data, _| data.copies.end(lease.token));
            return Ok(());
        }
        let call = Call::streams("give a lease back").of(header.id, header.hop);
        self.call(call, |data, _| data.copies.end(lease.token)).await
    }

    async fn drop_copy(&self, lease: &Lease) -> StoreResult<()> {
        settle::drop_copy(self, lease).await
    }

    async fn bring_forward(&self, _: WebhookId, delivery: DeliveryId, now: Timestamp) -> StoreResult<BringForward> {
        let call = Call::streams("bring a delivery forward");
        self.call(call, |data, clock| forward::bring_forward(data, delivery, now, clock)).await
    }

    async fn depth(&self) -> StoreResult<QueueDepth> {
        self.ask(Call::streams("count the queue"), |data, now| data.copies.depth(now)).await
    }

    async fn own_gates(&self) -> StoreResult<Box<dyn GateShare>> {
        Ok(Box::new(Share::join(self)))
    }

    async fn gate_depth(&self, webhook: WebhookId) -> StoreResult<GateDepth> {
        self.ask(Call::streams("count what stands behind a gate"), |data, _| data.copies.gate_depth(webhook)).await
    }

    async fn gate_read(
        &self,
        webhook: WebhookId,
        after: GatePosition,
        max: usize,
    ) -> StoreResult<Vec<(GatePosition, Delivery)>> {
        let call = Call::streams("read what stands behind a gate");
        self.ask(call, |data, _| data.copies.gate_read(webhook, after.0, max)).await
    }

    async fn withdraw(&self, _: WebhookId, delivery: DeliveryId) -> StoreResult<Withdrawal> {
        let call = Call::streams("withdraw a delivery");
        self.call(call, |data, now| forward::withdraw(data, delivery, now)).await
    }

    async fn discard(&self, webhook: WebhookId) -> StoreResult<u64> {
        let call = Call::streams("discard what stands behind a gate");
        self.call(call, |data, _| data.copies.discard(webhook)).await
    }
}

impl Client {
    /// Puts a copy into quarantine and the journal, notes its hop as past, then removes it from where it stood.
    pub(super) async fn set_aside(&self, out: &Out) -> StoreResult<()> {
        let header = &out.delivery.header;
        let standing = self.standing(&[header.id]).await;
        let over = match standing.as_deref() {
            Ok([Standing::Done(_)]) => true,
            Ok([Standing::Live(low)]) => *low > header.hop,
            Ok(_) | Err(_) => false,
        };
        let call = Call::streams("put a delivery into quarantine").of(header.id, header.hop);
        let set_aside = |data: &mut crate::model::Data, now: crate::model::Now| {
            if !over {
                data.copies.quarantine(out, now.wall);
                let (delivery, hop) = (header.id, header.hop.next());
                let entry = Quarantined { delivery, hop, reason: out.reason, at: now.wall };
                data.journal.append(JournalEntry::Quarantined(entry), Some(format!("{delivery}:{}:quarantine", hop.0)));
                data.claims.raise(delivery, hop, now.monotonic);
            }
            data.copies.remove(out.stream, out.sequence);
        };
        self.call(call, set_aside).await
    }
}
