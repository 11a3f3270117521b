//! A wall clock that is set back costs no delivery its turn.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Monotonic, Sleep, Timestamp};
use fanfare_core::delivery::{DueReason, Place as Stand};
use fanfare_core::ports::DeliveryQueue;
use fanfare_core::ports::delivery_queue::Push;
use fanfare_telemetry::Metrics;
use fanfare_testkit::ManualClock;
use fanfare_testkit::conformance::fixtures::{delivery, events, soon, waits, webhook};

use crate::{Embedded, EmbeddedConfig};

/// A manual clock whose wall time can be set back.
#[derive(Clone)]
struct SetBack {
    clock: ManualClock,
    by: Arc<parking_lot::Mutex<Duration>>,
}

impl Clock for SetBack {
    fn now(&self) -> Timestamp {
        self.clock.now().before(*self.by.lock())
    }

    fn monotonic(&self) -> Monotonic {
        self.clock.monotonic()
    }

    fn sleep_until(&self, deadline: Monotonic) -> Sleep {
        self.clock.sleep_until(deadline)
    }
}

#[tokio::test]
async fn what_is_put_off_by_the_new_time_is_not_leased_at_once() {
    let clock = SetBack { clock: ManualClock::new(), by: Arc::default() };
    let directory = tempfile::tempdir().unwrap();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let engine = Embedded::open(directory.path(), &EmbeddedConfig::default(), shared, Metrics::new("test")).unwrap();
    let push = |id: &str, place| vec![Push { delivery: delivery(webhook(1), id, clock.now()), place, repeated: true }];
    engine.push(push("first", Stand::Ready), Vec::new()).await.unwrap();
    soon(engine.depth()).await.unwrap();
    *clock.by.lock() = Duration::from_secs(3600);
    let half_an_hour = Duration::from_secs(1800);
    let retry = Stand::Due { at: clock.now().after(half_an_hour), reason: DueReason::Retry };
    engine.push(push("retry", retry), Vec::new()).await.unwrap();
    assert_eq!(events(&soon(engine.lease(2)).await.unwrap()), ["first"]);
    waits(engine.lease(1)).await;
    clock.clock.advance(half_an_hour);
    let leased = soon(engine.lease(2)).await.unwrap();
    assert!(events(&leased).contains(&"retry".to_owned()), "{leased:?}");
}

#[tokio::test]
async fn what_was_ready_stays_ready_in_this_process_and_the_next() {
    let clock = SetBack { clock: ManualClock::new(), by: Arc::default() };
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        Embedded::open(directory.path(), &EmbeddedConfig::default(), clock, Metrics::new("test")).unwrap()
    };
    let engine = open();
    let push =
        |id: &str| vec![Push { delivery: delivery(webhook(1), id, clock.now()), place: Stand::Ready, repeated: true }];
    engine.push(push("first"), Vec::new()).await.unwrap();
    engine.push(push("second"), Vec::new()).await.unwrap();
    soon(engine.depth()).await.unwrap();
    *clock.by.lock() = Duration::from_secs(3600);
    assert_eq!(events(&soon(engine.lease(1)).await.unwrap()), ["first"]);
    drop(engine);
    let engine = open();
    assert_eq!(events(&soon(engine.lease(2)).await.unwrap()), ["first", "second"]);
}
