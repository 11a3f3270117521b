//! Records and watches.

use async_trait::async_trait;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::{
    Changed, Changes, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};

use super::{Call, Client};
use crate::model::Topic;

#[async_trait]
impl ConfigStore for Client {
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>> {
        self.ask(Call::streams("read a record"), |data, _| data.records.get(key)).await
    }

    async fn put(&self, record: Record, expected: Expected) -> StoreResult<Changed> {
        let put = |data: &mut crate::model::Data, _| data.records.change(record.key(), Some(record), expected);
        self.call(Call::streams("store a record"), put).await
    }

    async fn remove(&self, key: &Key, expected: Expected) -> StoreResult<Changed> {
        let remove = |data: &mut crate::model::Data, _| data.records.change(key.clone(), None, expected);
        self.call(Call::streams("remove a record"), remove).await
    }

    async fn last_revision(&self, group: Group) -> StoreResult<Revision> {
        self.ask(Call::streams("read the last revision"), |data, _| data.records.last(group)).await
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        Ok(Box::new(Watching { client: self.clone(), group, seen: None }))
    }
}

struct Watching {
    client: Client,
    group: Group,
    seen: Option<Revision>,
}

#[async_trait]
impl Watch for Watching {
    async fn next(&mut self) -> StoreResult<Changes> {
        const DOING: &str = "watch records";
        let (shared, group, seen) = (&self.client.0, self.group, self.seen);
        let something = |data: &mut crate::model::Data, _| match seen {
            Some(seen) if data.records.last(group) <= seen => Err(None),
            Some(_) | None => Ok(()),
        };
        shared.servers.wait_for(Topic::Records, something).await;
        // The news is on its way.
        shared.weather.before(Call::streams(DOING)).await?;
        let changes = shared.servers.read(|data, _| match seen {
            Some(seen) => data.records.since(group, seen),
            None => data.records.whole(group),
        });
        self.seen = Some(changes.up_to);
        Ok(changes)
    }
}
