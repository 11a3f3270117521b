//! The members of a JSON object as slices of its text, and objects put together from such slices.

use bytes::Bytes;

use crate::normalise::{Scanner, skip};

/// A member: its key, unescaped as it stands in the text, and its value's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// The key's text without its quotes; keys that are looked for have no escapes.
    pub(super) key: &'a str,
    /// The value's text.
    pub(super) value: &'a str,
}

/// The members of the object that a normalised text is; `None` if it is no object.
pub(super) fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let mut scan = Scanner::new(text);
    if !scan.take(b'{') {
        return None;
    }
    let mut members = Vec::new();
    while scan.peek()? == b'"' {
        let start = scan.at();
        scan.skip_string().ok()?;
        let key = scan.since(start).strip_prefix('"')?.strip_suffix('"')?;
        if !scan.take(b':') {
            return None;
        }
        members.push(Member { key, value: skip(&mut scan).ok()? });
        scan.take(b',');
    }
    Some(members)
}

/// The value's text of a member of `object`; `None` if there is none, or it is `null`.
pub(super) fn value<'a>(object: &[Member<'a>], key: &str) -> Option<&'a str> {
    object.iter().find(|member| member.key == key).map(|member| member.value).filter(|value| *value != "null")
}

/// The members of a member of `object`; none if it is no object.
pub(super) fn object<'a>(object: &[Member<'a>], key: &str) -> Vec<Member<'a>> {
    value(object, key).and_then(members).unwrap_or_default()
}

/// Writes an object.
#[derive(Debug)]
pub(super) struct Writer(String);

impl Writer {
    /// An object of about so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes + 2);
        text.push('{');
        Self(text)
    }

    /// Adds a member as it is.
    pub(super) fn member(&mut self, member: &Member<'_>) {
        self.value(member.key, member.value);
    }

    /// Adds a member; the value is a normalised text.
    pub(super) fn value(&mut self, key: &str, value: &str) {
        if !self.0.ends_with('{') {
            self.0.push(',');
        }
        self.0.extend(["\"", key, "\":", value]);
    }

    /// Adds a member if there is a value.
    pub(super) fn optional(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.value(key, value);
        }
    }

    /// The object's text.
    pub(super) fn text(mut self) -> String {
        self.0.push('}');
        self.0
    }

    /// The object's bytes.
    pub(super) fn finish(self) -> Bytes {
        self.text().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_taken_apart_and_put_together_is_the_same() {
        for text in ["{}", r#"{"a":1}"#, r#"{"1":[],"a\"b":{"c":"}"},"d":null,"e":"\\"}"#] {
            let mut writer = Writer::new(text.len());
            for member in members(text).unwrap() {
                writer.member(&member);
            }
            assert_eq!(writer.text(), text);
        }
        assert_eq!(members("[]"), None);
        assert_eq!(members("\"{\""), None);
    }
}
