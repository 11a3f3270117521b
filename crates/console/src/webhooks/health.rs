//! `GET /v1/webhooks/{id}/health`: whether a webhook is served, what holds it, and how much waits.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::health::{Gate, GateReason, WebhookState};
use fanfare_core::ids::WebhookId;
use fanfare_http::Problem;
use http::HeaderMap;
use serde::Serialize;

use crate::api::Api;

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct HealthView {
    webhook_id: WebhookId,
    state: WebhookState,
    /// Since the first of the failures that no success has followed.
    failing_since: Option<Timestamp>,
    gate: Option<GateView>,
    /// How many deliveries stand behind the gate, in flight or not.
    waiting: u64,
    /// When the one at the head was put there.
    oldest_waiting_at: Option<Timestamp>,
}

/// What holds its deliveries, or lets them through one by one.
#[derive(Debug, Default, Serialize)]
struct GateView {
    reason: &'static str,
    since: Option<Timestamp>,
    next_probe_at: Option<Timestamp>,
    failed_probes: Option<u32>,
    release_rate: Option<u32>,
}

/// A webhook's health, as new as every change that was answered before.
///
/// # Errors
/// 401, 403, 404, 503.
pub(crate) async fn health(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<HealthView>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let webhook = &api.webhook(caller.project(), &id).await?.webhook;
    let (registry, queue) = (&api.console.registry, &api.console.queue);
    let record = registry.health(webhook.id);
    let recorded = record.as_ref().and_then(|served| served.health.gate.as_ref());
    let gate = registry.gate(webhook.id).map(|reason| match recorded {
        Some(gate) if gate.reason() == reason => recorded_gate(gate),
        Some(_) | None => GateView {
            reason: reason.as_str(),
            since: (reason == GateReason::Paused).then_some(webhook.inactive_since).flatten(),
            ..GateView::default()
        },
    });
    let depth = queue.gate_depth(webhook.id).await.map_err(|error| Problem::unavailable(&error))?;
    Ok(Json(HealthView {
        webhook_id: webhook.id,
        state: registry.state(webhook.id),
        failing_since: record.as_ref().and_then(|served| served.health.failing_since),
        gate,
        waiting: depth.count,
        oldest_waiting_at: depth.oldest,
    }))
}

fn recorded_gate(gate: &Gate) -> GateView {
    let view = GateView { reason: gate.reason().as_str(), since: Some(gate.since()), ..GateView::default() };
    match gate {
        Gate::BreakerOpen { probes, next_probe, .. } => {
            GateView { next_probe_at: Some(*next_probe), failed_probes: Some(*probes), ..view }
        }
        Gate::Releasing { rate, .. } => GateView { release_rate: *rate, ..view },
        Gate::Paused { .. } | Gate::Congested { .. } => view,
    }
}
