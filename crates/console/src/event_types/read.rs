//! `GET /v1/event-types` and `GET /v1/event-types/{type}`: the catalogue's types, then the project's own.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use fanfare_core::api_key::Scope;
use fanfare_core::catalogue::Catalogue;
use fanfare_core::ports::config_store::Group;
use fanfare_http::Problem;
use http::HeaderMap;

use super::stored::{name, no_type};
use super::view::{EventTypeView, OwnTypeView};
use crate::api::Api;
use crate::input::Query;
use crate::paging::{self, AfterEventType, Cursor as _, Page};

/// One type.
///
/// # Errors
/// 401, 403, 404, 503.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Result<Json<EventTypeView>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let name = name(&text)?;
    if let Some(entry) = Catalogue::builtin().get(&name) {
        return Ok(Json(EventTypeView::Catalogue(entry)));
    }
    api.fresh(Group::Config).await?;
    let served = api.console.registry.event_type(caller.project(), &name).ok_or_else(no_type)?;
    Ok(Json(EventTypeView::Own(Box::new(OwnTypeView::new(&served.own)))))
}

/// The parameters' names.
pub(crate) const KNOWN: &[&str] = &["own", "limit", "after"];

/// All types: the catalogue's in its order, then the project's own in order of their names; with `own` the one or the other alone.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 503.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<EventTypeView>>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let mut query = Query::read(query.as_deref(), KNOWN);
    let own = query.one("own", paging::truth);
    let limit = paging::limit(&mut query);
    let after = paging::after(&mut query).map(|AfterEventType(after)| after);
    query.refuse()?;
    api.fresh(Group::Config).await?;

    let entries = Catalogue::builtin().entries();
    let place = after.as_ref().and_then(|after| entries.iter().position(|entry| entry.event_type == *after));
    // After one of its own the catalogue is behind; before any, or after one of the catalogue's, some of it may be ahead.
    let (from, after_own) = match (&after, place) {
        (None, _) if own == Some(true) => (entries.len(), None),
        (None, _) => (0, None),
        (Some(_), Some(_)) if own == Some(true) => (entries.len(), None),
        (Some(_), Some(place)) => (place + 1, None),
        (Some(own), None) => (entries.len(), Some(own)),
    };
    // One more than is shown tells whether there is a next page.
    let most = limit + 1;
    let mut found: Vec<_> = entries.iter().skip(from).take(most).map(|entry| (&entry.event_type, entry)).collect();
    let most_own = if own == Some(false) { 0 } else { most - found.len() };
    let own = api.console.registry.event_types_of(caller.project(), after_own, most_own);
    let more = found.len() + own.len() > limit;
    found.truncate(limit);
    let own = &own[..own.len().min(limit - found.len())];
    let last = own.last().map(|served| &served.own.event_type).or_else(|| found.last().map(|(name, _)| *name));
    let next = last.filter(|_| more).map(|last| AfterEventType(last.clone()).encode());
    let catalogue = found.iter().map(|(_, entry)| EventTypeView::Catalogue(entry));
    let own = own.iter().map(|served| EventTypeView::Own(Box::new(OwnTypeView::new(&served.own))));
    Ok(Json(Page { data: catalogue.chain(own).collect(), next }))
}
