//! `GET /v1/events`: a project's events, most recent first, from the read model: an event is in the list once it has been fanned out.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::event::{EventHeader, EventType, Extensions, Source, Subject};
use fanfare_core::ids::EventId;
use fanfare_history::{EventFilter, EventSummary};
use fanfare_http::Problem;
use http::HeaderMap;
use serde::Serialize;

use super::EventStatus;
use crate::api::{Api, history_failed};
use crate::input::Query;
use crate::paging::{self, AfterEvent, Cursor as _, Page};

/// The parameters' names.
pub(crate) const KNOWN: &[&str] = &["type", "source", "subject", "since", "until", "limit", "after"];

/// An event without its data, its deliveries counted.
#[derive(Debug, Serialize)]
pub(crate) struct EventListed {
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
    fanned_out_at: Timestamp,
    data_bytes: u64,
    deliveries_total: u64,
}

/// The project's events, most recent first.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 503.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<EventListed>>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let filter = filter(query.as_deref())?;
    let page = api.console.history.events(caller.project(), filter).await.map_err(|error| history_failed(&error))?;
    let next = page.next.map(|next| AfterEvent(next).encode());
    Ok(Json(Page { data: page.rows.into_iter().map(EventListed::from).collect(), next }))
}

/// Reads a query.
fn filter(query: Option<&str>) -> Result<EventFilter, Problem> {
    let mut query = Query::read(query, KNOWN);
    let filter = EventFilter {
        event_type: query
            .one("type", |text| EventType::new(text).map_err(|_| format!("must be {}", EventType::ALLOWED))),
        source: query.one("source", |text| Source::new(text).map_err(|_| format!("must be {}", Source::ALLOWED))),
        subject: query.one("subject", |text| Subject::new(text).map_err(|_| format!("must be {}", Subject::ALLOWED))),
        since: query.one("since", paging::time),
        until: query.one("until", paging::time),
        after: paging::after::<AfterEvent>(&mut query).map(|after| after.0),
        limit: paging::limit(&mut query),
    };
    paging::in_order(&mut query, filter.since, filter.until);
    query.refuse()?;
    Ok(filter)
}

impl From<EventSummary> for EventListed {
    fn from(row: EventSummary) -> Self {
        let EventHeader { project: _, id, event_type, source, subject, time, expires_at, accepted_at, extensions } =
            row.event;
        Self {
            id,
            event_type,
            source,
            subject,
            time,
            expirytime: expires_at,
            accepted_at,
            extensions,
            status: EventStatus::FannedOut,
            fanned_out_at: row.fanned_out_at,
            data_bytes: row.data_bytes,
            deliveries_total: row.deliveries_total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_parameter_is_named() {
        for (query, field) in [
            ("type=a..b", "type"),
            ("source=", "source"),
            ("subject=a%00", "subject"),
            ("since=yesterday", "since"),
            ("until=2025", "until"),
            ("since=2025-12-06T00:00:00Z&until=2025-12-06T00:00:00Z", "since"),
            ("limit=101", "limit"),
            ("after=!", "after"),
            ("event_type=a", "event_type"),
        ] {
            let problem = filter(Some(query)).unwrap_err();
            let fields: Vec<&str> = problem.errors.iter().map(|error| error.field.as_str()).collect();
            assert_eq!(fields, [field], "{query}");
        }
    }
}
