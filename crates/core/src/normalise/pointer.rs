//! A value inside a JSON text by JSON Pointer (RFC 6901), without building the whole.

use std::borrow::Cow;

use super::scan::Scanner;
use super::walk::skip;

/// The string that `pointer` leads to in `json`, a normalised text; `None` if there is none or it is no string.
pub(crate) fn string_at<'a>(json: &'a str, pointer: &str) -> Option<Cow<'a, str>> {
    let mut scan = Scanner::new(json);
    for token in pointer.split('/').skip(1) {
        let token =
            if token.contains('~') { Cow::Owned(token.replace("~1", "/").replace("~0", "~")) } else { token.into() };
        match scan.peek()? {
            b'{' => enter_member(&mut scan, &token)?,
            b'[' => enter_item(&mut scan, token.parse().ok()?)?,
            _ => return None,
        }
    }
    if scan.peek()? == b'"' { scan.string().ok() } else { None }
}

/// Moves the cursor from an object's bracket to the value of its member `key`.
fn enter_member(scan: &mut Scanner<'_>, key: &str) -> Option<()> {
    scan.bump();
    while scan.peek()? == b'"' {
        let found = scan.string().ok()? == key;
        scan.bump();
        if found {
            return Some(());
        }
        skip(scan).ok()?;
        scan.take(b',');
    }
    None
}

/// Moves the cursor from an array's bracket to its item `index`, counted from 0.
fn enter_item(scan: &mut Scanner<'_>, index: usize) -> Option<()> {
    scan.bump();
    for _ in 0..index {
        skip(scan).ok()?;
        if !scan.take(b',') {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_found_where_serde_json_finds_them() {
        let json = r#"{"a":{"b":[1,{"c":"x\ny"},[]],"b/c~":"z"},"":"empty","e":"é","n":null,"l":[]}"#;
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        for pointer in
            ["/a/b/1/c", "/a/b~1c~0", "/", "/e", "/n", "/a", "/a/b/3", "/a/b/0", "/a/b/x", "/q", "/e/f", "", "/l/0"]
        {
            let wanted = value.pointer(pointer).and_then(serde_json::Value::as_str);
            assert_eq!(string_at(json, pointer).as_deref(), wanted, "{pointer}");
        }
    }
}
