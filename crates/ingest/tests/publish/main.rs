//! `POST /v1/events` as a sender meets it: every form in, every answer out, and what is in the log afterwards.

#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

mod admission;
mod batch;
mod direct;
mod intake;
mod keys;
mod log;
mod single;
mod store;
mod wire;
mod world;
