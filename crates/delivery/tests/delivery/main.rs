//! Delivery on the embedded engine, against local receivers, on a manual clock.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod breaker;
mod claims;
mod doubles;
mod expiry;
mod fairness;
mod gated_receiver;
mod gates;
mod leases;
mod lookup;
mod operational;
mod outcomes;
mod rates;
mod rig;
