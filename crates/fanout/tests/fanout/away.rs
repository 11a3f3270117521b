//! Claims that are not answered, as while Redis is away.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::delivery::End;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::{Claim, Dedup, Fence, Standing};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};

#[derive(Default)]
pub(crate) struct Away {
    asked: AtomicUsize,
}

impl Away {
    /// How often it has been asked what is known.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn away<T>() -> StoreResult<T> {
    Err(StoreError::new(StoreErrorKind::Unavailable, "ask", "nobody answers"))
}

#[async_trait]
impl Dedup for Away {
    async fn claim(&self, _: DeliveryId, _: Hop, _: Duration, _: Option<Fence>) -> StoreResult<Claim> {
        away()
    }

    async fn release(&self, _: DeliveryId, _: Hop) -> StoreResult<()> {
        away()
    }

    async fn complete(&self, _: DeliveryId, _: End, _: Duration) -> StoreResult<()> {
        away()
    }

    async fn standing(&self, _: &[DeliveryId]) -> StoreResult<Vec<Standing>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        away()
    }
}
