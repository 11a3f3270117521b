//! Audit lines: who changed what, from what to what, and who read a secret. Target `fanfare::audit`, so that they can be kept
//! apart from the rest of the log. They are the log's alone: nothing of them is in the store.

use std::fmt;

use fanfare_core::ids::{ApiKeyId, ProjectId, WebhookId};
use fanfare_http::Caller;
use serde::Serialize;
use serde_json::Value;

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Who has this key.
    Key(ApiKeyId),
    /// Who has the admin key.
    Admin,
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Actor::Key(caller.key.id)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Key(id) => id.fmt(f),
            Actor::Admin => f.write_str("admin"),
        }
    }
}

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
    /// An event was deleted.
    EventDeleted,
    /// An API key was made.
    KeyCreated,
    /// An API key got another name or other scopes.
    KeyUpdated,
    /// An API key was deleted.
    KeyDeleted,
    /// An event type was made.
    TypeCreated,
    /// An event type was changed.
    TypeUpdated,
    /// An event type was deleted.
    TypeDeleted,
    /// A project was made.
    ProjectCreated,
    /// A project's networks or quotas were changed.
    ProjectUpdated,
    /// A project was deleted.
    ProjectDeleted,
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
            Act::EventDeleted => "event.deleted",
            Act::KeyCreated => "api_key.created",
            Act::KeyUpdated => "api_key.updated",
            Act::KeyDeleted => "api_key.deleted",
            Act::TypeCreated => "event_type.created",
            Act::TypeUpdated => "event_type.updated",
            Act::TypeDeleted => "event_type.deleted",
            Act::ProjectCreated => "project.created",
            Act::ProjectUpdated => "project.updated",
            Act::ProjectDeleted => "project.deleted",
        }
    }
}

/// Writes one line of what changes nothing: the act, the webhook, the project, and the key's public id.
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

/// Writes one line: the act, its subject, the project, who did it, and the subject before and after, as the API shows it and
/// so without secrets; of a URL's query no more than that there is one, since receivers put tokens there. A rotated secret shows as the change of `secret_last4`, a new value of a masked header not at all.
pub(crate) fn change<T: Serialize>(
    actor: &Actor,
    act: Act,
    project: &ProjectId,
    subject: &dyn fmt::Display,
    before: Option<&T>,
    after: Option<&T>,
) {
    let shown = |view: Option<&T>| view.and_then(shown);
    tracing::info!(
        target: "fanfare::audit",
        act = act.as_str(),
        %subject,
        %project,
        key = %actor,
        before = shown(before),
        after = shown(after),
        "audit"
    );
}

/// The JSON of a subject.
fn shown<T: Serialize>(view: &T) -> Option<String> {
    let mut json = serde_json::to_value(view).ok()?;
    if let Some(Value::String(url)) = json.get_mut("url")
        && let Some(query) = url.find('?')
    {
        url.truncate(query);
        url.push_str("?…");
    }
    Some(json.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_urls_query_is_not_shown() {
        assert_eq!(
            shown(&json!({"url": "https://example.com/a?token=b", "active": true})).unwrap(),
            r#"{"url":"https://example.com/a?…","active":true}"#
        );
        assert_eq!(shown(&json!({"url": "https://example.com/a"})).unwrap(), r#"{"url":"https://example.com/a"}"#);
    }
}
