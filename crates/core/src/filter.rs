//! Filters: conditions on an event's data, in the event-pattern form of AWS EventBridge.
//!
//! A filter is parsed once and then asked about data without allocating: [`FilterData`] reads an event's data at the first
//! look and is shared by all filters that look at it. What a filter did not find is named by the path of its condition.
//! `docs/filters.md` is the guide; where it differs from EventBridge it says so.

mod condition;
mod data;
mod evaluate;
mod number;
mod parse;
mod text;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use data::FilterData;
use evaluate::Fields;

/// The most bytes of a filter as compact JSON: 16 KiB.
pub const MAX_FILTER_BYTES: usize = 16 * 1024;
/// The most conditions of a filter; each value of a list is one.
pub const MAX_CONDITIONS: usize = 256;
/// The most levels of fields in fields, those of `$or` included.
pub const MAX_FILTER_DEPTH: usize = 16;

/// Why a JSON value is not a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FilterError {
    /// Where, as a JSON path such as `$.filter.message.type[0].numeric`.
    pub path: String,
    /// What is allowed there; lowercase, no final period. Never holds a value of the filter.
    pub message: String,
}

/// A filter, ready to be asked. Cloning shares it; its JSON form is the one that it was parsed from.
#[derive(Clone)]
pub struct Filter(Arc<Compiled>);

struct Compiled {
    json: Value,
    fields: Fields,
    /// The paths of the conditions by their number; at least one.
    paths: Box<[Box<str>]>,
}

impl Filter {
    /// Parses a filter. `path` is the JSON path of the value itself, for error messages (`$` or `$.filter`).
    ///
    /// # Errors
    /// The first thing that is wrong with it, or which of [`MAX_FILTER_BYTES`], [`MAX_CONDITIONS`] and
    /// [`MAX_FILTER_DEPTH`] it is beyond.
    pub fn parse(json: Value, path: &str) -> Result<Self, FilterError> {
        let (fields, paths) = parse::parse(&json, path)?;
        Ok(Self(Arc::new(Compiled { json, fields, paths })))
    }

    /// The path of the first condition that the data does not meet, such as `message.type`; `None` if it meets all.
    ///
    /// Conditions are asked in the order of the filter. Where data is an array of objects it is the condition at which the
    /// object that met most of them failed. Data that is not JSON meets nothing.
    pub fn failing(&self, data: &FilterData<'_>) -> Option<&str> {
        let Compiled { json: _, fields, paths } = &*self.0;
        let failed = match data.tree() {
            Some(tree) => evaluate::evaluate(fields, tree).err()?,
            None => 0,
        };
        paths.get(failed).map(AsRef::as_ref)
    }

    /// Whether the data meets all conditions.
    pub fn matches(&self, data: &FilterData<'_>) -> bool {
        self.failing(data).is_none()
    }

    /// The JSON form.
    pub fn as_json(&self) -> &Value {
        &self.0.json
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.0.json == other.0.json
    }
}

impl Eq for Filter {}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.0.json).finish()
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Value::deserialize(deserializer)?, "$").map_err(serde::de::Error::custom)
    }
}
