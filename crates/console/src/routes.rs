//! Which path answers what, and to whom.

use std::sync::Arc;

use fanfare_core::api_key::Scope;
use fanfare_http::{Access, Route};
use http::Method;

use crate::api::Api;
use crate::kapso::{deliveries as kapso_deliveries, webhooks as kapso};
use crate::webhooks::{activate, create, delete, health, read, rotate, secret, test, update};
use crate::{api_keys, deliveries, event_types, events, filters, projects, rejections, retry};

const READ: Access = Access::Key(Scope::Read);
const MANAGE: Access = Access::Key(Scope::Manage);
const KEYS: Access = Access::KeyOrAdmin(Scope::Manage);
const ADMIN: Access = Access::Admin;

const OF_NUMBER: &str = "/platform/v1/whatsapp/phone_numbers/{phone_number_id}/webhooks";
const ONE_OF_NUMBER: &str = "/platform/v1/whatsapp/phone_numbers/{phone_number_id}/webhooks/{id}";
/// What the lists of the Kapso surface take in their query.
const KAPSO_PAGE: &[&str] = crate::kapso::list::KNOWN;
const KAPSO_DELIVERIES: &[&str] = crate::kapso::delivery_query::KNOWN;
/// What lists take in their query.
const PAGE: &[&str] = &["limit", "after"];
/// What the routes of API keys take in theirs.
const OF_PROJECT: &[&str] = &["project"];

/// The routes, without fallbacks: the router is merged with others, and what none of them knows is answered by the whole.
///
/// A route that is added here has its place in `docs/api.md`, in what [`openapi`](crate::openapi) says, and in the test of who may call
/// what; all are held to it.
pub(crate) fn table() -> Vec<Route<Arc<Api>>> {
    let (get, post, patch, del) = (Method::GET, Method::POST, Method::PATCH, Method::DELETE);
    vec![
        Route::new(get.clone(), "/v1/webhooks", READ, read::list).taking(PAGE),
        Route::new(post.clone(), "/v1/webhooks", MANAGE, create::create),
        Route::new(get.clone(), "/v1/webhooks/{id}", READ, read::one),
        Route::new(patch.clone(), "/v1/webhooks/{id}", MANAGE, update::patch),
        Route::new(del.clone(), "/v1/webhooks/{id}", MANAGE, delete::delete),
        Route::new(post.clone(), "/v1/webhooks/{id}/test", MANAGE, test::test),
        Route::new(post.clone(), "/v1/webhooks/{id}/activate", MANAGE, activate::activate),
        Route::new(get.clone(), "/v1/webhooks/{id}/health", READ, health::health),
        Route::new(get.clone(), "/v1/webhooks/{id}/secret", MANAGE, secret::secret),
        Route::new(post.clone(), "/v1/webhooks/{id}/rotate-secret", MANAGE, rotate::rotate),
        Route::new(post.clone(), "/v1/filters/preview", READ, filters::preview),
        Route::new(get.clone(), "/v1/event-types", READ, event_types::read::list).taking(event_types::read::KNOWN),
        Route::new(post.clone(), "/v1/event-types", MANAGE, event_types::create::create),
        Route::new(get.clone(), "/v1/event-types/{type}", READ, event_types::read::one),
        Route::new(patch.clone(), "/v1/event-types/{type}", MANAGE, event_types::update::patch),
        Route::new(del.clone(), "/v1/event-types/{type}", MANAGE, event_types::delete::delete),
        Route::new(get.clone(), "/v1/events", READ, events::list::list).taking(events::list::KNOWN),
        Route::new(get.clone(), "/v1/events/{id}", READ, events::one),
        Route::new(del.clone(), "/v1/events/{id}", MANAGE, events::delete::delete),
        Route::new(get.clone(), "/v1/rejections", READ, rejections::list).taking(PAGE),
        Route::new(get.clone(), "/v1/deliveries", READ, deliveries::list).taking(deliveries::filter::KNOWN),
        Route::new(get.clone(), "/v1/deliveries/{id}", READ, deliveries::one),
        Route::new(post.clone(), "/v1/deliveries/{id}/retry", MANAGE, retry::retry),
        Route::new(get.clone(), "/v1/api-keys", KEYS, api_keys::read::list).taking(&["limit", "after", "project"]),
        Route::new(post.clone(), "/v1/api-keys", KEYS, api_keys::create::create).taking(OF_PROJECT),
        Route::new(get.clone(), "/v1/api-keys/{id}", KEYS, api_keys::read::one).taking(OF_PROJECT),
        Route::new(patch.clone(), "/v1/api-keys/{id}", KEYS, api_keys::update::patch).taking(OF_PROJECT),
        Route::new(del.clone(), "/v1/api-keys/{id}", KEYS, api_keys::delete::delete).taking(OF_PROJECT),
        Route::new(get.clone(), "/v1/projects", ADMIN, projects::read::list).taking(PAGE),
        Route::new(post.clone(), "/v1/projects", ADMIN, projects::create::create),
        Route::new(get.clone(), "/v1/projects/{id}", ADMIN, projects::read::one),
        Route::new(patch.clone(), "/v1/projects/{id}", ADMIN, projects::update::patch),
        Route::new(del.clone(), "/v1/projects/{id}", ADMIN, projects::delete::delete),
        Route::new(get.clone(), OF_NUMBER, READ, kapso::list_of_number).taking(KAPSO_PAGE),
        Route::new(post.clone(), OF_NUMBER, MANAGE, kapso::create_of_number),
        Route::new(get.clone(), ONE_OF_NUMBER, READ, kapso::get_of_number),
        Route::new(patch.clone(), ONE_OF_NUMBER, MANAGE, kapso::patch_of_number),
        Route::new(del.clone(), ONE_OF_NUMBER, MANAGE, kapso::delete_of_number),
        Route::new(get.clone(), "/platform/v1/whatsapp/webhooks", READ, kapso::list_all).taking(KAPSO_PAGE),
        Route::new(post.clone(), "/platform/v1/whatsapp/webhooks", MANAGE, kapso::create_any),
        Route::new(get.clone(), "/platform/v1/whatsapp/webhooks/{id}", READ, kapso::get_any),
        Route::new(patch, "/platform/v1/whatsapp/webhooks/{id}", MANAGE, kapso::patch_any),
        Route::new(del, "/platform/v1/whatsapp/webhooks/{id}", MANAGE, kapso::delete_any),
        Route::new(post, "/platform/v1/whatsapp/webhooks/{id}/test", MANAGE, kapso::test).taking(&["event_type"]),
        Route::new(get, "/platform/v1/webhook_deliveries", READ, kapso_deliveries::list).taking(KAPSO_DELIVERIES),
    ]
}
