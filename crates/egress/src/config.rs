//! The `[egress]` section: bounds and roots of requests out.

use fanfare_runtime::Span;
use serde::{Deserialize, Serialize};

/// Bounds and roots of requests out. How long a request may take in all is each webhook's own setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressConfig {
    /// PEM file of certificate authorities to trust besides the system's; empty (the default) for none. For receivers
    /// whose certificates a company's own authority signs.
    pub ca_file: String,
    /// How long connecting may take, name lookup and TLS included. Default 5s: a receiver that has not answered a handshake
    /// by then is down, and the rest of the webhook's timeout would only hold its lane.
    pub connect_timeout: Span,
    /// How long one name lookup may take. Default 4s: below `connect_timeout`, so that a slow name server is told apart
    /// from a receiver that does not accept connections.
    pub dns_timeout: Span,
    /// How many names may be looked up at once. Default 128: each occupies a thread while the system resolver works on it.
    pub dns_lookups: usize,
    /// How long an answer's first byte may take, connecting included; 0s (the default) is off, and the webhook's timeout
    /// alone bounds it.
    pub first_byte_timeout: Span,
    /// How many headers an answer may have. Default 100, more than any receiver has reason to send.
    pub max_response_headers: usize,
    /// How many bytes an answer's headers may have in all. Default 65536; at most 8 KiB more are read to find out.
    pub max_response_header_bytes: usize,
    /// How many bytes of an answer's body are read and kept for the delivery log. Default 16384; the connection of an answer
    /// that goes on past them is closed.
    pub body_snippet_bytes: usize,
    /// How many idle connections are kept for each host. Default 32: as many as a webhook's lane uses at once.
    pub idle_connections_per_host: usize,
    /// How long an idle connection is kept. Default 4s: below the 5 s after which common servers close theirs, since a POST
    /// that meets the closing is lost and has to be tried again.
    pub idle_timeout: Span,
    /// How many sets of connections are kept apart for projects with exceptions of their own. Default 64; the one that was
    /// not used for longest makes room.
    pub policy_clients: usize,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self {
            ca_file: String::new(),
            connect_timeout: Span::from_secs(5),
            dns_timeout: Span::from_secs(4),
            dns_lookups: 128,
            first_byte_timeout: Span::from_secs(0),
            max_response_headers: 100,
            max_response_header_bytes: 64 * 1024,
            body_snippet_bytes: 16 * 1024,
            idle_connections_per_host: 32,
            idle_timeout: Span::from_secs(4),
            policy_clients: 64,
        }
    }
}
