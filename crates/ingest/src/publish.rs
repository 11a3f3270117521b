//! `POST /v1/events`, step by step.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use fanfare_core::api_key::Scope;
use fanfare_core::catalogue::Catalogue;
use fanfare_core::clock::{Clock, Monotonic};
use fanfare_core::event::{Event, EventError, Reading, binary, json};
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::ports::EventLog;
use fanfare_core::ports::event_log::Appended;
use fanfare_http::{Authenticator, Problem};
use fanfare_runtime::Registry;
use fanfare_telemetry::Metrics;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use ulid::Ulid;

use crate::Ingest;
use crate::admission::{Backlog, BodyMemory, Line};
use crate::answer::{self, Item};
use crate::counters::Counters;
use crate::form::Form;
use crate::intake::Intake;
use crate::quota::{OverQuota, Quota};
use crate::strict::{Places, Strict};

/// What the route works with.
pub(crate) struct Publisher {
    log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    authenticator: Authenticator,
    backlog: Backlog,
    quota: Quota,
    memory: BodyMemory,
    counters: Counters,
    strict: Strict,
    line: Line,
}

/// The route.
pub(crate) async fn publish(State(publisher): State<Arc<Publisher>>, request: Request) -> Response {
    publisher.answer(request).await.unwrap_or_else(Problem::into_response)
}

/// The events of a request, each judged for itself.
enum Events {
    One(Result<Event, EventError>),
    Batch(Vec<Result<Event, EventError>>),
}

/// An event of a batch to be appended, or its id, where it has one, and why it is refused.
type Judged = Result<Event, (Option<EventId>, Problem)>;

/// A refusal of a whole request, and how many events it concerns; one, where nobody has counted them yet.
struct Refused {
    problem: Problem,
    events: usize,
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self { problem, events: 1 }
    }
}

impl Publisher {
    pub(crate) fn new(ingest: Ingest, clock: Arc<dyn Clock>, metrics: &Metrics) -> Self {
        let Ingest { log, store, registry, admin_key, config } = ingest;
        let authenticator = Authenticator::new(Arc::clone(&registry), Arc::clone(&store), Arc::clone(&clock));
        let strict = Strict { registry: Arc::clone(&registry), store, clock: Arc::clone(&clock) };
        Self {
            strict,
            authenticator: authenticator.with_admin_key(admin_key),
            registry,
            backlog: Backlog::new(Arc::clone(&log), config.max_backlog),
            quota: Quota::new(&config),
            line: Line::new(Arc::clone(&log), config.max_project_backlog),
            memory: BodyMemory::new(config.max_body_bytes),
            counters: Counters::new(metrics),
            log,
            clock,
        }
    }

    async fn answer(&self, request: Request) -> Result<Response, Problem> {
        let arrived = self.clock.monotonic();
        // A request without a good key has no events as far as the metrics go.
        let caller = self.authenticator.authenticate(request.headers(), Scope::Publish).await?;
        self.accept(caller.project(), request, arrived).await.map_err(|refused| {
            self.counters.refused(&refused.problem, refused.events);
            refused.problem
        })
    }

    async fn accept(&self, project: &ProjectId, request: Request, arrived: Monotonic) -> Result<Response, Refused> {
        let (parts, body) = request.into_parts();
        let form = Form::of(&parts.headers)?;
        self.backlog.check().await?;
        // A token for the first event before its body costs anything; the others' when it is known how many they are.
        let served = self.registry.project(project);
        let quotas = served.as_ref().map(|served| served.project.quotas).unwrap_or_default();
        let strict = served.is_some_and(|served| served.project.strict_event_types);
        self.quota.take_one(project, quotas, self.clock.monotonic()).map_err(refused_by_quota)?;
        let intake = Intake::read(body, form, &self.memory).await?;
        let response = match self.read(project, &parts.headers, &intake)? {
            Events::One(event) => {
                let (field, event_type) = match intake.form {
                    Form::Binary => ("ce-id", "ce-type"),
                    Form::One | Form::Batch | Form::OneOrBatch => ("$.id", "$.type"),
                };
                let event = event.map_err(answer::refusal)?;
                if strict {
                    let places = Places { event_type: event_type.to_owned(), data: "$.data".to_owned() };
                    self.strict.check(&event, &places).await?;
                }
                self.append_one(event, field, arrived).await?
            }
            Events::Batch(events) => {
                let count = events.len();
                let refused = |problem| Refused { problem, events: count };
                let tokens = u32::try_from(count).unwrap_or(u32::MAX);
                self.quota
                    .take_rest(project, quotas, tokens, self.clock.monotonic())
                    .map_err(|over| refused(refused_by_quota(over)))?;
                let judged = self.judged(events, strict).await.map_err(refused)?;
                self.append_batch(judged, arrived).await.map_err(refused)?
            }
        };
        Ok(response)
    }

