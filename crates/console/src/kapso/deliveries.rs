//! `GET /webhook_deliveries`: the delivery log, most recent first, by cursors and by page numbers.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::event::{EventType, Source};
use fanfare_core::ids::{DeliveryId, EventId, ProjectId, WebhookId};
use fanfare_history::{DeliveryRow, DeliveryWindow, WindowStart};
use fanfare_http::Problem;
use http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use super::PREFIX;
use super::delivery_query::{self, Asked, KapsoStatus};
use super::pages::{Meta, PageNumber};
use crate::api::{Api, history_failed};
use crate::paging::{AfterDelivery, Cursor as _};

/// A page of deliveries.
#[derive(Debug, Serialize)]
pub(crate) struct DeliveryPage {
    data: Vec<KapsoDelivery>,
    paging: Paging,
    meta: Meta,
}

#[derive(Debug, Serialize)]
struct Paging {
    cursors: Cursors,
    /// The address of the older page beside this, without scheme and host; null if there is none.
    next: Option<String>,
    /// That of the newer one.
    previous: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Cursors {
    before: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Serialize)]
struct KapsoDelivery {
    id: DeliveryId,
    event: EventType,
    status: &'static str,
    created_at: Timestamp,
    webhook_id: WebhookId,
    webhook_url: String,
    attempt_count: u32,
    response_status: Option<u16>,
    delivered_at: Option<Timestamp>,
    failed_at: Option<Timestamp>,
    last_attempt_at: Option<Timestamp>,
    phone_number_id: Option<Source>,
    whatsapp_config_id: Option<String>,
    conversation_phone_number: Option<String>,
}

/// The project's deliveries of a period, 24 hours unless it is said.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 503.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<DeliveryPage>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let project = caller.project();
    let asked = delivery_query::read(query.as_deref(), api.clock.now())?;
    let window = if asked.nothing {
        DeliveryWindow { rows: Vec::new(), cursors: None, newer: 0, older: false, total: 0, complete: true }
    } else {
        let window = api.console.history.delivery_window(project, asked.filter.clone(), asked.start).await;
        window.map_err(|error| history_failed(&error))?
    };
    if let (WindowStart::Skip(_), false, false) = (asked.start, window.complete, window.older) {
        // A page that ends here only because counting did would be taken for the last one.
        let message = "goes past the deliveries that are counted; go on with `after`, or ask for fewer";
        return Err(Problem::invalid("page", message));
    }
    let paging = paging(&asked, &window);
    let page = PageNumber { page: window.newer / asked.page.per_page + 1, ..asked.page };
    let beyond = window.rows.is_empty() && asked.page.page > 1;
    let page = if beyond { asked.page } else { page };
    // Where not all are counted there is a further page for clients that go by the number of pages: it says what to do.
    let uncounted = if window.complete { 0 } else { page.per_page };
    let meta = Meta::new(page, window.total + uncounted);
    let mut numbers = Numbers { api: &api, project, known: HashMap::new() };
    let mut data = Vec::with_capacity(window.rows.len());
    for row in window.rows {
        let number = numbers.of(&row).await;
        data.push(shown(&api, row, number));
    }
    Ok(Json(DeliveryPage { data, paging, meta }))
}

fn paging(asked: &Asked, window: &DeliveryWindow) -> Paging {
    let Some((first, last)) = window.cursors else {
        return Paging { cursors: Cursors::default(), next: None, previous: None };
    };
    let (before, after) = (AfterDelivery(first).encode(), AfterDelivery(last).encode());
    let beside = |name: &str, cursor: &str| {
        let separator = if asked.parameters.is_empty() { "" } else { "&" };
        format!("{PREFIX}webhook_deliveries?{}{separator}{name}={cursor}", asked.parameters)
    };
    Paging {
        next: window.older.then(|| beside("after", &after)),
        previous: (window.newer > 0).then(|| beside("before", &before)),
        cursors: Cursors { before: Some(before), after: Some(after) },
    }
}

fn shown(api: &Api, row: DeliveryRow, conversation_phone_number: Option<String>) -> KapsoDelivery {
    let status = KapsoStatus::of(row.status);
    // The read model may not have heard of a webhook that was made this moment.
    let current = || api.console.registry.webhook(row.webhook).map(|served| served.webhook.url.as_str().to_owned());
    let webhook_url = if row.webhook_url.is_empty() { current().unwrap_or_default() } else { row.webhook_url.clone() };
    KapsoDelivery {
        id: row.id,
        event: row.event_type,
        status: status.as_str(),
        created_at: row.created_at,
        webhook_id: row.webhook,
        webhook_url,
        attempt_count: row.attempt_count,
        response_status: row.response_status,
        delivered_at: row.ended_at.filter(|_| status == KapsoStatus::Delivered),
        failed_at: row.ended_at.filter(|_| status == KapsoStatus::Failed),
        last_attempt_at: row.last_attempt_at,
        phone_number_id: row.source,
        whatsapp_config_id: None,
        conversation_phone_number,
    }
}

/// The phone numbers of the conversations that a page's events are of, each event read once from the log. It is null where
/// there is none, and where the event is not retained or cannot be read for now: the list is worth more than this.
struct Numbers<'a> {
    api: &'a Api,
    project: &'a ProjectId,
    known: HashMap<EventId, Option<String>>,
}

impl Numbers<'_> {
    async fn of(&mut self, row: &DeliveryRow) -> Option<String> {
        let name = row.event_type.as_str();
        if !(name.starts_with("whatsapp.message.") || name.starts_with("whatsapp.conversation.")) {
            return None;
        }
        if let Some(known) = self.known.get(&row.event) {
            return known.clone();
        }
        let read = self.api.console.log.get(self.project, &row.event).await;
        let event = read.unwrap_or_else(|error| {
            tracing::debug!(error = %fanfare_runtime::tasks::report(&error), "an event could not be read for a list");
            None
        });
        let data: Option<Value> = event.and_then(|event| serde_json::from_slice(&event.data).ok());
        let number = data.as_ref().and_then(|data| data["conversation"]["phone_number"].as_str()).map(str::to_owned);
        self.known.insert(row.event.clone(), number.clone());
        number
    }
}
