//! What a webhook's fields must agree about, checked on the whole of it: on create, and on what a change makes of it.

use fanfare_core::catalogue::Catalogue;
use fanfare_core::pattern::EventPattern;
use fanfare_core::webhook::{PayloadVersion, Webhook, WebhookKind};
use fanfare_core::{meta, payload};
use fanfare_http::Problem;
use fanfare_http::problem::FieldError;

/// Through which API a webhook is made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// `/v1`: no two webhooks of a project have the same source and URL.
    Own,
    /// `/platform/v1`: they may, and only a webhook of a number gets messages and conversations.
    Kapso,
}

/// Checks a webhook.
///
/// # Errors
/// 422 with every field that does not go with the others.
pub(crate) fn check(webhook: &Webhook, surface: Surface) -> Result<(), Problem> {
    let of_a_number = match surface {
        Surface::Kapso if webhook.source.is_none() => of_a_number(webhook),
        Surface::Own | Surface::Kapso => Vec::new(),
    };
    let (code, wrong) = match (webhook.kind, webhook.payload_version) {
        (WebhookKind::Kapso, _) if !of_a_number.is_empty() => ("phone-number-id-needed", of_a_number),
        (WebhookKind::Meta, _) => ("meta-webhook", of_meta(webhook)),
        (WebhookKind::Kapso, _) if !raw(webhook).is_empty() => ("meta-webhook", raw(webhook)),
        (WebhookKind::Kapso, PayloadVersion::V1) => ("payload-version-v2-needed", needing_v2(webhook)),
        (WebhookKind::Kapso, PayloadVersion::V2) => return Ok(()),
    };
    if wrong.is_empty() { Ok(()) } else { Err(Problem::unprocessable(code, wrong)) }
}

/// What is wrong with a webhook of kind `meta`: raw bodies are of a number, and are neither filtered nor mapped.
fn of_meta(webhook: &Webhook) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    if webhook.source.is_none() {
        wrong.push(FieldError::new("$.source", "is required with kind `meta`: the phone number's id"));
    }
    if webhook.filter.is_some() {
        wrong.push(FieldError::new("$.filter", "does not go with kind `meta`: raw bodies are not filtered"));
    }
    if webhook.payload_version != PayloadVersion::V2 {
        let message = "does not go with kind `meta`: raw bodies are as Meta sends them";
        wrong.push(FieldError::new("$.payload_version", message));
    }
    for (index, pattern) in webhook.events.iter().enumerate() {
        if pattern.as_str() != meta::RAW_TYPE {
            let message =
                format!("does not go with kind `meta`, which gets {} alone; leave `events` empty", meta::RAW_TYPE);
            wrong.push(FieldError::new(format!("$.events[{index}]"), message));
        }
    }
    wrong
}

/// Subscriptions to messages and conversations, also by a pattern.
fn of_a_number(webhook: &Webhook) -> Vec<FieldError> {
    let is_of_a_number =
        |name: &str| name.starts_with("whatsapp.message.") || name.starts_with("whatsapp.conversation.");
    let known = || Catalogue::builtin().entries().iter().map(|entry| &entry.event_type);
    let wrong = |(index, pattern): (usize, &EventPattern)| {
        let taken_in = known().any(|event_type| is_of_a_number(event_type.as_str()) && pattern.matches(event_type));
        let message = "is of a phone number: give `phone_number_id`, or leave it out";
        (taken_in || is_of_a_number(pattern.as_str())).then(|| FieldError::new(format!("$.events[{index}]"), message))
    };
    webhook.events.iter().enumerate().filter_map(wrong).collect()
}

/// Subscriptions to raw bodies, which are for the other kind.
fn raw(webhook: &Webhook) -> Vec<FieldError> {
    let subscribed = |(index, pattern): (usize, &EventPattern)| {
        let message = "goes to webhooks of kind `meta` alone";
        (pattern.as_str() == meta::RAW_TYPE).then(|| FieldError::new(format!("$.events[{index}]"), message))
    };
    webhook.events.iter().enumerate().filter_map(subscribed).collect()
}

/// The subscriptions that take in a type without a v1 payload. A pattern is refused as well as a name: what it would leave out
/// is nothing its owner could see.
fn needing_v2(webhook: &Webhook) -> Vec<FieldError> {
    let wrong = |(index, pattern): (usize, &EventPattern)| {
        let event_type = payload::v2_only().find(|event_type| pattern.matches(event_type))?;
        let message = format!("takes in {event_type}, which needs payload version v2; this webhook is to have v1");
        Some(FieldError::new(format!("$.events[{index}]"), message))
    };
    webhook.events.iter().enumerate().filter_map(wrong).collect()
}
