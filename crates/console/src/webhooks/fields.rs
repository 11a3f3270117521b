//! The fields of a webhook that its owner sets, as create and update read them.

use std::collections::HashSet;

use fanfare_core::egress::{EgressPolicy, WebhookUrl};
use fanfare_core::event::Source;
use fanfare_core::filter::Filter;
use fanfare_core::pattern::EventPattern;
use fanfare_core::rate_limit::RateLimit;
use fanfare_core::retry::RetrySchedule;
use fanfare_core::secret::Secret;
use fanfare_core::webhook::{AttemptTimeout, InactivityMinutes, PayloadVersion, WebhookKind};
use fanfare_http::Problem;
use serde_json::Value;

use super::headers::{self, GivenHeader};
use crate::input::body::{kind, member, take, text, truth};
use crate::input::{Given, Object, Wrong};

/// The most patterns a webhook may subscribe to.
pub(crate) const MAX_EVENTS: usize = 100;
/// The most characters of a description.
pub(crate) const MAX_DESCRIPTION: usize = 512;
/// The most bytes of a URL, as most servers take it.
pub(crate) const MAX_URL: usize = 2048;

/// What an owner may set.
const SETTABLE: [&str; 14] = [
    "url",
    "kind",
    "events",
    "source",
    "filter",
    "description",
    "active",
    "headers",
    "payload_version",
    "retry_schedule",
    "timeout_seconds",
    "rate_limit",
    "inactivity_minutes",
    "secret",
];
/// What reads show beside that.
const READ_ONLY: [&str; 10] = [
    "id",
    "state",
    "paused_at",
    "paused_reason",
    "secret_last4",
    "previous_secret_until",
    "created_at",
    "updated_at",
    "warnings",
    "project",
];
/// What a webhook is going to have. Refused for now: a field that is taken and does nothing would be a promise broken.
const NOT_YET: [&str; 5] = ["ordering", "buffer_enabled", "buffer_window_seconds", "max_buffer_size", "buffer_events"];

/// What the fields are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new webhook: `url` is required, `events` too unless its kind is `meta`; null is as good as nothing.
    Create,
    /// A change of a webhook of this kind, by JSON merge patch: null resets what has a default.
    Update(WebhookKind),
}

/// The fields. No `Debug`: some are secrets.
pub(crate) struct WebhookFields {
    /// What it gets.
    pub(crate) kind: Given<WebhookKind>,
    /// Where it is sent.
    pub(crate) url: Given<WebhookUrl>,
    /// What it subscribes to.
    pub(crate) events: Given<Vec<EventPattern>>,
    /// The source it is limited to.
    pub(crate) source: Given<Source>,
    /// The conditions on data that it is limited to.
    pub(crate) filter: Given<Filter>,
    /// Its owner's words.
    pub(crate) description: Given<String>,
    /// Whether it is active.
    pub(crate) active: Given<bool>,
    /// Its own headers.
    pub(crate) headers: Given<Vec<GivenHeader>>,
    /// The shape of its bodies.
    pub(crate) payload_version: Given<PayloadVersion>,
    /// When a failed delivery is tried again.
    pub(crate) retry_schedule: Given<RetrySchedule>,
    /// How long one attempt may take.
    pub(crate) timeout: Given<AttemptTimeout>,
    /// How often it is sent to at most.
    pub(crate) rate_limit: Given<RateLimit>,
    /// After how many minutes a conversation is inactive for it.
    pub(crate) inactivity_minutes: Given<InactivityMinutes>,
    /// Its signing secret.
    pub(crate) secret: Given<Secret>,
    /// How many a second are released at most where this activates it; not a field of the webhook.
    pub(crate) release_rate: Option<u32>,
}

impl WebhookFields {
    /// No field given.
    pub(crate) fn none() -> Self {
        Self {
            kind: Given::Absent,
            url: Given::Absent,
            events: Given::Absent,
            source: Given::Absent,
            filter: Given::Absent,
            description: Given::Absent,
            active: Given::Absent,
            headers: Given::Absent,
            payload_version: Given::Absent,
            retry_schedule: Given::Absent,
            timeout: Given::Absent,
            rate_limit: Given::Absent,
            inactivity_minutes: Given::Absent,
            secret: Given::Absent,
            release_rate: None,
        }
    }

