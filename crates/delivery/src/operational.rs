//! Tells projects about their webhooks and deliveries by operational events: appended to the log, and from there on events
//! like any other.
//!
//! The order of each:
//!
//! - Exhausted: 1. the event is appended, 2. the delivery is settled. A crash in between repeats the last attempt, and what is
//!   told then is a duplicate by its id; should that attempt succeed, the delivery was told to be exhausted and is delivered.
//! - A transition: 1. the health record is changed, 2. the event is appended. After a crash in between nobody is told, but of
//!   a pause by 410: there 3. is that the delivery is settled whose attempt decided it, so it is leased again and tells it
//!   once more (see [`tell_again`]).
//!
//! A store that refuses holds a settlement up for no longer than [`PATIENCE`]; what is not told then is counted.

use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::DeliveryHeader;
use fanfare_core::event::Event;
use fanfare_core::health::{Gate, Health, PauseReason};
use fanfare_core::operational::{self, Exhausted, WebhookTold, is_operational};
use fanfare_core::ports::event_log::Appended;
use fanfare_runtime::tasks::report;

pub(crate) use fanfare_core::operational::Transition;

use crate::context::{Context, Work};

/// How long the log may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long a pause is told once more by deliveries that a crash brings back: well within the time for which every engine
/// recognises an event's id.
const AGAIN_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Whether a project is told of what an attempt decides about its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// It is.
    Aloud,
    /// It is not: the attempt was to tell it something.
    Silently,
}

impl Telling {
    /// What goes for attempts of this delivery.
    pub(crate) fn about(delivery: &DeliveryHeader) -> Self {
        if is_operational(&delivery.event_type) { Telling::Silently } else { Telling::Aloud }
    }
}

/// Tells of a change of a webhook's health. `health` is the record as it is after it; for [`Transition::Recovered`] as it was
/// before.
pub(crate) async fn tell(
    context: &Context,
    telling: Telling,
    transition: Transition,
    health: &Health,
    since: Timestamp,
) {
    if telling == Telling::Silently {
        return;
    }
    let reason = match (transition, &health.gate) {
        (Transition::Paused, Some(Gate::Paused { by, .. })) => pause_reason(*by),
        (Transition::Recovered, _) => "succeeded",
        (Transition::Failing | Transition::Paused | Transition::Activated, gate) => {
            gate.as_ref().map_or("none", |gate| gate.reason().as_str())
        }
    };
    let told = WebhookTold {
        project: &health.project,
        webhook: health.webhook,
        transition,
        reason,
        since,
        failing_since: health.failing_since,
    };
    append(context, told.event(context.clock.now())).await;
}

/// Tells of a pause once more, where a delivery has been leased again that may have decided it before its worker died.
pub(crate) async fn tell_again(context: &Context, work: &Work) {
    if work.lease.redeliveries == 0 {
        return;
    }
    let Some(served) = context.registry.health(work.webhook()) else { return };
    let (health, now) = (&served.health, context.clock.now());
    if let Some(Gate::Paused { by: PauseReason::Gone, since }) = health.gate
        && now.since(since) < AGAIN_WITHIN
    {
        tell(context, Telling::about(&work.lease.delivery.header), Transition::Paused, health, since).await;
    }
}

/// Tells that a delivery's attempts are used up. To be called before that is settled.
pub(crate) async fn tell_exhausted(
    context: &Context,
    work: &Work,
    attempts: u32,
    outcome: OutcomeClass,
    status: Option<u16>,
    at: Timestamp,
) {
    let delivery = &work.lease.delivery.header;
    if Telling::about(delivery) == Telling::Silently || !work.hold.is_ours(context.clock.monotonic()) {
        return;
    }
    let told = Exhausted { delivery, attempts, outcome: outcome.as_str(), status, at };
    append(context, told.event(context.clock.now())).await;
}

/// A reason as the API calls it.
fn pause_reason(by: PauseReason) -> &'static str {
    match by {
        PauseReason::Gone => "gone",
        PauseReason::Failing => "failing",
        PauseReason::Owner => "owner",
    }
}

async fn append(context: &Context, event: Event) {
    let id = event.header.id.clone();
    let name = operational::TYPES.into_iter().find(|name| *name == event.header.event_type.as_str());
    let appended = tokio::select! {
        biased;
        appended = context.log.append(vec![event]) => appended.map_err(|error| report(&error)),
        () = context.clock.sleep(PATIENCE) => Err("the log did not answer in time".to_owned()),
    };
    let result = match appended.as_deref() {
        Ok([Appended::Accepted]) => "told",
        // What was told before may say another status: the attempt was repeated.
        Ok(_) => "repeated",
        Err(error) => {
            tracing::warn!(event = %id, %error, "an operational event could not be appended; nobody is told");
            "failed"
        }
    };
    if let Some(name) = name {
        context.metrics.operational_events.with_label_values(&[name, result]).inc();
    }
}
