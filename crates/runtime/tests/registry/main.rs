//! The registry over a store whose watches say what the test has them say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on is to fail")]

mod keys;
mod records;
mod store;
mod watching;
mod webhooks;
