//! A webhook: a URL, what it subscribes to, and how it is served.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::egress::WebhookUrl;
use crate::event::{EventType, Source};
use crate::filter::Filter;
use crate::ids::{ProjectId, WebhookId};
use crate::meta;
use crate::pattern::EventPattern;
use crate::rate_limit::RateLimit;
use crate::retry::RetrySchedule;
use crate::seal::Sealed;

/// Which shape a webhook's bodies have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadVersion {
    /// The event's normalised data mapped to what it was in the platform's first version.
    V1,
    /// The event's normalised data.
    #[default]
    V2,
}

impl PayloadVersion {
    /// The value of `X-Webhook-Payload-Version`.
    pub fn as_str(self) -> &'static str {
        match self {
            PayloadVersion::V1 => "v1",
            PayloadVersion::V2 => "v2",
        }
    }
}

/// What a webhook gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookKind {
    /// The events it subscribes to.
    #[default]
    Kapso,
    /// What Meta sends, as Meta sends it: see [`crate::meta`].
    Meta,
}

impl WebhookKind {
    /// What the API calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            WebhookKind::Kapso => "kapso",
            WebhookKind::Meta => "meta",
        }
    }
}

/// After how many minutes of silence a conversation is inactive for a webhook: 1 to 1440. The platform reads it, which
/// publishes `whatsapp.conversation.inactive`; nothing here goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct InactivityMinutes(u16);

impl InactivityMinutes {
    /// What is allowed, in words for an error message.
    pub const ALLOWED: &'static str = "a whole number of minutes from 1 to 1440";

    /// That many minutes; `None` outside 1 to 1440.
    pub fn new(minutes: u64) -> Option<Self> {
        u16::try_from(minutes).ok().filter(|minutes| (1..=1440).contains(minutes)).map(Self)
    }
}

impl Default for InactivityMinutes {
    /// An hour, as the platform has it.
    fn default() -> Self {
        Self(60)
    }
}

impl TryFrom<u64> for InactivityMinutes {
    type Error = &'static str;
    fn try_from(minutes: u64) -> Result<Self, Self::Error> {
        Self::new(minutes).ok_or(Self::ALLOWED)
    }
}

impl From<InactivityMinutes> for u64 {
    fn from(minutes: InactivityMinutes) -> u64 {
        u64::from(minutes.0)
    }
}

/// How long one attempt may take in all: 1 to 30 seconds, 10 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct AttemptTimeout(u8);

impl AttemptTimeout {
    /// What is allowed, in words for an error message.
    pub const ALLOWED: &'static str = "a whole number of seconds from 1 to 30";

    /// A timeout of that many seconds; `None` outside 1 to 30.
    pub fn from_seconds(seconds: u64) -> Option<Self> {
        u8::try_from(seconds).ok().filter(|seconds| (1..=30).contains(seconds)).map(Self)
    }

    /// Whole seconds.
    pub fn as_seconds(self) -> u64 {
        u64::from(self.0)
    }

    /// As a duration.
    pub fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(self.0))
    }
}

impl Default for AttemptTimeout {
    fn default() -> Self {
        Self(10)
    }
}

impl TryFrom<u64> for AttemptTimeout {
    type Error = &'static str;
    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        Self::from_seconds(seconds).ok_or(Self::ALLOWED)
    }
}

impl From<AttemptTimeout> for u64 {
    fn from(timeout: AttemptTimeout) -> u64 {
        timeout.as_seconds()
    }
}

/// One of the webhook's own headers; its value is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnHeader {
    /// The name as its owner wrote it.
    pub name: String,
    /// The value, sealed with the context [`Webhook::header_context`].
    pub value: Sealed,
}

/// A secret that a rotation has replaced, and that signs beside the new one for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviousSecret {
    /// The secret, sealed with the context [`Webhook::previous_secret_context`].
    pub sealed: Sealed,
    /// Until when it signs: requests made at this time or later are signed with the new secret alone.
    pub until: Timestamp,
}

/// A webhook as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// Where it is sent.
    pub url: WebhookUrl,
    /// What it gets.
    #[serde(default)]
    pub kind: WebhookKind,
    /// The types it subscribes to: at least one, unless its kind is `meta`, for which they have no effect.
    pub events: Vec<EventPattern>,
    /// Limits it to events of this source.
    #[serde(default)]
    pub source: Option<Source>,
    /// Limits it to events whose data meets these conditions.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// Its owner's words, at most 512 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// False while its owner has deactivated it: new events skip it, pending deliveries wait.
    pub active: bool,
    /// Since when it is inactive.
    #[serde(default)]
    pub inactive_since: Option<Timestamp>,
    /// Its own headers.
    #[serde(default)]
    pub headers: Vec<OwnHeader>,
    /// The shape of its bodies.
    #[serde(default)]
    pub payload_version: PayloadVersion,
    /// When a failed delivery is tried again.
    #[serde(default)]
    pub retry_schedule: RetrySchedule,
    /// How long one attempt may take.
    #[serde(default)]
    pub timeout: AttemptTimeout,
    /// How often it is sent to at most. While it has a rate, all of it goes through its gate, whose owner keeps to it exactly.
    #[serde(default)]
    pub rate_limit: Option<RateLimit>,
    /// After how many minutes without a message it wants to hear that a conversation is inactive, if its owner has said.
    #[serde(default)]
    pub inactivity_minutes: Option<InactivityMinutes>,
    /// The signing secret, sealed with the context [`Webhook::secret_context`].
    pub secret: Sealed,
    /// The last four characters of the secret, which reads show.
    pub secret_last4: String,
    /// The secret before the last rotation; its overlap may be over. Boxed, since hardly any webhook has one at a time.
    #[serde(default)]
    pub previous_secret: Option<Box<PreviousSecret>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its owner last changed it.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// Whether it is subscribed to events of this type. Raw Meta bodies go to webhooks of kind `meta` alone, which get nothing
    /// else: a pattern such as `**` does not take them in, since their bodies are not in normal form.
    pub fn subscribes_to(&self, event_type: &EventType) -> bool {
        match self.kind {
            WebhookKind::Kapso => {
                !meta::is_raw(event_type) && self.events.iter().any(|pattern| pattern.matches(event_type))
            }
            WebhookKind::Meta => meta::is_raw(event_type),
        }
    }

    /// What the secret of webhook `id` is sealed for.
    pub fn secret_context(id: WebhookId) -> String {
        format!("webhook/{id}/secret")
    }

    /// What the replaced secret of webhook `id` is sealed for: another context, so that neither can stand in for the other.
    pub fn previous_secret_context(id: WebhookId) -> String {
        format!("webhook/{id}/previous-secret")
    }

    /// The replaced secret, while it still signs at `now`.
    pub fn previous_secret_at(&self, now: Timestamp) -> Option<&PreviousSecret> {
        self.previous_secret.as_deref().filter(|previous| now < previous.until)
    }

    /// Forgets a replaced secret that signs no more: what is of no use is not kept.
    pub fn drop_previous_secret(&mut self, now: Timestamp) {
        self.previous_secret.take_if(|previous| previous.until <= now);
    }

    /// What the header `name` (lowercase) of webhook `id` is sealed for.
    pub fn header_context(id: WebhookId, name: &str) -> String {
        format!("webhook/{id}/header/{}", name.to_ascii_lowercase())
    }
}
