//! Tells a project what was done to its webhooks through the API, by operational events.
//!
//! It is told after the change: a crash in between leaves it untold unless the request is made again, within the time for which
//! an event's id is recognised. A log that refuses does not fail the change that was made; what is not told is counted.

use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::health::{Gate, Health};
use fanfare_core::operational::{Transition, WebhookTold};
use fanfare_core::ports::event_log::Appended;
use fanfare_core::webhook::Webhook;
use fanfare_runtime::tasks::report;

use crate::api::Api;

/// How long the log may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long a change that was asked for once more is told once more: well within the time for which every engine recognises
/// an event's id.
const AGAIN_WITHIN: Duration = Duration::from_secs(10 * 60);
/// Who pauses and activates through the API.
const OWNER: &str = "owner";

/// Tells of an activation, if the webhook's gate was made a releasing one by it.
pub(crate) async fn tell_activated(api: &Api, health: &Health) {
    if let Some(Gate::Releasing { since, .. }) = health.gate {
        let told = WebhookTold {
            project: &health.project,
            webhook: health.webhook,
            transition: Transition::Activated,
            reason: OWNER,
            since,
            failing_since: health.failing_since,
        };
        tell(api, &told).await;
    }
}

/// Tells that its owner has paused a webhook, if that is so.
pub(crate) async fn tell_paused(api: &Api, webhook: &Webhook, health: Option<&Health>) {
    if let Some(since) = webhook.inactive_since {
        let told = WebhookTold {
            project: &webhook.project,
            webhook: webhook.id,
            transition: Transition::Paused,
            reason: OWNER,
            since,
            failing_since: health.and_then(|health| health.failing_since),
        };
        tell(api, &told).await;
    }
}

async fn tell(api: &Api, told: &WebhookTold<'_>) {
    let now: Timestamp = api.clock.now();
    if now.since(told.since) >= AGAIN_WITHIN {
        return;
    }
    let event = told.event(now);
    let appended = tokio::select! {
        biased;
        appended = api.console.log.append(vec![event]) => appended.map_err(|error| report(&error)),
        () = api.clock.sleep(PATIENCE) => Err("the log did not answer in time".to_owned()),
    };
    let name = told.transition.type_name();
    let result = match appended.as_deref() {
        Ok([Appended::Accepted]) => "told",
        Ok(_) => "repeated",
        Err(error) => {
            tracing::warn!(webhook = %told.webhook, event = name, %error, "an operational event could not be appended; nobody is told");
            "failed"
        }
    };
    api.metrics.operational_events.with_label_values(&[name, result]).inc();
}
