//! The API that clients of Kapso's platform know, under `/platform/v1`: a thin adapter over the same webhooks and the same
//! delivery log as `/v1`.
//!
//! Only names, envelopes and paging are its own. What it takes is translated into the fields of `/v1` and goes the same way
//! from there; errors are written as problems are, and turned into Kapso's shape on their way out ([`errors`]).

pub(crate) mod deliveries;
pub(crate) mod delivery_query;
pub(crate) mod errors;
mod fields;
pub(crate) mod list;
pub(crate) mod pages;
mod view;
pub(crate) mod webhooks;

/// The beginning of every path.
pub(crate) const PREFIX: &str = "/platform/v1/";
