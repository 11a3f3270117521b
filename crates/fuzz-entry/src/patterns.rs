//! Patterns over event types.

use fanfare_core::event::EventType;
use fanfare_core::pattern::EventPattern;

use crate::halves;

/// A pattern, `---`, a type. A pattern prints as what it was read from, and matches as it is defined.
pub(crate) fn pattern(bytes: &[u8]) -> bool {
    let (pattern, name) = halves(bytes);
    let (Ok(text), Ok(name)) = (std::str::from_utf8(pattern), std::str::from_utf8(name)) else { return false };
    let Ok(pattern) = EventPattern::new(text) else {
        assert!(EventType::new(text).is_err(), "every type is a pattern: {text:?}");
        return false;
    };
    assert_eq!(pattern.as_str(), text);
    let printed = serde_json::to_string(&pattern).expect("it can be stored");
    assert_eq!(serde_json::from_str::<EventPattern>(&printed).expect("what is stored can be read"), pattern);
    if let Some(exact) = pattern.exact() {
        assert!(pattern.matches(&exact), "{text} does not match itself");
    }
    let Ok(event_type) = EventType::new(name) else { return true };
    let (pattern_segments, segments): (Vec<_>, Vec<_>) = (text.split('.').collect(), name.split('.').collect());
    let expected = defined(&pattern_segments, &segments);
    assert_eq!(pattern.matches(&event_type), expected, "{text} and {name}");
    true
}

/// Whether they match, as the definition says it.
fn defined(pattern: &[&str], segments: &[&str]) -> bool {
    match (pattern, segments) {
        ([], []) => true,
        (["**"], [_, ..]) => true,
        (["*", pattern @ ..], [_, segments @ ..]) => defined(pattern, segments),
        ([name, pattern @ ..], [segment, segments @ ..]) => name == segment && defined(pattern, segments),
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}
