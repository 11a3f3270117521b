//! The model engine: one process's view of the servers, by the ports.
//!
//! Each operation is made of steps in the order of the distributed engine, and each step is one call to a server: a delay
//! on the way there and back, an error instead of it, or the process's end, as the [`Weather`] has it.

mod dedup;
mod gates;
mod journal;
mod log;
mod queue;
mod sharing;
mod store;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::clock::Clock;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::LeaseToken;
use fanfare_runtime::Tasks;
use parking_lot::Mutex;

#[cfg(test)]
pub(crate) use dedup::RELEASE;
pub(crate) use dedup::{CLAIM, COMPLETE};
#[cfg(test)]
pub(crate) use queue::PUBLISH;
pub(crate) use queue::{JOURNAL, REMOVE};

use crate::model::{Data, Now, Servers};

/// Which of the servers is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// The streams and the records.
    Streams,
    /// The claims.
    Claims,
}

/// One call to a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) server: Server,
    /// What is done, as errors say it.
    pub(crate) doing: &'static str,
    /// To which delivery, if to one.
    pub(crate) delivery: Option<(DeliveryId, Hop)>,
}

impl Call {
    pub(crate) fn streams(doing: &'static str) -> Self {
        Self { server: Server::Streams, doing, delivery: None }
    }

    pub(crate) fn claims(doing: &'static str) -> Self {
        Self { server: Server::Claims, doing, delivery: None }
    }

    pub(crate) fn of(self, delivery: DeliveryId, hop: Hop) -> Self {
        Self { delivery: Some((delivery, hop)), ..self }
    }
}

/// What happens to calls on their way.
#[async_trait]
pub(crate) trait Weather: Send + Sync {
    /// On the way there.
    ///
    /// # Errors
    /// When the call does not arrive.
    async fn before(&self, call: Call) -> StoreResult<()>;

    /// On the way back: the server has done it.
    ///
    /// # Errors
    /// When the answer does not arrive.
    async fn after(&self, call: Call) -> StoreResult<()>;
}

/// See the [module](self). Cloning shares it.
#[derive(Clone)]
pub(crate) struct Client(Arc<Shared>);

struct Shared {
    servers: Arc<Servers>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    weather: Arc<dyn Weather>,
    /// Who this is, among the processes.
    id: u32,
    /// The leases got from behind gates, with their owner.
    from_gates: Mutex<std::collections::BTreeMap<LeaseToken, Arc<sharing::Holding>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.0.id).finish_non_exhaustive()
    }
}

impl Client {
    /// Connects a process. What it does by itself runs among `tasks`, and ends with them.
    pub(crate) fn new(
        servers: &Arc<Servers>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        weather: Arc<dyn Weather>,
        id: u32,
    ) -> Self {
        let from_gates = Mutex::default();
        let client = Self(Arc::new(Shared { servers: Arc::clone(servers), clock, tasks, weather, id, from_gates }));
        client.show();
        client
    }

    /// Shows that this process is there, again and again; it does so as long as it lives, whatever becomes of its calls: those
    /// who look for it fare as it does.
    pub(crate) async fn be_present(self) {
        loop {
            self.0.clock.sleep(self.0.servers.bounds().partition_lease / 3).await;
            self.show();
        }
    }

    fn show(&self) {
        self.0.servers.change(|data, now| {
            let bounds = data.bounds;
            data.shares.show(self.0.id, &bounds, now);
        });
    }

    /// Makes one call.
    async fn call<T>(&self, call: Call, act: impl FnOnce(&mut Data, Now) -> T + Send) -> StoreResult<T> {
        self.0.weather.before(call).await?;
        let done = self.0.servers.change(act);
        self.0.weather.after(call).await?;
        Ok(done)
    }

    /// Makes one call that changes nothing.
    async fn ask<T: Send>(&self, call: Call, look: impl FnOnce(&mut Data, Now) -> T + Send) -> StoreResult<T> {
        self.0.weather.before(call).await?;
        let seen = self.0.servers.read(look);
        self.0.weather.after(call).await?;
        Ok(seen)
    }
}