    /// Reads the events.
    ///
    /// # Errors
    /// When there is no telling one from another.
    fn read(&self, project: &ProjectId, headers: &HeaderMap, intake: &Intake<'_>) -> Result<Events, Problem> {
        let now = self.clock.now();
        let new_id =
            || EventId::generated(Ulid::from_parts(u64::try_from(now.as_millis()).unwrap_or(0), rand::random()));
        let reading = Reading { project, now, catalogue: Catalogue::builtin(), event_type: None, new_id: &new_id };
        match intake.form {
            Form::One | Form::OneOrBatch => Ok(Events::One(json::parse(&intake.bytes, &reading))),
            Form::Batch => json::parse_batch(&intake.bytes, &reading).map(Events::Batch).map_err(answer::refusal),
            Form::Binary => {
                let all = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
                // One that is not ASCII is none that is allowed, whatever it says.
                let content_type = headers.get(CONTENT_TYPE).map(|value| HeaderValue::to_str(value).unwrap_or("?"));
                Ok(Events::One(binary::parse(all, content_type, &intake.bytes, &reading)))
            }
        }
    }

    async fn append_one(&self, event: Event, field: &str, arrived: Monotonic) -> Result<Response, Problem> {
        let id = event.header.id.clone();
        let appended = self.append(vec![event], arrived).await?;
        let outcome = appended.first().copied().ok_or_else(Problem::internal)?;
        self.count_kept(outcome);
        let item = Item::appended(id, outcome, || field.to_owned())?;
        Ok(answer::one(&item))
    }

    /// The events of a batch, each to be appended, or refused by what it is or by its project being strict.
    ///
    /// # Errors
    /// When that cannot be said for now: nothing of the batch is appended then.
    async fn judged(&self, events: Vec<Result<Event, EventError>>, strict: bool) -> Result<Vec<Judged>, Problem> {
        let mut judged = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    judged.push(Err((error.id.clone(), answer::refusal(error))));
                    continue;
                }
            };
            if strict {
                let places = Places { event_type: format!("$[{index}].type"), data: format!("$[{index}].data") };
                match self.strict.check(&event, &places).await {
                    Ok(()) => {}
                    Err(problem) if problem.status == StatusCode::UNPROCESSABLE_ENTITY => {
                        judged.push(Err((Some(event.header.id), problem)));
                        continue;
                    }
                    Err(problem) => return Err(problem),
                }
            }
            judged.push(Ok(event));
        }
        Ok(judged)
    }

    async fn append_batch(&self, events: Vec<Judged>, arrived: Monotonic) -> Result<Response, Problem> {
        // By place in the batch: the id of an event to append, or the refusal.
        let mut places = Vec::with_capacity(events.len());
        let mut valid = Vec::with_capacity(events.len());
        for event in events {
            places.push(match event {
                Ok(event) => {
                    let id = event.header.id.clone();
                    valid.push(event);
                    Ok(id)
                }
                Err(refused) => Err(refused),
            });
        }
        let expected = valid.len();
        let appended = if valid.is_empty() { Vec::new() } else { self.append(valid, arrived).await? };
        if appended.len() != expected {
            return Err(Problem::internal());
        }
        let mut outcomes = appended.into_iter();
        let mut items = Vec::with_capacity(places.len());
        for (index, place) in places.into_iter().enumerate() {
            let item = match place {
                Ok(id) => {
                    let outcome = outcomes.next().ok_or_else(Problem::internal)?;
                    self.count_kept(outcome);
                    Item::appended(id.clone(), outcome, || format!("$[{index}].id"))
                        .map_err(|problem| (Some(id), problem))
                }
                Err(refused) => Err(refused),
            };
            items.push(item.unwrap_or_else(|(id, problem)| {
                self.counters.refused(&problem, 1);
                Item::refused(id, problem)
            }));
        }
        Ok(answer::batch(&items))
    }

    /// Appends; when this returns, what was accepted is durable.
    async fn append(&self, events: Vec<Event>, arrived: Monotonic) -> Result<Vec<Appended>, Problem> {
        self.line.check(&events, &self.memory, &*self.clock).await?;
        let appended = self.log.append(events).await.map_err(|error| Problem::unavailable(&error))?;
        self.counters.durable_after(self.clock.monotonic().since(arrived));
        Ok(appended)
    }

    fn count_kept(&self, outcome: Appended) {
        match outcome {
            Appended::Accepted => self.counters.accepted.inc(),
            Appended::Duplicate => self.counters.duplicate.inc(),
            // Counted with the other refusals.
            Appended::Conflict => {}
        }
    }
}

fn refused_by_quota(over: OverQuota) -> Problem {
    over_quota(over.retry_after)
}

/// 429, to come back after so many seconds.
pub(crate) fn over_quota(retry_after: u32) -> Problem {
    Problem::too_many_requests("this project sends more events than its quota allows", retry_after)
}
