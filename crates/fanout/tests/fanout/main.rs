//! Fan-out on the embedded engine: what becomes of events, in order, across crashes and stops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on is to fail")]

mod away;
mod lagging;
mod matching;
mod pressure;
mod repeated;
mod rig;
