//! What a webhook's fields must agree about, checked on the whole of it: on create, and on what a change makes of it.

use fanfare_core::payload;
use fanfare_core::webhook::{PayloadVersion, Webhook};
use fanfare_http::Problem;
use fanfare_http::problem::FieldError;

/// Checks a webhook.
///
/// # Errors
/// 422 with every field that does not go with the others.
pub(crate) fn check(webhook: &Webhook) -> Result<(), Problem> {
    let needing_v2 = match webhook.payload_version {
        PayloadVersion::V1 => needing_v2(webhook),
        PayloadVersion::V2 => Vec::new(),
    };
    if needing_v2.is_empty() { Ok(()) } else { Err(Problem::unprocessable("payload-version-v2-needed", needing_v2)) }
}

/// The subscriptions that take in a type without a v1 payload. A pattern is refused as well as a name: what it would leave out
/// is nothing its owner could see.
fn needing_v2(webhook: &Webhook) -> Vec<FieldError> {
    let wrong = |(index, pattern): (usize, &fanfare_core::pattern::EventPattern)| {
        let event_type = payload::v2_only().find(|event_type| pattern.matches(event_type))?;
        let message = format!("takes in {event_type}, which needs payload version v2; this webhook is to have v1");
        Some(FieldError::new(format!("$.events[{index}]"), message))
    };
    webhook.events.iter().enumerate().filter_map(wrong).collect()
}
