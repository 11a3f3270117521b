//! The management API through its router, over the embedded engine and the read model.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect has failed")]

mod access;
mod activate;
mod api_keys;
mod create;
mod delete;
mod deliveries;
mod event_types;
mod events;
mod filters;
mod health;
mod kapso;
mod key_uses;
mod meta;
mod openapi;
mod operational;
mod projects;
mod read;
mod retry;
mod rotate;
mod routes;
mod tampered;
mod test_delivery;
mod update;
mod world;
