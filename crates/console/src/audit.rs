//! Audit lines: who changed what, and who read a secret. Target `fanfare::audit`, so that they can be kept apart from the
//! rest of the log.

use fanfare_core::ids::WebhookId;
use fanfare_http::Caller;

/// What is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A webhook was created.
    Created,
    /// A webhook was changed, or activated.
    Updated,
    /// A webhook was deleted.
    Deleted,
    /// A webhook's secret was read.
    SecretRead,
    /// A webhook's secret was rotated.
    SecretRotated,
    /// A test delivery was asked for.
    Tested,
    /// A delivery was asked for again.
    Retried,
}

impl Act {
    fn as_str(self) -> &'static str {
        match self {
            Act::Created => "webhook.created",
            Act::Updated => "webhook.updated",
            Act::Deleted => "webhook.deleted",
            Act::SecretRead => "webhook.secret_read",
            Act::SecretRotated => "webhook.secret_rotated",
            Act::Tested => "webhook.tested",
            Act::Retried => "delivery.retried",
        }
    }
}

/// Writes one line: the act, the webhook, the project, and the key's public id.
pub(crate) fn line(caller: &Caller, act: Act, webhook: WebhookId) {
    tracing::info!(
        target: "fanfare::audit",
        act = act.as_str(),
        %webhook,
        project = %caller.project(),
        key = %caller.key.id,
        "audit"
    );
}
