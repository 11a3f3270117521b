//! `POST /v1/webhooks/{id}/test`: a sample, sent at once and signed as ever, also while the webhook is inactive or paused.
//!
//! It touches no queue, no health and no log of deliveries: it shows its asker what the receiver answers. The body is the
//! sample of the type, the catalogue's or the project's own, with `"test": true` at its end, in the webhook's payload version; of a
//! type without, `{"test": true}`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use fanfare_core::api_key::Scope;
use fanfare_core::attempt::OutcomeClass;
use fanfare_core::catalogue::Catalogue;
use fanfare_core::event::EventType;
use fanfare_core::ids::{EventId, IdempotencyKey, ProjectId};
use fanfare_core::meta;
use fanfare_core::normalise::normalise;
use fanfare_core::request::RequestParts;
use fanfare_core::webhook::{Webhook, WebhookKind};
use fanfare_egress::{Answer, Outgoing};
use fanfare_http::problem::FieldError;
use fanfare_http::{Caller, Problem};
use fanfare_runtime::registry::ServedWebhook;
use http::HeaderMap;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::api::Api;
use crate::audit;
use crate::input::body::{member, take, text};
use crate::input::{Object, Wrong};

/// The answer, in an envelope as Kapso's clients expect it.
#[derive(Debug, Serialize)]
pub(crate) struct Tested {
    data: TestResult,
}

#[derive(Debug, Serialize)]
struct TestResult {
    success: bool,
    status_code: Option<u16>,
    latency_ms: u64,
    error: Option<String>,
    response_body: Option<String>,
}

