//! A webhook as the API shows it: everything its owner set, its state, no secrets.

use fanfare_core::clock::Timestamp;
use fanfare_core::egress::WebhookUrl;
use fanfare_core::event::Source;
use fanfare_core::filter::Filter;
use fanfare_core::health::{Gate, Health, PauseReason, WebhookState};
use fanfare_core::ids::WebhookId;
use fanfare_core::pattern::EventPattern;
use fanfare_core::rate_limit::RateLimit;
use fanfare_core::retry::RetrySchedule;
use fanfare_core::webhook::{InactivityMinutes, PayloadVersion, Webhook, WebhookKind};
use serde::Serialize;
use serde_json::{Map, Value};

use super::headers;

/// See the [module](self).
#[derive(Debug, Serialize)]
pub(crate) struct WebhookView {
    id: WebhookId,
    url: WebhookUrl,
    kind: WebhookKind,
    events: Vec<EventPattern>,
    source: Option<Source>,
    filter: Option<Filter>,
    description: Option<String>,
    active: bool,
    state: WebhookState,
    paused_at: Option<Timestamp>,
    paused_reason: Option<PauseReason>,
    headers: Map<String, Value>,
    payload_version: PayloadVersion,
    retry_schedule: RetrySchedule,
    timeout_seconds: u64,
    rate_limit: Option<RateLimit>,
    inactivity_minutes: Option<InactivityMinutes>,
    secret_last4: String,
    previous_secret_until: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl WebhookView {
    /// A webhook at this time, with its health, if there is a record of it.
    pub(crate) fn new(webhook: &Webhook, health: Option<&Health>, now: Timestamp) -> Self {
        let pause = pause(webhook, health);
        Self {
            id: webhook.id,
            url: webhook.url.clone(),
            kind: webhook.kind,
            events: webhook.events.clone(),
            source: webhook.source.clone(),
            filter: webhook.filter.clone(),
            description: webhook.description.clone(),
            active: webhook.active,
            state: state(pause.is_some(), health),
            paused_at: pause.as_ref().map(|pause| pause.since),
            paused_reason: pause.as_ref().map(|pause| pause.reason),
            headers: headers::masked(&webhook.headers),
            payload_version: webhook.payload_version,
            retry_schedule: webhook.retry_schedule.clone(),
            timeout_seconds: webhook.timeout.as_seconds(),
            rate_limit: webhook.rate_limit,
            inactivity_minutes: webhook.inactivity_minutes,
            secret_last4: webhook.secret_last4.clone(),
            previous_secret_until: webhook.previous_secret_at(now).map(|previous| previous.until),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

struct Pause {
    reason: PauseReason,
    since: Timestamp,
}

/// Why and since when nothing is sent. What its receiver said goes before what its owner did: `active` tells the latter.
fn pause(webhook: &Webhook, health: Option<&Health>) -> Option<Pause> {
    match health.and_then(|health| health.gate.as_ref()) {
        Some(Gate::Paused { by, since }) => Some(Pause { reason: *by, since: *since }),
        Some(Gate::Releasing { .. } | Gate::Congested { .. } | Gate::BreakerOpen { .. }) | None if !webhook.active => {
            let since = webhook.inactive_since.unwrap_or(webhook.updated_at);
            Some(Pause { reason: PauseReason::Owner, since })
        }
        Some(Gate::Releasing { .. } | Gate::Congested { .. } | Gate::BreakerOpen { .. }) | None => None,
    }
}

fn state(paused: bool, health: Option<&Health>) -> WebhookState {
    let fails =
        |health: &Health| health.failing_since.is_some() || matches!(health.gate, Some(Gate::BreakerOpen { .. }));
    if paused {
        WebhookState::Paused
    } else if health.is_some_and(fails) {
        WebhookState::Failing
    } else {
        WebhookState::Healthy
    }
}
