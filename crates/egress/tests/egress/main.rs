//! Requests out against receivers that misbehave: every outcome class, the guard, trust, and connection reuse.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod guard;
mod hostile;
mod outcomes;
mod pool;
mod rebinding;
mod server;
mod trust;