/// Sends a test. 200 also when the receiver failed.
///
/// # Errors
/// 400, 401, 403, 404, 422 for a type that the webhook is not subscribed to, 429 while too many tests are under way, 503.
pub(crate) async fn test(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Tested>, Problem> {
    let caller = api.caller(&headers, Scope::Manage).await?;
    let served = api.webhook(caller.project(), &id).await?;
    let asked = read(&Object::read_optional(&headers, body, api.console.config.max_body_bytes).await?)?;
    run(&api, &caller, &served, asked).await.map(Json)
}

/// Sends a test of the type asked for, or of one that the webhook is subscribed to.
///
/// # Errors
/// 422 for a type that the webhook is not subscribed to, 429 while too many tests are under way.
pub(crate) async fn run(
    api: &Api,
    caller: &Caller,
    served: &ServedWebhook,
    asked: Option<EventType>,
) -> Result<Tested, Problem> {
    let event_type = choose(api, &served.webhook, asked)?;
    let payload = served.template.payload(&event_type, &sample(api, caller.project(), &event_type)?);
    let _slot = api.tests.take(caller.project())?;
    audit::line(caller, audit::Act::Tested, served.webhook.id);

    // An event id of its own: a receiver that remembers keys must not take this test for the one before.
    let event = EventId::new(format!("test_{}", api.new_ulid())).map_err(|_| Problem::internal())?;
    let request_headers = served.template.headers(&RequestParts {
        payload: &payload,
        key: IdempotencyKey::derive(served.webhook.id, &event),
        attempt: 1,
        at: api.clock.now(),
        test: true,
    });
    let policy = api.policy(caller.project());
    let answer = api.console.egress.post(Outgoing {
        url: &served.webhook.url,
        policy: &policy,
        headers: request_headers,
        body: payload.body,
        timeout: served.webhook.timeout.as_duration(),
    });
    Ok(Tested { data: TestResult::of(&answer.await) })
}

impl TestResult {
    fn of(answer: &Answer) -> Self {
        let success = answer.outcome == OutcomeClass::Success;
        let refused = || answer.status.filter(|_| !success).map(|status| format!("the receiver answered {status}"));
        Self {
            success,
            status_code: answer.status,
            latency_ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
            error: answer.error.clone().or_else(refused),
            response_body: answer.status.map(|_| String::from_utf8_lossy(&answer.body.bytes).into_owned()),
        }
    }
}

/// The type that a request's body names, if it does.
///
/// # Errors
/// 400 with every wrong field.
pub(crate) fn read(object: &Object) -> Result<Option<EventType>, Problem> {
    let mut wrong = Wrong::new();
    let mut asked = None;
    for (name, value) in object.fields() {
        match name {
            "event_type" => {
                let parse =
                    |value: &Value| EventType::new(text(value)?).map_err(|_| format!("must be {}", EventType::ALLOWED));
                asked = take(value, "$.event_type", &mut wrong, parse).value();
            }
            name => wrong.unknown(member("$", name), name, &["event_type"]),
        }
    }
    wrong.refuse()?;
    Ok(asked)
}

/// The type to test with: the one asked for, else the first subscribed one that has a sample, else the first that is named
/// without wildcards.
fn choose(api: &Api, webhook: &Webhook, asked: Option<EventType>) -> Result<EventType, Problem> {
    if let Some(asked) = asked {
        return webhook.subscribes_to(&asked).then_some(asked).ok_or_else(|| {
            unprocessable("not-subscribed", "the webhook is not subscribed to this type; see its `events`")
        });
    }
    if webhook.kind == WebhookKind::Meta {
        return Ok(meta::raw_type());
    }
    let entries = Catalogue::builtin().entries();
    let with_sample = webhook.events.iter().find_map(|pattern| {
        entries.iter().map(|entry| &entry.event_type).find(|event_type| pattern.matches(event_type))
    });
    let own_with_sample = || {
        let own = api.console.registry.event_types_of(&webhook.project, None, usize::MAX);
        webhook.events.iter().find_map(|pattern| {
            own.iter().map(|served| &served.own.event_type).find(|event_type| pattern.matches(event_type)).cloned()
        })
    };
    let named = || webhook.events.iter().find_map(fanfare_core::pattern::EventPattern::exact);
    with_sample.cloned().or_else(own_with_sample).or_else(named).ok_or_else(|| {
        unprocessable("event-type-needed", "the webhook subscribes to patterns that no known type matches; name a type")
    })
}

fn unprocessable(code: &'static str, message: &str) -> Problem {
    Problem::unprocessable(code, vec![FieldError::new("$.event_type", message)])
}

/// The body: the sample, marked as a test, in the form that receivers get.
fn sample(api: &Api, project: &ProjectId, event_type: &EventType) -> Result<Bytes, Problem> {
    if meta::is_raw(event_type) {
        return raw_sample();
    }
    let built_in = Catalogue::builtin().get(event_type).map(|entry| entry.sample.clone());
    let own = || api.console.registry.event_type(project, event_type).map(|served| served.own.sample.clone());
    let mut data = built_in.or_else(own).unwrap_or_else(|| Value::Object(Map::new()));
    // An array has no place for the mark.
    if let Value::Object(fields) = &mut data {
        fields.insert("test".to_owned(), Value::Bool(true));
    }
    normalise(data.to_string().as_bytes(), "$").map_err(|error| {
        tracing::error!(%event_type, %error, "a sample has no normal form");
        Problem::internal()
    })
}

/// The body of a test of kind `meta`: written as JSON is, which need not be in normal form.
fn raw_sample() -> Result<Bytes, Problem> {
    let mut sample: Map<String, Value> = serde_json::from_slice(&meta::sample()).map_err(|error| {
        tracing::error!(%error, "the sample of a raw body is no object");
        Problem::internal()
    })?;
    sample.insert("test".to_owned(), Value::Bool(true));
    Ok(Value::Object(sample).to_string().into())
}

/// How many tests are under way, by project.
#[derive(Debug)]
pub(crate) struct TestSlots {
    per_project: usize,
    /// Only projects with tests under way, so it is bounded by the requests under way.
    taken: Mutex<HashMap<ProjectId, usize>>,
}

impl TestSlots {
    /// That many for each project.
    pub(crate) fn new(per_project: usize) -> Self {
        Self { per_project, taken: Mutex::default() }
    }

    fn take(&self, project: &ProjectId) -> Result<TestSlot<'_>, Problem> {
        let mut taken = self.taken.lock();
        let count = taken.get(project).copied().unwrap_or(0);
        if count >= self.per_project {
            let detail = format!("{count} test deliveries of this project are under way; wait for one to end");
            return Err(Problem::too_many_requests(detail, 1));
        }
        taken.insert(project.clone(), count + 1);
        Ok(TestSlot { slots: self, project: project.clone() })
    }
}

/// Given back when the test ends, or its asker goes away.
struct TestSlot<'a> {
    slots: &'a TestSlots,
    project: ProjectId,
}

impl Drop for TestSlot<'_> {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock();
        match taken.get_mut(&self.project) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => {
                taken.remove(&self.project);
            }
        }
    }
}
