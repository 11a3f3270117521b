//! Taking part in sharing partitions: rounds in the background, and what a member holds by its own clock.

use std::sync::Arc;

use fanfare_core::clock::{Clock, Monotonic};
use fanfare_core::ports::dedup::Fence;
use fanfare_core::ports::{StoreError, StoreResult};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Call, Client};
use crate::model::{Data, Kind};

/// A held partition.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(super) partition: u16,
    pub(super) fence: Fence,
    /// Until then nobody else can have it.
    until: Mutex<Monotonic>,
    lost: watch::Sender<bool>,
}

impl Holding {
    /// Whether it is held now. A process that was frozen finds out here, by its own clock, before it does anything.
    pub(super) fn is_held(&self, clock: &dyn Clock) -> bool {
        if !*self.lost.borrow() && clock.monotonic() >= *self.until.lock() {
            self.lose();
        }
        !*self.lost.borrow()
    }

    pub(super) fn check(&self, clock: &dyn Clock, doing: &'static str) -> StoreResult<()> {
        if self.is_held(clock) { Ok(()) } else { Err(StoreError::lost(doing)) }
    }

    pub(super) async fn lost(&self) {
        // The sender lives as long as `self`.
        let _ = self.lost.subscribe().wait_for(|lost| *lost).await;
    }

    fn lose(&self) {
        self.lost.send_replace(true);
    }
}

/// Taking part. Dropping it gives everything back, unless its process is gone.
pub(super) struct Member {
    gained: mpsc::Receiver<Arc<Holding>>,
    held: Arc<Mutex<Vec<Arc<Holding>>>>,
    leave: CancellationToken,
}

impl Member {
    pub(super) fn join(client: &Client, kind: Kind) -> Self {
        let (leave, held) = (CancellationToken::new(), Arc::<Mutex<Vec<Arc<Holding>>>>::default());
        // More than there are partitions.
        let (tell, gained) = mpsc::channel(1024);
        let id = client.0.servers.read(|data, _| data.shares.new_member());
        let (rounds, left, held_too) = (client.clone(), leave.clone(), Arc::clone(&held));
        client.0.tasks.spawn_work("partition-share", async move {
            tokio::select! {
                biased;
                () = left.cancelled() => {}
                () = rounds.take_part(kind, id, &held_too, &tell) => {}
            }
            let _ = rounds.call(Call::streams("leave a share"), |data, _| data.shares.leave(kind, id)).await;
            rounds.0.servers.free();
        });
        Self { gained, held, leave }
    }

    pub(super) async fn next(&mut self, doing: &'static str) -> StoreResult<Arc<Holding>> {
        loop {
            let holding = self.gained.recv().await.ok_or_else(|| StoreError::lost(doing))?;
            if !*holding.lost.borrow() {
                return Ok(holding);
            }
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.held.lock().iter().for_each(|holding| holding.lose());
        self.leave.cancel();
    }
}

impl Client {
    /// Rounds without end, three in a lease time.
    async fn take_part(
        &self,
        kind: Kind,
        member: u32,
        held: &Mutex<Vec<Arc<Holding>>>,
        tell: &mpsc::Sender<Arc<Holding>>,
    ) {
        let lease = self.0.servers.bounds().partition_lease;
        loop {
            // What is given back after the round has looked is not missed.
            let mut freed = std::pin::pin!(self.0.servers.freed());
            freed.as_mut().enable();
            held.lock().retain(|holding| holding.is_held(&*self.0.clock));
            let keeps: Vec<(u16, u64)> =
                held.lock().iter().map(|holding| (holding.partition, holding.fence.0)).collect();
            let until = self.0.clock.monotonic().after(lease.mul_f64(0.9));
            let round = |data: &mut Data, now| {
                let bounds = data.bounds;
                data.shares.round(kind, member, &keeps, &bounds, now)
            };
            if let Ok(holds) = self.call(Call::streams("share partitions"), round).await {
                let gained = reconcile(&mut held.lock(), &holds, until);
                for holding in gained {
                    let _ = tell.send(holding).await;
                }
            }
            tokio::select! {
                biased;
                () = self.0.clock.sleep(lease / 3) => {}
                () = freed => {}
            }
        }
    }
}

/// What is still held goes on, what is not is lost, what is new is returned. What was lost by the process's own clock, while the
/// answer was on its way, is not held again under the same token: the next round takes it anew.
fn reconcile(held: &mut Vec<Arc<Holding>>, holds: &[(u16, Fence)], until: Monotonic) -> Vec<Arc<Holding>> {
    let known: Vec<(u16, Fence)> = held.iter().map(|holding| (holding.partition, holding.fence)).collect();
    held.retain(|holding| {
        let kept = holds.contains(&(holding.partition, holding.fence)) && !*holding.lost.borrow();
        if kept {
            *holding.until.lock() = until;
        } else {
            holding.lose();
        }
        kept
    });
    let holding = |(partition, fence): &(u16, Fence)| {
        let (until, lost) = (Mutex::new(until), watch::Sender::new(false));
        Arc::new(Holding { partition: *partition, fence: *fence, until, lost })
    };
    let gained: Vec<Arc<Holding>> = holds.iter().filter(|held| !known.contains(held)).map(holding).collect();
    held.extend(gained.iter().cloned());
    gained
}
