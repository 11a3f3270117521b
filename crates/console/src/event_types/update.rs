//! `PATCH /v1/event-types/{type}`: absent fields stay, null resets, `schema` and `sample` are replaced whole.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use fanfare_core::api_key::Scope;
use fanfare_core::ports::config_store::{Changed, Expected, Record};
use fanfare_http::Problem;
use http::HeaderMap;

use super::fields::{Purpose, TypeFields};
use super::stored;
use super::view::OwnTypeView;
use crate::api::{Api, contended};
use crate::audit::{self, Act, Actor};
use crate::input::Object;
use crate::webhooks::stored::TRIES;

/// Changes one of the project's own types. A relaxed schema holds from the answer on, a stricter one within moments.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 404, 409 for one of the catalogue's, 413, 503.
pub(crate) async fn patch(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(text): Path<String>,
    body: Body,
) -> Result<Json<OwnTypeView>, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let (project, name) = (caller.project(), stored::name(&text)?);
    stored::not_built_in(&name)?;
    let store = &*api.console.store;
    stored::own(store, project, &name).await?;
    let object = Object::read(&headers, body, api.console.config.max_body_bytes).await?;
    let fields = TypeFields::read(&object, Purpose::Update)?;
    for _ in 0..TRIES {
        let (current, revision) = stored::own(store, project, &name).await?;
        let mut changed = fields.merged(&current)?;
        if changed == current {
            return Ok(Json(OwnTypeView::new(&current)));
        }
        changed.updated_at = api.clock.now();
        let view = OwnTypeView::new(&changed);
        let put = store.put(Record::EventType(changed), Expected::At(revision)).await;
        match put.map_err(|error| Problem::unavailable(&error))? {
            Changed::Done(_) => {
                let before = OwnTypeView::new(&current);
                audit::change(&Actor::from(&caller), Act::TypeUpdated, project, &name, Some(&before), Some(&view));
                api.take_up().await;
                return Ok(Json(view));
            }
            Changed::Conflict => {}
        }
    }
    Err(contended("event type"))
}
