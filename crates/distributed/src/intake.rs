//! The intake: what producers publish straight to NATS, in a stream that the server divides by project.
//!
//! It is worked off like gates are: one holder for each partition, which follows the subjects alone, so that it knows what
//! waits of which project, and reads messages when their turn comes. What is done with is removed by one purge for each batch.
//!
//! The server takes any bytes from whoever may publish: in headers, and, spaces and line feeds apart, in subjects. Nothing here
//! relies on them being well-formed before they have been looked at.

mod follow;
mod headers;
mod index;
mod partition;
mod removals;
pub(crate) mod stored;

use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::intake::{Intake, IntakeDepth, IntakePartition, IntakeShare};

use crate::Distributed;
use crate::shares::{self, Kind};
use crate::store::timestamp;

#[async_trait]
impl Intake for Distributed {
    async fn take_part(&self) -> StoreResult<Box<dyn IntakeShare>> {
        Ok(Box::new(Share { engine: self.clone(), share: shares::Share::join(self, Kind::Intake) }))
    }

    async fn depth(&self) -> StoreResult<IntakeDepth> {
        const DOING: &str = "count what waits in the intake";
        let state = self.shared.store.state(DOING, &self.shared.names.intake()).await?;
        let oldest = if state.messages == 0 { None } else { Some(timestamp(DOING, state.first_timestamp)?) };
        Ok(IntakeDepth { count: state.messages, oldest })
    }
}

/// Takes part in taking in.
struct Share {
    engine: Distributed,
    share: shares::Share,
}

#[async_trait]
impl IntakeShare for Share {
    async fn next(&mut self) -> StoreResult<Arc<dyn IntakePartition>> {
        let holding = self.share.next("wait for a partition of the intake").await?;
        Ok(partition::Owned::begin(&self.engine, holding))
    }
}
