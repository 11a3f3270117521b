//! The console's bounds.

use fanfare_runtime::Span;
use serde::{Deserialize, Serialize};

/// The console's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// The most bytes of a request's body, 256 KiB by default: a webhook with 32 headers of its own and 100 patterns
    /// needs some 100 KiB at the very most. What is larger is answered 413.
    pub max_body_bytes: usize,
    /// The most webhooks of one project, 100,000 by default: every process keeps each in memory, some KiB apiece. Further
    /// ones are answered 409.
    pub max_webhooks_per_project: usize,
    /// The most API keys of one project, 1000 by default: every process keeps each in memory, and each in use is stored once
    /// a minute. Further ones are answered 409.
    pub max_api_keys_per_project: usize,
    /// The most event types of one project's own, 500 by default: every process keeps each in memory, with its schema compiled
    /// and up to 128 KiB of schema and sample. Further ones are answered 409.
    pub max_event_types_per_project: usize,
    /// The most projects, 10,000 by default: every process keeps each in memory. Further ones are answered 409.
    pub max_projects: usize,
    /// How long a read waits for this process's copy of the configuration to be as new as the store's, 5 s by default. The
    /// copy is behind by milliseconds, or by as long as the store is away: then the answer is 503.
    pub refresh_wait: Span,
    /// How long create and update wait for a webhook's host to be looked up, 2 s by default. It only decides about a
    /// warning, and a resolver that is slower than this is one too.
    pub resolve_wait: Span,
    /// How many test deliveries one project may have under way at a time, 4 by default: each may take as long as the
    /// webhook's timeout. Further ones are answered 429.
    pub max_tests_per_project: usize,
    /// How often deletions that were interrupted are looked for and finished, 1 min by default. A look costs one read of
    /// the two groups' revisions.
    pub sweep_every: Span,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 256 * 1024,
            max_webhooks_per_project: 100_000,
            max_api_keys_per_project: 1000,
            max_event_types_per_project: 500,
            max_projects: 10_000,
            refresh_wait: Span::from_secs(5),
            resolve_wait: Span::from_secs(2),
            max_tests_per_project: 4,
            sweep_every: Span::from_secs(60),
        }
    }
}
