//! A webhook as Kapso's clients read it.

use fanfare_core::clock::Timestamp;
use fanfare_core::egress::WebhookUrl;
use fanfare_core::event::{EventType, Source};
use fanfare_core::health::{Gate, Health};
use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::pattern::EventPattern;
use fanfare_core::webhook::{InactivityMinutes, PayloadVersion, Webhook, WebhookKind};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::webhooks::headers;

/// What everything is answered in.
#[derive(Serialize)]
pub(crate) struct Data<T> {
    /// The thing.
    pub(super) data: T,
}

/// See the [module](self). No `Debug`: it may hold the secret.
#[derive(Serialize)]
pub(crate) struct KapsoWebhook {
    id: WebhookId,
    url: WebhookUrl,
    kind: WebhookKind,
    events: Vec<EventPattern>,
    active: bool,
    headers: Map<String, Value>,
    payload_version: PayloadVersion,
    buffer_enabled: bool,
    buffer_window_seconds: Option<u32>,
    max_buffer_size: Option<u32>,
    buffer_events: Vec<EventPattern>,
    inactivity_minutes: Option<InactivityMinutes>,
    project_id: ProjectId,
    phone_number_id: Option<Source>,
    created_at: Timestamp,
    updated_at: Timestamp,
    secret_key: Option<String>,
}

impl KapsoWebhook {
    /// A webhook, with its secret where that is to be shown.
    pub(super) fn new(webhook: &Webhook, health: Option<&Health>, secret_key: Option<String>) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url.clone(),
            kind: webhook.kind,
            events: webhook.events.clone(),
            active: is_active(webhook, health),
            headers: headers::masked(&webhook.headers),
            payload_version: webhook.payload_version,
            buffer_enabled: false,
            buffer_window_seconds: None,
            max_buffer_size: None,
            buffer_events: Vec::new(),
            inactivity_minutes: inactivity_minutes(webhook),
            project_id: webhook.project.clone(),
            phone_number_id: webhook.source.clone(),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            secret_key,
        }
    }
}

/// Whether it gets what comes: one that is paused is not active for Kapso's clients, whoever paused it.
pub(super) fn is_active(webhook: &Webhook, health: Option<&Health>) -> bool {
    let paused = matches!(health.and_then(|health| health.gate.as_ref()), Some(Gate::Paused { .. }));
    webhook.active && !paused
}

/// The platform's default stands where the webhook is subscribed and its owner has said nothing.
fn inactivity_minutes(webhook: &Webhook) -> Option<InactivityMinutes> {
    let subscribed =
        || EventType::new("whatsapp.conversation.inactive").is_ok_and(|inactive| webhook.subscribes_to(&inactive));
    webhook.inactivity_minutes.or_else(|| subscribed().then(InactivityMinutes::default))
}
