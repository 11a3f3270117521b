use std::sync::atomic::{AtomicUsize, Ordering};

use fanfare_core::clock::{Monotonic, Sleep, Timestamp};
use fanfare_core::ids::ApiKeyId;
use fanfare_core::ports::{StoreError, StoreErrorKind};

use super::*;

/// No time passes; sleeps are counted.
#[derive(Default)]
struct Hasty(AtomicUsize);

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(0)
    }

    fn monotonic(&self) -> Monotonic {
        Monotonic::default()
    }

    fn sleep_until(&self, _: Monotonic) -> Sleep {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

/// Fails as often as it says, with this kind of error, then answers. Its watches do so as well.
#[derive(Clone)]
struct Failing(Arc<AtomicUsize>, StoreErrorKind);

impl Failing {
    fn answer<T>(&self, answer: T) -> StoreResult<T> {
        let again = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        again.map_or(Ok(answer), |_| Err(StoreError::new(self.1, "test", "not now")))
    }
}

#[async_trait]
impl ConfigStore for Failing {
    async fn get(&self, _: &Key) -> StoreResult<Option<Versioned>> {
        self.answer(None)
    }
    async fn put(&self, _: Record, _: Expected) -> StoreResult<Changed> {
        self.answer(Changed::Conflict)
    }
    async fn remove(&self, _: &Key, _: Expected) -> StoreResult<Changed> {
        self.answer(Changed::Conflict)
    }
    async fn last_revision(&self, _: Group) -> StoreResult<Revision> {
        self.answer(Revision(7))
    }
    async fn watch(&self, _: Group) -> StoreResult<Box<dyn Watch>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Watch for Failing {
    async fn next(&mut self) -> StoreResult<Changes> {
        self.answer(Changes::default())
    }
}

fn patient(failures: usize, kind: StoreErrorKind) -> (Patient, Arc<AtomicUsize>, Arc<Hasty>) {
    let (left, clock) = (Arc::new(AtomicUsize::new(failures)), Arc::new(Hasty::default()));
    (Patient::new(Arc::new(Failing(Arc::clone(&left), kind)), clock.clone()), left, clock)
}

#[tokio::test]
async fn a_store_that_is_away_is_asked_until_it_answers() {
    let (patient, left, clock) = patient(3, StoreErrorKind::Unavailable);
    assert_eq!(patient.get(&Key::ApiKey(ApiKeyId::FIRST)).await.unwrap(), None);
    assert_eq!(clock.0.load(Ordering::Relaxed), 3);
    left.store(2, Ordering::Relaxed);
    assert_eq!(patient.last_revision(Group::Config).await.unwrap(), Revision(7));
    let mut watch = patient.watch(Group::Config).await.unwrap();
    left.store(2, Ordering::Relaxed);
    assert_eq!(watch.next().await.unwrap(), Changes::default());
    assert_eq!(clock.0.load(Ordering::Relaxed), 7);
}

#[tokio::test]
async fn what_waiting_cannot_mend_is_said_at_once() {
    let (patient, _, clock) = patient(1, StoreErrorKind::Corrupt);
    let error = patient.get(&Key::ApiKey(ApiKeyId::FIRST)).await.unwrap_err();
    assert!(!error.is_retryable());
    assert_eq!(clock.0.load(Ordering::Relaxed), 0);
}
