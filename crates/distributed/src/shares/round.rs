//! One member's rounds: announce, look around, renew, give back what is too much, take what is free.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::Subscriber;
use fanfare_core::clock::Monotonic;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::Group;
use fanfare_runtime::tasks::report;
use futures_util::StreamExt;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{Holding, Kind};
use crate::Distributed;
use crate::config_store::{is_removal, removal};
use crate::message::Draft;
use crate::store::{BatchRequest, Placed, Stored};

const DOING: &str = "share partitions";
/// What the key of a free partition says.
const FREE: &[u8] = b"";
/// More keys than there can be: members and partitions.
const ALL: usize = 100_000;

/// Waits until a key says that nobody has it.
async fn given_back(heard: Option<&mut futures_util::stream::Select<Subscriber, Subscriber>>) {
    let Some(heard) = heard else { return std::future::pending().await };
    while let Some(message) = heard.next().await {
        if message.payload.as_ref() == FREE {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// One who takes part.
pub(super) struct Member {
    engine: Distributed,
    kind: Kind,
    id: String,
    held: Arc<Mutex<Vec<Arc<Holding>>>>,
    tell: mpsc::Sender<Arc<Holding>>,
    /// When each key was first seen as it is. Used by one round after the other.
    seen: Mutex<HashMap<String, Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    revision: u64,
    since: Monotonic,
}

/// A key as it was found.
struct Found {
    key: String,
    revision: u64,
    /// Nobody's, or of somebody who is gone.
    free: bool,
    /// Since when it is as it is.
    since: Monotonic,
}

impl Member {
    pub(super) fn new(
        engine: Distributed,
        kind: Kind,
        id: String,
        held: Arc<Mutex<Vec<Arc<Holding>>>>,
        tell: mpsc::Sender<Arc<Holding>>,
    ) -> Self {
        Self { engine, kind, id, held, tell, seen: Mutex::default() }
    }

    /// Rounds without end: three in a lease time, and one whenever somebody gives something back or leaves.
    pub(super) async fn take_part(&self) {
        let shared = &self.engine.shared;
        let mut heard = None;
        loop {
            if heard.is_none() {
                heard = self.listen().await;
            }
            if let Err(error) = self.round().await {
                tracing::warn!(kind = self.kind.name(), error = %report(&error), "cannot share partitions; trying again");
            }
            // Whoever was frozen finds out here at the latest.
            self.held.lock().retain(|holding| holding.is_held(&*shared.clock));
            self.show();
            tokio::select! {
                () = shared.clock.sleep(shared.config.partition_lease.get() / 3) => {}
                () = given_back(heard.as_mut()) => {}
            }
        }
    }

    /// How many are held, for the metrics.
    fn show(&self) {
        let held = i64::try_from(self.held.lock().len()).unwrap_or(i64::MAX);
        self.engine.shared.metrics.partitions_held.with_label_values(&[self.kind.name()]).set(held);
    }

    /// Hears of every change of the keys. What is missed while the connection is away is found in the next round.
    async fn listen(&self) -> Option<futures_util::stream::Select<Subscriber, Subscriber>> {
        let client = self.engine.shared.store.context.client();
        let leases = client.subscribe(self.lease_key("*")).await.ok()?;
        let members = client.subscribe(self.member_key("*")).await.ok()?;
        Some(futures_util::stream::select(leases, members))
    }

    /// One announces oneself, looks around, renews what one holds; then gives back what is more than a fair share, or takes
    /// what is free up to it.
    async fn round(&self) -> StoreResult<()> {
        if self.kind == Kind::Gates {
            // What it will have claimed is told from what one has that is gone.
            self.engine.be_present().await?;
        }
        let own = Draft::new(self.member_key(&self.id), self.id.clone().into());
        self.engine.shared.store.publish(DOING, own).await?;
        let (members, leases) = self.look().await?;
        let held = self.held.lock().clone();
        join_all(held.iter().map(|holding| self.renew(holding))).await;
        self.held.lock().retain(|holding| !holding.is_lost());
        let partitions = usize::from(self.kind.partitions(&self.engine));
        let fair = partitions.div_ceil(members.max(1));
        let held = self.held.lock().len();
        if held > fair {
            self.give_back(held - fair).await;
        } else {
            self.take(&leases, fair - held).await;
        }
        Ok(())
    }

    /// How many take part, and the leases there are.
    async fn look(&self) -> StoreResult<(usize, HashMap<u16, Found>)> {
        let (members, leases) = (self.member_key("*"), self.lease_key("*"));
        let request = BatchRequest { from: None, next: None, last_of: &[&members, &leases], batch: ALL };
        let names = &self.engine.shared.names;
        let keys = self.engine.shared.store.batch(DOING, &names.bucket_stream(Group::State), &request).await?;
        let found: Vec<Found> = self.observe(keys);
        let prefix = self.lease_key("");
        let mut count = 0;
        let (mut by_partition, mut gone) = (HashMap::new(), Vec::new());
        for found in found {
            match found.key.strip_prefix(&prefix).map(str::parse) {
                Some(Ok(partition)) => {
                    by_partition.insert(partition, found);
                }
                Some(Err(_)) => {}
                None if found.free => gone.push(found),
                None => count += 1,
            }
        }
        // Long gone: nobody could still be about to leave.
        let long = 10 * self.engine.shared.config.partition_lease.get();
        let now = self.engine.shared.clock.monotonic();
        for member in gone.iter().filter(|member| now.since(member.since) >= long) {
            self.forget(&member.key).await;
        }
        Ok((count, by_partition))
    }

    /// Judges each key by how long this process has seen it unchanged.
    fn observe(&self, keys: Vec<Stored>) -> Vec<Found> {
        let shared = &self.engine.shared;
        let (now, lease) = (shared.clock.monotonic(), shared.config.partition_lease.get());
        let mut before = self.seen.lock();
        let mut seen = HashMap::with_capacity(keys.len());
        let mut found = Vec::with_capacity(keys.len());
        for Stored { subject: key, sequence: revision, payload, headers, .. } in keys {
            let known = before.get(&key).copied().filter(|seen| seen.revision == revision);
            let known = known.unwrap_or(Seen { revision, since: now });
            seen.insert(key.clone(), known);
            let given_back = payload.as_ref() == FREE || is_removal(&headers);
            let abandoned = !given_back && now.since(known.since) >= lease;
            found.push(Found { key, revision, since: known.since, free: given_back || abandoned });
        }
        *before = seen;
        found
    }

    async fn renew(&self, holding: &Holding) {
        if !holding.is_held(&*self.engine.shared.clock) {
            return;
        }
        let until = self.until();
        let draft = Draft::new(self.lease_key(&holding.partition.to_string()), self.id.clone().into());
        match self.engine.shared.store.place(DOING, draft.expecting(holding.revision())).await {
            Ok(Placed::At(revision)) => holding.renewed(revision, until),
            // Somebody has taken it, or an earlier renewal was carried out without its answer coming back: it is found free
            // then, and taken anew.
            Ok(Placed::Conflict) => holding.lose(),
            // It is held until it runs out.
            Err(error) => tracing::debug!(error = %report(&error), "a partition was not renewed"),
        }
    }

    /// When a lease that is renewed now runs out for its holder: before others can see it run out.
    fn until(&self) -> Monotonic {
        let shared = &self.engine.shared;
        shared.clock.monotonic().after(shared.config.partition_lease.get().mul_f64(0.9))
    }

    /// Takes free partitions, all at once, so that they come together.
    async fn take(&self, leases: &HashMap<u16, Found>, wanted: usize) {
        let own: Vec<u16> = self.held.lock().iter().map(|holding| holding.partition).collect();
        let partitions = self.kind.partitions(&self.engine);
        let is_free =
            |partition: &u16| !own.contains(partition) && leases.get(partition).is_none_or(|found| found.free);
        // Everybody begins elsewhere, so that those who come together do not run after the same ones.
        let start =
            self.id.bytes().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(byte))) % partitions;
        let order = (0..partitions).map(|step| (start + step) % partitions);
        let taking = order.filter(is_free).take(wanted).map(|partition| async move {
            let until = self.until();
            let draft = Draft::new(self.lease_key(&partition.to_string()), self.id.clone().into());
            let found = leases.get(&partition);
            let expected = found.map_or(0, |found| found.revision);
            match self.engine.shared.store.place(DOING, draft.expecting(expected)).await {
                Ok(Placed::At(revision)) => Some(Arc::new(Holding::new(partition, revision, until))),
                Ok(Placed::Conflict) => None,
                Err(error) => {
                    tracing::debug!(error = %report(&error), "a partition was not taken");
                    None
                }
            }
        });
        let taken: Vec<Arc<Holding>> = join_all(taking).await.into_iter().flatten().collect();
        self.held.lock().extend(taken.iter().cloned());
        for holding in taken {
            if self.tell.try_send(Arc::clone(&holding)).is_err() {
                // Nobody has asked for a long time: what is not asked for is for others to have.
                self.held.lock().retain(|held| held.partition != holding.partition);
                self.free(&[holding]).await;
            }
        }
    }

    /// Gives back the partitions that were taken last.
    async fn give_back(&self, count: usize) {
        let back: Vec<Arc<Holding>> = {
            let mut held = self.held.lock();
            let keep = held.len().saturating_sub(count);
            held.split_off(keep)
        };
        self.free(&back).await;
    }

    /// First the holder loses it, then others may have it.
    async fn free(&self, back: &[Arc<Holding>]) {
        join_all(back.iter().map(|holding| async {
            holding.lose();
            let key = self.lease_key(&holding.partition.to_string());
            let draft = Draft::new(key, FREE.into()).expecting(holding.revision());
            if let Err(error) = self.engine.shared.store.place(DOING, draft).await {
                tracing::debug!(error = %report(&error), "a partition was not given back; it runs out");
            }
        }))
        .await;
    }

    /// Gives everything back.
    pub(super) async fn leave(&self) {
        #[cfg(test)]
        if self.engine.shared.faults.is_killed() {
            return;
        }
        // The member goes first: whoever sees its partitions free no longer counts it.
        if let Err(error) = self.engine.shared.store.publish(DOING, removal(self.member_key(&self.id))).await {
            tracing::debug!(error = %report(&error), "did not take leave; others find out");
        }
        let back: Vec<Arc<Holding>> = std::mem::take(&mut *self.held.lock());
        self.show();
        self.free(&back).await;
        self.forget(&self.member_key(&self.id)).await;
    }

    /// Removes the key of a member that has gone, which nobody would need again.
    async fn forget(&self, key: &str) {
        let (store, stream) = (&self.engine.shared.store, self.engine.shared.names.bucket_stream(Group::State));
        if let Err(error) = store.purge(DOING, &stream, key).await {
            tracing::debug!(error = %report(&error), "a member's key was not removed");
        }
    }

    fn member_key(&self, member: &str) -> String {
        self.engine.shared.names.key(Group::State, &format!("member.{}.{member}", self.kind.name()))
    }

    fn lease_key(&self, partition: &str) -> String {
        self.engine.shared.names.key(Group::State, &format!("lease.{}.{partition}", self.kind.name()))
    }
}
