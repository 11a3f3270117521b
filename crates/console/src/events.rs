//! `GET /v1/events/{id}`: an event with its data, the deliveries it became, and the webhooks it did not go to.
//!
//! The read model follows the pipeline by moments: right after its acceptance an event is in the log alone, and is answered
//! from there as pending. One that the read model still does not know long after is not called so: its deliveries are not recorded.
//! The data comes from the log and is null once it is no longer retained.

pub(crate) mod delete;
pub(crate) mod list;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::event::{Event, EventHeader, EventType, Extensions, Source, Subject};
use fanfare_core::ids::{EventId, WebhookId};
use fanfare_core::matching::NonMatch;
use fanfare_core::meta;
use fanfare_history::EventRow;
use fanfare_http::Problem;
use http::HeaderMap;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::{Api, history_failed};
use crate::deliveries::view::DeliveryView;

/// How long after its acceptance an event that the read model does not know is called pending: fan-out and the read model
/// take milliseconds, and after this long it is likelier that the read model has been lost than that both are at it.
const PENDING_FOR: Duration = Duration::from_secs(60);

/// What is said of an event that is not recorded.
const NOT_RECORDED: &str = "the delivery log has no record of where this event went: either it still waits to be fanned out, \
                            or the delivery log was begun anew (history.db lost or moved away) after it had been; \
                            its deliveries are not affected by that";

/// How far an event has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum EventStatus {
    /// Accepted; not yet known to be fanned out.
    Pending,
    /// Matched; its deliveries and non-matches are complete.
    FannedOut,
    /// Accepted long ago, and not in the read model: what became of it cannot be told.
    NotRecorded,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct EventView {
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventType,
    source: Option<Source>,
    subject: Option<Subject>,
    time: Timestamp,
    expirytime: Option<Timestamp>,
    accepted_at: Timestamp,
    extensions: Extensions,
    status: EventStatus,
    /// What the status means, where that needs saying.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    fanned_out_at: Option<Timestamp>,
    data_bytes: u64,
    data: Option<Box<RawValue>>,
    /// A raw Meta body, which need not be JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    deliveries: Vec<DeliveryView>,
    deliveries_total: u64,
    non_matches: Vec<NonMatchView>,
    non_matches_total: u64,
}

#[derive(Debug, Serialize)]
struct NonMatchView {
    webhook_id: WebhookId,
    /// The reason, and of a filter the condition.
    #[serde(flatten)]
    why: NonMatch,
}

/// One event.
///
/// # Errors
/// 401, 403, 404, 503.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<EventView>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let id = EventId::new(id).map_err(|_| Problem::not_found("event"))?;
    // The log first: an event that moves on between the two reads is found in one of them.
    let logged = api.console.log.get(caller.project(), &id).await.map_err(|error| Problem::unavailable(&error))?;
    let row = api
        .console
        .history
        .event(caller.project(), &id, logged.as_ref().map(|event| event.data.clone()))
        .await
        .map_err(|error| history_failed(&error))?;
    let view = match (row, logged) {
        (Some(row), logged) => EventView::fanned_out(row, Shown::of(logged.as_ref())?),
        (None, Some(event)) => {
            let view = EventView::pending(&event.header, Shown::of(Some(&event))?, event.data.len());
            view.unless_long_ago(api.clock.now())
        }
        (None, None) => return Err(Problem::not_found("event")),
    };
    Ok(Json(view))
}

/// The data as it is kept, byte for byte.
#[derive(Debug, Default)]
struct Shown {
    json: Option<Box<RawValue>>,
    base64: Option<String>,
}

impl Shown {
    fn of(event: Option<&Event>) -> Result<Self, Problem> {
        let Some(event) = event else { return Ok(Self::default()) };
        if meta::is_raw(&event.header.event_type) {
            return Ok(Self { base64: Some(STANDARD.encode(&event.data)), ..Self::default() });
        }
        let json = serde_json::from_slice(&event.data).map_err(|error| {
            tracing::error!(event = %event.header.id, %error, "an event's stored data is not JSON");
            Problem::internal()
        })?;
        Ok(Self { json: Some(json), ..Self::default() })
    }
}

impl EventView {
    fn pending(header: &EventHeader, data: Shown, bytes: usize) -> Self {
        let EventHeader { project: _, id, event_type, source, subject, time, expires_at, accepted_at, extensions } =
            header.clone();
        Self {
            id,
            event_type,
            source,
            subject,
            time,
            expirytime: expires_at,
            accepted_at,
            extensions,
            status: EventStatus::Pending,
            note: None,
            fanned_out_at: None,
            data_bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            data: data.json,
            data_base64: data.base64,
            deliveries: Vec::new(),
            deliveries_total: 0,
            non_matches: Vec::new(),
            non_matches_total: 0,
        }
    }

    /// Pending, unless that would have ended long ago.
    fn unless_long_ago(self, now: Timestamp) -> Self {
        if now.since(self.accepted_at) <= PENDING_FOR {
            return self;
        }
        Self { status: EventStatus::NotRecorded, note: Some(NOT_RECORDED), ..self }
    }

    fn fanned_out(row: EventRow, data: Shown) -> Self {
        let non_matches =
            row.non_matches.into_iter().map(|(webhook_id, why)| NonMatchView { webhook_id, why }).collect();
        Self {
            status: EventStatus::FannedOut,
            fanned_out_at: Some(row.fanned_out_at),
            data_bytes: row.data_bytes,
            deliveries: row.deliveries.into_iter().map(DeliveryView::from).collect(),
            deliveries_total: row.deliveries_total,
            non_matches,
            non_matches_total: row.non_matches_total,
            ..Self::pending(&row.event, data, 0)
        }
    }
}
