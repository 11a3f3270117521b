//! Filters: the documented examples of AWS EventBridge, what is refused and where, and a naive evaluator to agree with.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod examples;
mod guide;
mod naive;
mod properties;
mod refusals;

use fanfare_core::filter::{Filter, FilterData};
use fanfare_core::normalise::normalise;
use serde_json::Value;

/// The path of the first condition that the data does not meet, after the data was normalised as an event's is.
fn failing(filter: &Value, data: &Value) -> Option<String> {
    let filter = Filter::parse(filter.clone(), "$").unwrap_or_else(|error| panic!("{filter}: {error}"));
    let normal = normalise(data.to_string().as_bytes(), "$").unwrap();
    let data = FilterData::new(&normal);
    let failing = filter.failing(&data).map(str::to_owned);
    assert_eq!(filter.matches(&data), failing.is_none());
    failing
}
