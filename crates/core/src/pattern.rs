//! Patterns over event types: an exact type, or segments with `*` (one segment) and a last `**` (the rest).

use std::fmt;

use crate::event::EventType;

/// A pattern of a subscription.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventPattern(std::sync::Arc<str>);

/// Why a text is not a pattern; the message says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(pub &'static str);

impl EventPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// When it is neither a type nor a type in which whole segments are `*` and the last may be `**`.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let _ = text;
        todo!()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type, if the pattern is one without wildcards.
    pub fn exact(&self) -> Option<EventType> {
        todo!()
    }

    /// Whether the type matches.
    pub fn matches(&self, event_type: &EventType) -> bool {
        let _ = event_type;
        todo!()
    }
}

impl fmt::Debug for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl serde::Serialize for EventPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for EventPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}
