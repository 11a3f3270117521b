//! The egress guard's rules, pure: which URLs a webhook may have, and which addresses may be connected to.
//!
//! Checked when a webhook is made, and again, at the address actually connected to, on every connection.

pub mod address;
mod network;
pub mod url;

pub use address::{AddressRefusal, ConnectRefusal, EgressPolicy};
pub use network::parse_network;
pub use url::{InvalidUrl, WebhookUrl};