    /// Reads all fields and checks each; the URL also against what the project's webhooks may connect to.
    ///
    /// # Errors
    /// 400 with every field that is wrong.
    pub(crate) fn read(object: &Object, purpose: Purpose, policy: &EgressPolicy) -> Result<Self, Problem> {
        let mut fields = Self::none();
        let mut wrong = Wrong::new();
        for (name, value) in object.fields() {
            fields.read_one(name, value, purpose, policy, &mut wrong);
        }
        let kind = match purpose {
            Purpose::Create => fields.kind.merged(&WebhookKind::default()),
            Purpose::Update(kind) => kind,
        };
        if purpose == Purpose::Create && !object.has("url") {
            wrong.at("$.url", "is required");
        }
        match (kind, object.field("events")) {
            (WebhookKind::Kapso, Some(Value::Array(given))) if given.is_empty() => {
                wrong.at("$.events", format!("must have 1 to {MAX_EVENTS} event types or patterns"));
            }
            (WebhookKind::Kapso, None) if purpose == Purpose::Create => wrong.at("$.events", "is required"),
            (WebhookKind::Kapso | WebhookKind::Meta, Some(_) | None) => {}
        }
        wrong.refuse()?;
        Ok(fields)
    }

    fn read_one(&mut self, name: &str, value: &Value, purpose: Purpose, policy: &EgressPolicy, wrong: &mut Wrong) {
        let at = member("$", name);
        let required = matches!((name, purpose), ("url" | "events", _) | ("active", Purpose::Update(_)));
        if required && value.is_null() {
            wrong.at(at, "must not be null");
            return;
        }
        match name {
            "kind" => match (purpose, take(value, &at, wrong, kind_of_webhook)) {
                (Purpose::Update(now), Given::Value(kind)) if kind != now => {
                    wrong.at(at, "cannot be changed; make another webhook");
                }
                (_, kind) => self.kind = kind,
            },
            "url" => self.url = take(value, &at, wrong, |value| url(value, policy)),
            "events" => self.events = events(value, wrong),
            "source" => {
                self.source = take(value, &at, wrong, |value| {
                    Source::new(text(value)?).map_err(|_| format!("must be {}", Source::ALLOWED))
                });
            }
            "filter" => self.filter = filter(value, wrong),
            "description" => self.description = take(value, &at, wrong, description),
            "active" => self.active = take(value, &at, wrong, truth),
            "headers" => self.headers = headers::read(value, wrong),
            "payload_version" => self.payload_version = take(value, &at, wrong, payload_version),
            "retry_schedule" => self.retry_schedule = take(value, &at, wrong, retry_schedule),
            "timeout_seconds" => self.timeout = take(value, &at, wrong, timeout),
            "rate_limit" => self.rate_limit = rate_limit(value, wrong),
            "inactivity_minutes" => self.inactivity_minutes = take(value, &at, wrong, inactivity_minutes),
            "secret" if purpose == Purpose::Create => self.secret = take(value, &at, wrong, secret),
            "secret" => {
                wrong.at(at, "cannot be changed; POST …/rotate-secret replaces it, and lets both sign for a while");
            }
            name if NOT_YET.contains(&name) => wrong.at(at, "is not available yet"),
            name if READ_ONLY.contains(&name) => wrong.at(at, "is read-only"),
            name => wrong.unknown(at, name, &SETTABLE),
        }
    }
}

fn url(value: &Value, policy: &EgressPolicy) -> Result<WebhookUrl, String> {
    let text = text(value)?;
    if text.len() > MAX_URL {
        return Err(format!("must have at most {MAX_URL} bytes"));
    }
    let url = WebhookUrl::parse(text).map_err(|error| error.to_string())?;
    url.check(policy).map_err(|error| error.to_string())?;
    Ok(url)
}

