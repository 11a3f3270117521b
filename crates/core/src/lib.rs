//! The domain of Fanfare, pure: what an event, a webhook, a delivery and an attempt are, which event matches which
//! webhook, how a body is normalised and signed, when a retry is due, and what makes a crash harmless.
//!
//! Nothing here does I/O or knows a runtime. Time and randomness come in through arguments or [`clock::Clock`]. What the
//! services need from an engine is in [`ports`]; the engines implement it, the services use it, neither knows the other.

pub mod api_key;
pub mod attempt;
pub mod breaker;
pub mod catalogue;
pub mod clock;
pub mod concurrency;
pub mod delivery;
pub mod egress;
pub mod event;
pub mod filter;
pub mod health;
pub mod ids;
pub mod journal;
pub mod matching;
pub mod meta;
pub mod normalise;
pub mod operational;
pub mod own_type;
pub mod pattern;
pub mod payload;
pub mod ports;
pub mod project;
pub mod rate_limit;
pub mod request;
pub mod retry;
pub mod retry_after;
pub mod schema;
pub mod seal;
pub mod secret;
pub mod signature;
pub mod webhook;
