//! The weather of a simulated world: what befalls a process's calls, and what befalls the process between them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use rand::RngExt as _;

use crate::client::{CLAIM, Call, Weather};
use crate::plan::Then;
use crate::stage::ProcessId;
use crate::trace::{Fact, How};
use crate::world::World;

/// One process's weather.
pub(crate) struct Skies {
    pub(crate) world: Arc<World>,
    pub(crate) process: ProcessId,
    pub(crate) slot: usize,
}

#[async_trait]
impl Weather for Skies {
    async fn before(&self, call: Call) -> StoreResult<()> {
        if let Some((delivery, hop)) = call.delivery.filter(|_| call.doing == CLAIM) {
            self.world.asks_for(delivery, hop);
        }
        if self.world.is_healed() {
            return Ok(());
        }
        if call.delivery.is_some() {
            self.world.count_call(self.slot);
            self.befall(false).await;
        }
        self.delay().await;
        let lost = self.world.draw(|rng| rng.random_range(0..1000)) < self.world.plan.noise.lost;
        let how = if self.world.is_away(call.server) {
            How::Refused
        } else if lost {
            How::Lost
        } else {
            return Ok(());
        };
        self.note(call, how);
        Err(StoreError::new(StoreErrorKind::Unavailable, call.doing, "the weather is bad"))
    }

    async fn after(&self, call: Call) -> StoreResult<()> {
        if self.world.is_healed() {
            self.note(call, How::Done);
            return Ok(());
        }
        let unanswered = self.world.draw(|rng| rng.random_range(0..1000)) < self.world.plan.noise.unanswered;
        // The server has done it by now, whether or not the process gets to know.
        self.note(call, if unanswered { How::Unanswered } else { How::Done });
        if call.delivery.is_some() {
            self.befall(true).await;
        }
        self.delay().await;
        if unanswered {
            return Err(StoreError::new(StoreErrorKind::Unavailable, call.doing, "the answer was lost"));
        }
        Ok(())
    }
}

impl Skies {
    fn note(&self, call: Call, how: How) {
        if call.delivery.is_some() || how != How::Done {
            self.world.note(Fact::Called { process: self.process, call, how });
        }
    }

    /// Crashes or freezes the process here, if that is the plan.
    async fn befall(&self, after: bool) {
        match self.world.trigger(self.slot, after) {
            None => {}
            Some(Then::Crash { down }) => {
                self.world.crash(self.process, down);
                std::future::pending::<()>().await;
            }
            Some(Then::Freeze { lasting }) => {
                self.world.freeze(self.process, lasting);
                yield_now().await;
            }
        }
    }

    async fn delay(&self) {
        let noise = self.world.plan.noise;
        let slowest = u64::try_from(noise.slowest.as_millis()).unwrap_or(1);
        let delay = self.world.draw(|rng| {
            if rng.random_range(0..1000) < noise.slow {
                Some(rng.random_range(0..=slowest))
            } else {
                (rng.random_range(0..3) == 0).then_some(0)
            }
        });
        match delay {
            None => {}
            // Others may go first.
            Some(0) => yield_now().await,
            Some(millis) => self.world.stage.sleep(Duration::from_millis(millis)).await,
        }
    }
}

/// Lets the stage choose who goes on.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