fn events(value: &Value, wrong: &mut Wrong) -> Given<Vec<EventPattern>> {
    let Value::Array(items) = value else {
        wrong.at("$.events", format!("must be an array of event types or patterns, not {}", kind(value)));
        return Given::Absent;
    };
    if items.len() > MAX_EVENTS {
        wrong.at("$.events", format!("must have 1 to {MAX_EVENTS} event types or patterns"));
        return Given::Absent;
    }
    let mut seen = HashSet::new();
    let mut patterns = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let parsed = text(item).and_then(|text| EventPattern::new(text).map_err(|error| format!("must be {error}")));
        match parsed {
            Ok(pattern) if seen.insert(pattern.clone()) => patterns.push(pattern),
            Ok(_) => wrong.at(format!("$.events[{index}]"), "is there twice"),
            Err(message) => wrong.at(format!("$.events[{index}]"), message),
        }
    }
    Given::Value(patterns)
}

/// A filter; what is wrong with it is noted where in the filter it is.
pub(crate) fn filter(value: &Value, wrong: &mut Wrong) -> Given<Filter> {
    if value.is_null() {
        return Given::Null;
    }
    match Filter::parse(value.clone(), "$.filter") {
        Ok(filter) => Given::Value(filter),
        Err(error) => {
            wrong.at(error.path, error.message);
            Given::Absent
        }
    }
}

fn description(value: &Value) -> Result<String, String> {
    let text = text(value)?;
    let allowed = text.chars().count() <= MAX_DESCRIPTION;
    allowed.then(|| text.to_owned()).ok_or_else(|| format!("must have at most {MAX_DESCRIPTION} characters"))
}

fn payload_version(value: &Value) -> Result<PayloadVersion, String> {
    match text(value)? {
        "v1" => Ok(PayloadVersion::V1),
        "v2" => Ok(PayloadVersion::V2),
        _ => Err("must be `v1` or `v2`".to_owned()),
    }
}

fn kind_of_webhook(value: &Value) -> Result<WebhookKind, String> {
    match text(value)? {
        "kapso" => Ok(WebhookKind::Kapso),
        "meta" => Ok(WebhookKind::Meta),
        _ => Err("must be `kapso` or `meta`".to_owned()),
    }
}

fn inactivity_minutes(value: &Value) -> Result<InactivityMinutes, String> {
    let minutes = value.as_u64().and_then(InactivityMinutes::new);
    minutes.ok_or_else(|| format!("must be {}", InactivityMinutes::ALLOWED))
}

/// A rate; what is wrong with it is noted at the field of it that is.
fn rate_limit(value: &Value, wrong: &mut Wrong) -> Given<RateLimit> {
    const FIELDS: [&str; 3] = ["count", "period_seconds", "burst"];
    let fields = match value {
        Value::Null => return Given::Null,
        Value::Object(fields) => fields,
        other => {
            let what = kind(other);
            wrong.at(
                "$.rate_limit",
                format!("must be an object such as {{\"count\": 50, \"period_seconds\": 1}}, not {what}"),
            );
            return Given::Absent;
        }
    };
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        wrong.unknown(member("$.rate_limit", name), name, &FIELDS);
    }
    // One that is no number is as wrong as zero, and answered alike.
    let number = |name: &str, default: u64| fields.get(name).map_or(default, |value| value.as_u64().unwrap_or(0));
    if !fields.contains_key("count") {
        wrong.at("$.rate_limit.count", "is required");
        return Given::Absent;
    }
    match RateLimit::new(number("count", 0), number("period_seconds", 1), number("burst", 1)) {
        Ok(rate) => Given::Value(rate),
        Err(error) => {
            wrong.at(member("$.rate_limit", error.field), format!("must be a whole number from 1 to {}", error.most));
            Given::Absent
        }
    }
}

fn retry_schedule(value: &Value) -> Result<RetrySchedule, String> {
    serde_json::from_value(value.clone()).map_err(|_| format!("must be {}", RetrySchedule::ALLOWED))
}

fn timeout(value: &Value) -> Result<AttemptTimeout, String> {
    let timeout = value.as_u64().and_then(AttemptTimeout::from_seconds);
    timeout.ok_or_else(|| format!("must be {}", AttemptTimeout::ALLOWED))
}

/// A user's own signing secret.
///
/// # Errors
/// In words, when it is not as secrets are; never with the value.
pub(crate) fn secret(value: &Value) -> Result<Secret, String> {
    Secret::new(text(value)?.to_owned()).map_err(|error| error.to_string())
}
