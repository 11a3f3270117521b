//! Patterns over event types: an exact type, or segments with `*` (one segment) and a last `**` (the rest).

use std::fmt;

use crate::event::EventType;

/// One segment of any name.
pub(crate) const ANY: &str = "*";
/// One or more segments of any name; only as the last.
pub(crate) const REST: &str = "**";

/// A pattern of a subscription: within the bounds of an [`EventType`], 16 segments and 256 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventPattern(std::sync::Arc<str>);

/// Why a text is not a pattern; the message says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(pub &'static str);

impl EventPattern {
    /// What a text must be to be one, in words for an error message.
    pub const ALLOWED: &'static str = "an event type such as order.paid (1 to 16 dot-separated segments of A-Z, a-z, \
        0-9, _ and -, at most 256 characters in all), in which any whole segment may be * and the last one **";

    /// Parses a pattern.
    ///
    /// # Errors
    /// When it is neither a type nor a type in which whole segments are `*` and the last may be `**`.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        if text.len() <= 256 && text.split('.').count() <= 16 && segments_are_allowed(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidPattern(Self::ALLOWED))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type, if the pattern is one without wildcards.
    pub fn exact(&self) -> Option<EventType> {
        EventType::new(self.as_str()).ok()
    }

    /// Whether the type matches.
    ///
    /// `*` stands for exactly one segment and `**` for one or more: `order.**` does not match `order`.
    pub fn matches(&self, event_type: &EventType) -> bool {
        let mut segments = event_type.as_str().split('.');
        for pattern in self.0.split('.') {
            let Some(segment) = segments.next() else { return false };
            match pattern {
                REST => return true,
                ANY => {}
                name if name == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }
}

fn segments_are_allowed(text: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let mut rest_seen = false;
    text.split('.').all(|segment| {
        if rest_seen {
            return false;
        }
        rest_seen = segment == REST;
        rest_seen || segment == ANY || (!segment.is_empty() && segment.bytes().all(is_name_byte))
    })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> EventPattern {
        EventPattern::new(text).unwrap()
    }

    fn event_type(text: &str) -> EventType {
        EventType::new(text).unwrap()
    }

    /// The rule said once more, over all the ways in which the pattern can be laid on the segments.
    fn naive(pattern: &[&str], segments: &[&str]) -> bool {
        match (pattern, segments) {
            ([], []) => true,
            (["**"], [_, ..]) => true,
            (["*", pattern @ ..], [_, segments @ ..]) => naive(pattern, segments),
            ([name, pattern @ ..], [segment, segments @ ..]) => name == segment && naive(pattern, segments),
            ([], [_, ..]) | ([_, ..], []) => false,
        }
    }

    #[test]
    fn wildcards_stand_for_whole_segments() {
        let received = event_type("whatsapp.message.received");
        for matching in [
            "whatsapp.message.received",
            "whatsapp.message.*",
            "whatsapp.*.received",
            "*.*.*",
            "whatsapp.**",
            "**",
            "*.**",
        ] {
            assert!(pattern(matching).matches(&received), "{matching}");
        }
        for other in [
            "whatsapp.message",
            "whatsapp.message.received.*",
            "whatsapp.message.received.**",
            "whatsapp.*",
            "*.*",
            "Whatsapp.message.received",
            "whatsapp.message.receive",
        ] {
            assert!(!pattern(other).matches(&received), "{other}");
        }
        assert!(!pattern("order.**").matches(&event_type("order")));
        assert!(pattern("**").matches(&event_type("order")));
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        let (segments, too_many) = (["a"; 16].join("."), ["*"; 17].join("."));
        for right in ["*", "**", "a.*.**", "a_b-C.9", &segments, &"a".repeat(256)] {
            assert!(EventPattern::new(right).is_ok(), "{right} was refused");
        }
        for wrong in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "**.a",
            "a.**.b",
            "**.**",
            "a*",
            "*a",
            "***",
            "a b",
            "ä",
            &too_many,
            &"a".repeat(257),
        ] {
            assert!(EventPattern::new(wrong).is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn only_a_pattern_without_wildcards_is_a_type() {
        assert_eq!(pattern("order.paid").exact(), Some(event_type("order.paid")));
        assert_eq!(pattern("order.*").exact(), None);
        assert_eq!(pattern("**").exact(), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_naive_matcher(
            parts in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("*")], 0..5),
            rest: bool,
            segments in prop::collection::vec(prop_oneof![Just("a"), Just("b")], 1..6),
        ) {
            let mut parts = parts;
            if rest || parts.is_empty() {
                parts.push("**");
            }
            let matched = pattern(&parts.join(".")).matches(&event_type(&segments.join(".")));
            prop_assert_eq!(matched, naive(&parts, &segments));
        }

        #[test]
        fn every_type_is_a_pattern_of_itself_alone(text in "[a-c_-]{1,3}(\\.[a-c_-]{1,3}){0,3}", other in "[a-c]{1,2}\\.[a-c]{1,2}") {
            let exact = pattern(&text);
            prop_assert!(exact.matches(&event_type(&text)));
            prop_assert_eq!(exact.matches(&event_type(&other)), text == other);
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = EventPattern::new(&text);
        }
    }
}
