//! `POST /v1/webhooks/{id}/rotate-secret`: a new signing secret, beside which the one it replaces signs for a while.
//!
//! One record holds both, so that a rotation is made whole or not at all. A further rotation within the overlap makes the
//! replaced secret the previous one; the one before that signs no more. Asking for the secret that signs already replaces
//! nothing, so that a request whose answer was lost can be repeated without voiding the secret its receiver still knows.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use fanfare_core::api_key::Scope;
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::config_store::{Changed, Expected, Record};
use fanfare_core::seal::SealingKey;
use fanfare_core::secret::Secret;
use fanfare_core::webhook::{PreviousSecret, Webhook};
use fanfare_http::{Caller, Problem};
use http::{HeaderMap, header};
use serde::Serialize;
use serde_json::Value;

use super::view::WebhookView;
use super::{fields, read as shown, secret, stored, warnings};
use crate::api::{Api, contended};
use crate::audit::{self, Act, Actor};
use crate::input::body::{member, take};
use crate::input::{Given, Object, Wrong};

/// How long both secrets sign when the request does not say: 24 h, a day for every receiver to take the new one up.
const DEFAULT_OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest overlap, in seconds: 7 days. A secret is rotated because the old one is to end.
pub(crate) const MAX_OVERLAP_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The answer: the one that shows the new secret. No `Debug`.
#[derive(Serialize)]
struct Rotated {
    #[serde(flatten)]
    webhook: WebhookView,
    secret: String,
    warnings: Vec<String>,
}

/// What is asked for. No `Debug`: one field is a secret.
struct Rotation {
    secret: Given<Secret>,
    overlap: Given<Duration>,
}

/// Rotates a webhook's secret. Deliveries are signed with it as soon as each worker has heard of it, within moments; a test that
/// is asked for after the answer is for certain.
///
/// # Errors
/// 400 with every wrong field, 401, 403, 404, 413, 500 when the secret in force cannot be opened, 503.
pub(crate) async fn rotate(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Response, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let id = api.webhook(caller.project(), &id).await?.webhook.id;
    let rotation = read(&Object::read_optional(&headers, body, api.console.config.max_body_bytes).await?)?;
    let new = match &rotation.secret {
        Given::Value(own) => own.clone(),
        Given::Absent | Given::Null => Secret::generate(&mut rand::rng()),
    };
    let webhook = change(&api, &caller, id, &new, &rotation.overlap).await?;
    api.take_up().await;
    let warnings = warnings::about_secret(&new).into_iter().collect();
    let rotated = Rotated { webhook, secret: new.expose().to_owned(), warnings };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(rotated)).into_response())
}

fn read(object: &Object) -> Result<Rotation, Problem> {
    let mut rotation = Rotation { secret: Given::Absent, overlap: Given::Absent };
    let mut wrong = Wrong::new();
    for (name, value) in object.fields() {
        let at = member("$", name);
        match name {
            "secret" => rotation.secret = take(value, &at, &mut wrong, fields::secret),
            "overlap_seconds" => rotation.overlap = take(value, &at, &mut wrong, overlap),
            name => wrong.unknown(at, name, &["secret", "overlap_seconds"]),
        }
    }
    wrong.refuse()?;
    Ok(rotation)
}

fn overlap(value: &Value) -> Result<Duration, String> {
    let seconds = value.as_u64().filter(|seconds| *seconds <= MAX_OVERLAP_SECONDS);
    let seconds =
        seconds.ok_or_else(|| format!("must be a whole number of seconds from 0 to {MAX_OVERLAP_SECONDS} (7 days)"))?;
    Ok(Duration::from_secs(seconds))
}

/// Changes the webhook's record by compare-and-set, audits that, and shows it as it is then.
pub(crate) async fn change(
    api: &Api,
    caller: &Caller,
    id: WebhookId,
    new: &Secret,
    overlap: &Given<Duration>,
) -> Result<WebhookView, Problem> {
    let (store, project) = (&*api.console.store, caller.project());
    for _ in 0..stored::TRIES {
        let (current, revision) = stored::webhook(store, project, id).await?;
        let now = api.clock.now();
        let before = shown::known(api, &current);
        let changed = rotated(&api.console.key, &current, new, overlap, now)?;
        if changed != current {
            let put = store.put(Record::Webhook(changed.clone()), Expected::At(revision)).await;
            match put.map_err(|error| Problem::unavailable(&error))? {
                Changed::Done(_) => {}
                Changed::Conflict => continue,
            }
        }
        let health = stored::health(store, id).await.map_err(|error| Problem::unavailable(&error))?;
        let after = WebhookView::new(&changed, health.as_ref().map(|(health, _)| health), now);
        audit::change(&Actor::from(caller), Act::SecretRotated, project, &id, Some(&before), Some(&after));
        return Ok(after);
    }
    Err(contended("webhook"))
}

/// The webhook with the new secret; with the one that it has already, only the end of an overlap under way can change.
fn rotated(
    key: &SealingKey,
    current: &Webhook,
    new: &Secret,
    overlap: &Given<Duration>,
    now: Timestamp,
) -> Result<Webhook, Problem> {
    let mut rng = rand::rng();
    let replaced = secret::open(key, current)?;
    let mut changed = current.clone();
    changed.drop_previous_secret(now);
    if replaced == new.expose() {
        if let (Some(previous), Given::Value(overlap)) = (&mut changed.previous_secret, overlap) {
            previous.until = now.after(*overlap);
        }
    } else {
        let until = now.after(overlap.or(&DEFAULT_OVERLAP));
        let sealed = key.seal(&replaced, &Webhook::previous_secret_context(current.id), &mut rng);
        changed.previous_secret = Some(Box::new(PreviousSecret { sealed, until }));
        changed.secret = key.seal(new.expose(), &Webhook::secret_context(current.id), &mut rng);
        changed.secret_last4 = new.last4().to_owned();
    }
    changed.drop_previous_secret(now);
    if changed != *current {
        changed.updated_at = now;
    }
    Ok(changed)
}
