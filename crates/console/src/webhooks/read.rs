//! `GET /v1/webhooks` and `GET /v1/webhooks/{id}`: as new as every change that was answered before.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use fanfare_core::api_key::Scope;
use fanfare_core::ports::config_store::Group;
use fanfare_core::webhook::Webhook;
use fanfare_http::Problem;
use fanfare_runtime::registry::ServedWebhook;
use http::HeaderMap;

use super::view::WebhookView;
use crate::api::Api;
use crate::input::Query;
use crate::paging::{self, AfterWebhook, Cursor as _, Page};

/// One webhook.
///
/// # Errors
/// 401, 403, 404, 503.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Json<WebhookView>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let served = api.webhook(caller.project(), &id).await?;
    Ok(Json(view(&api, &served)))
}

/// The project's webhooks, oldest first.
///
/// # Errors
/// 400 with every wrong parameter, 401, 403, 503.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<WebhookView>>, Problem> {
    let caller = api.caller(&headers, Scope::Read).await?;
    let mut query = Query::read(query.as_deref(), &["limit", "after"]);
    let limit = paging::limit(&mut query);
    let after: Option<AfterWebhook> = paging::after(&mut query);
    query.refuse()?;
    api.fresh(Group::Config).await?;
    api.fresh(Group::State).await?;

    // One more than is shown tells whether there is a next page.
    let mut served = api.console.registry.webhooks_of(caller.project(), after.map(|after| after.0), limit + 1);
    let more = served.len() > limit;
    served.truncate(limit);
    let next = served.last().filter(|_| more).map(|last| AfterWebhook(last.webhook.id).encode());
    Ok(Json(Page { data: served.iter().map(|served| view(&api, served)).collect(), next }))
}

fn view(api: &Api, served: &ServedWebhook) -> WebhookView {
    known(api, &served.webhook)
}

/// A webhook with the health that this process knows of.
pub(super) fn known(api: &Api, webhook: &Webhook) -> WebhookView {
    let health = api.console.registry.health(webhook.id);
    WebhookView::new(webhook, health.as_ref().map(|served| &served.health), api.clock.now())
}
