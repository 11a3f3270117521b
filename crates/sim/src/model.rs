//! The model engine's data: what servers keep, as plain maps, with no time and no chance of its own.
//!
//! It is the distributed engine's world: streams that recognise message ids for a while, leases that servers grant, claims in
//! a store of their own, partitions held by leases with fencing tokens. Each function here is one step of a server, whole or
//! not at all; [`client`](crate::client) puts steps together as the engine's operations, with a chance to die between any two.

mod behind;
mod claims;
mod copies;
mod events;
mod gates;
mod journal;
mod records;
mod shares;

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Monotonic, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

pub(crate) use claims::{Claimer, Claims};
pub(crate) use copies::{Copies, Leased, Out, Where};
pub(crate) use events::Events;
pub(crate) use gates::{Over, Told, partition_of};
pub(crate) use journal::Entries;
pub(crate) use records::Records;
pub(crate) use shares::{Kind, Shares};

/// The bounds of the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long a lease of a delivery lasts.
    pub(crate) lease: Duration,
    /// How long a partition is held without being renewed.
    pub(crate) partition_lease: Duration,
    /// How many partitions of gates there are.
    pub(crate) gate_partitions: u16,
    /// How many partitions of events there are.
    pub(crate) event_partitions: u16,
    /// For how long a message id is recognised.
    pub(crate) duplicate_window: Duration,
    /// How often one hop is leased before it goes into quarantine.
    pub(crate) quarantine_after: u32,
    /// How long an end is remembered.
    pub(crate) done_retention: Duration,
}

impl Default for Bounds {
    /// The distributed engine's defaults, with few partitions.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            partition_lease: Duration::from_secs(5),
            gate_partitions: 4,
            event_partitions: 2,
            duplicate_window: Duration::from_secs(10 * 60),
            quarantine_after: 20,
            done_retention: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// A reading of the servers' clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Monotonic,
}

/// Everything that is kept.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) bounds: Bounds,
    pub(crate) copies: Copies,
    pub(crate) claims: Claims,
    pub(crate) journal: Entries,
    pub(crate) records: Records,
    pub(crate) events: Events,
    pub(crate) shares: Shares,
}

/// What somebody may wait for a change of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Topic {
    /// Deliveries, and the leases on them.
    Copies,
    /// Records.
    Records,
    /// Accepted events.
    Events,
    /// Journal entries.
    Journal,
}

impl Data {
    /// How much has changed of each topic.
    fn changes(&self) -> [u64; 4] {
        [self.copies.changes(), self.records.changes(), self.events.changes(), self.journal.all().len() as u64]
    }
}

/// The servers: the data, their clock, and the bells that ring after each change. They survive every process.
#[derive(Debug)]
pub(crate) struct Servers {
    data: Mutex<Data>,
    clock: Time,
    /// One for each topic.
    bells: [Notify; 4],
    /// Rings when a partition was given back.
    freed: Notify,
}

/// The clock port, which has no `Debug` of its own.
struct Time(Arc<dyn Clock>);

impl std::fmt::Debug for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

impl Servers {
    pub(crate) fn new(bounds: Bounds, clock: Arc<dyn Clock>) -> Arc<Self> {
        let data = Data {
            bounds,
            copies: Copies::default(),
            claims: Claims::default(),
            journal: Entries::default(),
            records: Records::default(),
            events: Events::new(bounds.event_partitions),
            shares: Shares::default(),
        };
        Arc::new(Self {
            data: Mutex::new(data),
            clock: Time(clock),
            bells: [const { Notify::const_new() }; 4],
            freed: Notify::new(),
        })
    }

    pub(crate) fn bounds(&self) -> Bounds {
        self.data.lock().bounds
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: self.clock.0.now(), monotonic: self.clock.0.monotonic() }
    }

    /// Looks.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&mut Data, Now) -> T) -> T {
        let now = self.now();
        look(&mut self.data.lock(), now)
    }

    /// Changes something, and tells those who wait for it.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut Data, Now) -> T) -> T {
        let (before, done, after) = self.read(|data, now| {
            let before = data.changes();
            (before, act(data, now), data.changes())
        });
        for (bell, (before, after)) in self.bells.iter().zip(before.into_iter().zip(after)) {
            if before != after {
                bell.notify_waiters();
            }
        }
        done
    }

    /// Ends when somebody gives a partition back, from when it is first polled or enabled.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// A partition is free.
    pub(crate) fn free(&self) {
        self.freed.notify_waiters();
    }

    /// Wakes all who wait for something, so that they look again.
    pub(crate) fn ring(&self) {
        self.bells.iter().for_each(Notify::notify_waiters);
    }

    /// Waits until `found` finds something; it is asked again after every change of the topic, and when the
    /// time has come that it names.
    pub(crate) async fn wait_for<T>(
        &self,
        topic: Topic,
        mut find: impl FnMut(&mut Data, Now) -> Result<T, Option<Duration>>,
    ) -> T {
        loop {
            let mut rings = std::pin::pin!(self.bells[topic as usize].notified());
            rings.as_mut().enable();
            let next = match self.read(&mut find) {
                Ok(found) => return found,
                Err(next) => next,
            };
            let time = async {
                match next {
                    Some(time) => self.clock.0.sleep(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = rings => {}
                () = time => {}
            }
        }
    }
}
