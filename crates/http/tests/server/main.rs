//! The listener over real sockets: what slow, greedy and vanishing clients get, and what shutdown does to those in flight.

#![allow(clippy::unwrap_used, reason = "a test ends where something fails")]

mod bounds;
mod client;
mod drain;
mod protocols;
