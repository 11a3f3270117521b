//! JSON paths for error messages: `$.data.items[3]["a b"]`.

use std::fmt::Write as _;

/// The most bytes of one key that a path shows: a message is read by people, and its length has to have a bound.
const MAX_KEY_BYTES: usize = 64;

/// Appends a member to a path: `.name` for an identifier, else `["a b"]`. `key` is as JSON writes it, without its quotes.
pub(crate) fn push_key(path: &mut String, key: &str) {
    let shown = key.get(..key.floor_char_boundary(MAX_KEY_BYTES)).unwrap_or(key);
    let cut = if shown.len() < key.len() { "…" } else { "" };
    let mut bytes = shown.bytes();
    let identifier = bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, b'_' | b'$'))
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'));
    // Writing to a string cannot fail.
    let _ = if identifier { write!(path, ".{shown}{cut}") } else { write!(path, "[\"{shown}{cut}\"]") };
}

/// Appends an item to a path: `[3]`.
pub(crate) fn push_index(path: &mut String, index: usize) {
    let _ = write!(path, "[{index}]");
}
