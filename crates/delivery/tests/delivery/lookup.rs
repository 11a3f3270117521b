//! A webhook that cannot be looked up, since the store is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::delivery::{End, Next};
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::config_store::{
    Changed, ConfigStore, Expected, Group, Key, Record, Revision, Versioned, Watch,
};
use fanfare_core::ports::{DeliveryQueue, StoreError, StoreErrorKind, StoreResult};
use fanfare_delivery::DeliveryConfig;
use fanfare_embedded::Embedded;

use super::doubles::Doctored;
use super::rig::{Rig, until};

/// The engine's store, which is away for the first few questions about its revision.
struct Away {
    engine: Embedded,
    left: AtomicUsize,
}

#[async_trait]
impl ConfigStore for Away {
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>> {
        self.engine.get(key).await
    }

    async fn put(&self, record: Record, expected: Expected) -> StoreResult<Changed> {
        self.engine.put(record, expected).await
    }

    async fn remove(&self, key: &Key, expected: Expected) -> StoreResult<Changed> {
        self.engine.remove(key, expected).await
    }

    async fn last_revision(&self, group: Group) -> StoreResult<Revision> {
        let away = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if away.is_ok() {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "read a revision", "away"));
        }
        self.engine.last_revision(group).await
    }

    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>> {
        self.engine.watch(group).await
    }
}

#[tokio::test]
async fn its_delivery_is_given_back_with_its_claim_and_goes_on_when_the_store_is_back() {
    let rig = Rig::new().await;
    let store = Arc::new(Away { engine: rig.engine.clone(), left: AtomicUsize::new(2) });
    let (queue, claims) = (Doctored::new(&rig, false), Arc::new(rig.engine.clone()));
    rig.start_with(Arc::clone(&queue) as Arc<dyn DeliveryQueue>, claims, store, DeliveryConfig::default());
    // The registry does not know this one, so the store is asked.
    let delivery = rig.push(WebhookId::from_uuid(uuid::Uuid::from_u128(7)), "order-1").await;
    until("the end", async || {
        rig.clock.advance(Duration::from_millis(100));
        rig.ended("discarded") == 1
    })
    .await;
    assert_eq!(rig.settled(delivery, 1).await[0].next, Next::End { end: End::Discarded });
    assert_eq!(queue.given_back.load(Ordering::SeqCst), 2);
    assert_eq!(rig.metrics.dedup_decisions.with_label_values(&["busy"]).get(), 0);
}
