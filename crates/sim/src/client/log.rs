//! Accepted events.

use std::sync::Arc;

use async_trait::async_trait;
use fanfare_core::event::Event;
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::ports::event_log::{
    Appended, EventLog, LoggedEvent, Partition, PartitionReader, PartitionShare, Position,
};
use fanfare_core::ports::{StoreError, StoreResult};

use super::sharing::{Holding, Member};
use super::{Call, Client};
use crate::model::{Data, Kind, Topic};

const READING: &str = "read events";
const ADVANCING: &str = "advance a position";

#[async_trait]
impl EventLog for Client {
    async fn append(&self, events: Vec<Event>) -> StoreResult<Vec<Appended>> {
        let append = |data: &mut Data, _| events.into_iter().map(|event| data.events.append(event)).collect::<Vec<_>>();
        self.call(Call::streams("append events"), append).await
    }

    async fn get(&self, project: &ProjectId, id: &EventId) -> StoreResult<Option<Event>> {
        self.ask(Call::streams("read an event"), |data, _| data.events.get(project, id).cloned()).await
    }

    async fn erase(&self, project: &ProjectId, id: &EventId) -> StoreResult<()> {
        self.call(Call::streams("erase an event"), |data, _| data.events.erase(project, id)).await
    }

    async fn backlog(&self) -> StoreResult<u64> {
        self.ask(Call::streams("count events"), |data, _| data.events.backlog()).await
    }

    async fn is_crowded(&self, events: &[Event], max: u64) -> StoreResult<bool> {
        self.ask(Call::streams("count events"), |data, _| data.events.is_crowded(events, max)).await
    }

    async fn consume(&self) -> StoreResult<Box<dyn PartitionShare>> {
        Ok(Box::new(Share { client: self.clone(), member: Member::join(self, Kind::Events), coming: None }))
    }
}

struct Share {
    client: Client,
    member: Member,
    /// The one that is being begun with.
    coming: Option<Arc<Holding>>,
}

#[async_trait]
impl PartitionShare for Share {
    async fn next(&mut self) -> StoreResult<Box<dyn PartitionReader>> {
        let holding = match &self.coming {
            Some(holding) if holding.is_held(&*self.client.0.clock) => Arc::clone(holding),
            _ => Arc::clone(self.coming.insert(self.member.next("wait for a partition of events").await?)),
        };
        let partition = holding.partition;
        let look = Call::streams("look a position up");
        let after = self.client.ask(look, |data, _| data.events.passed(partition)).await?;
        self.coming = None;
        Ok(Box::new(Reader { client: self.client.clone(), holding, after }))
    }
}

struct Reader {
    client: Client,
    holding: Arc<Holding>,
    after: u64,
}

#[async_trait]
impl PartitionReader for Reader {
    fn partition(&self) -> Partition {
        Partition(self.holding.partition)
    }

    async fn next(&mut self, max: usize) -> StoreResult<Vec<LoggedEvent>> {
        let (shared, holding, mut after) = (&self.client.0, &self.holding, self.after);
        shared.weather.before(Call::streams(READING)).await?;
        let read = |data: &mut Data, _| {
            if !holding.is_held(&*shared.clock) {
                return Ok(Err(StoreError::lost(READING)));
            }
            let (events, reached) = data.events.read(holding.partition, after, max.max(1));
            after = reached;
            if events.is_empty() { Err(None) } else { Ok(Ok(events)) }
        };
        let events = tokio::select! {
            biased;
            events = shared.servers.wait_for(Topic::Events, read) => events?,
            () = holding.lost() => return Err(StoreError::lost(READING)),
        };
        self.after = events.last().map_or(self.after, |logged| logged.position.0);
        Ok(events)
    }

    async fn advance(&mut self, position: Position) -> StoreResult<()> {
        let holding = &self.holding;
        holding.check(&*self.client.0.clock, ADVANCING)?;
        let advance = |data: &mut Data, _| {
            let current = data.shares.is_current(Kind::Events, holding.partition, holding.fence.0);
            if current {
                data.events.advance(holding.partition, position);
            }
            current
        };
        match self.client.call(Call::streams(ADVANCING), advance).await? {
            true => Ok(()),
            false => Err(StoreError::lost(ADVANCING)),
        }
    }
}
