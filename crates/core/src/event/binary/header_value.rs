//! The value of a `ce-*` header (HTTP binding of CloudEvents 1.0, §3.1.3.2).

use std::borrow::Cow;

/// Takes off double quotes around the value, then undoes one round of percent-encoding.
///
/// # Errors
/// With what is wrong, for a message. A percent sign that encodes nothing is refused rather than kept: a sender who does
/// not encode at all would otherwise have some values changed and others not.
pub(super) fn decode(value: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    let value = unquote(value.trim_ascii())?;
    let decoded = match value {
        Cow::Borrowed(bytes) => percent_decode(bytes)?,
        Cow::Owned(bytes) => percent_decode(&bytes)?.into_owned().into(),
    };
    match decoded {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| "must be UTF-8"),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| "must be UTF-8 once percent-decoded"),
    }
}

/// The content of a quoted string (RFC 7230, §3.2.6); anything else as it is.
fn unquote(value: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    let [b'"', quoted @ ..] = value else { return Ok(value.into()) };
    let unclosed = "a value that begins with a double quote must end with one";
    let mut content = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    loop {
        match bytes.next() {
            Some(b'\\') => content.push(*bytes.next().ok_or(unclosed)?),
            Some(b'"') => break,
            Some(byte) => content.push(*byte),
            None => return Err(unclosed),
        }
    }
    if bytes.next().is_some() { Err(unclosed) } else { Ok(content.into()) }
}

fn percent_decode(value: &[u8]) -> Result<Cow<'_, [u8]>, &'static str> {
    let hexadecimal = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let broken = value
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'%' && !(hexadecimal(value.get(at + 1)) && hexadecimal(value.get(at + 2))));
    if broken {
        return Err("must be percent-encoded: a percent sign itself is %25");
    }
    Ok(percent_encoding::percent_decode(value).into())
}

#[cfg(test)]
mod tests {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    /// What a sender has to encode, by the binding; all beyond ASCII is encoded anyway.
    const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

    #[test]
    fn the_examples_of_the_binding_and_what_older_senders_write() {
        for (value, text) in [
            (&b"Euro%20%E2%82%AC%20%F0%9F%98%80"[..], "Euro € 😀"),
            (b"%e2%82%ac", "€"),
            (b"%41", "A"),
            (b" a b ", "a b"),
            (b"\"a \\\"b\\\" \\\\%20c\"", "a \"b\" \\ c"),
            (b"a\"b", "a\"b"),
            ("é".as_bytes(), "é"),
            (b"%2541", "%41"),
            (b"", ""),
        ] {
            assert_eq!(decode(value).as_deref(), Ok(text));
        }
        for wrong in [
            &b"%C0%A0"[..],
            b"\xff",
            b"100%",
            b"%4",
            b"%zz",
            b"%%20",
            b"\"a",
            b"\"",
            b"\"a\\\"",
            b"\"a\"b",
            b"\"\\%41\xff\"",
        ] {
            assert!(decode(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    proptest! {
        #[test]
        fn what_a_sender_encodes_is_what_is_read(text in any::<String>()) {
            let encoded = utf8_percent_encode(&text, ENCODED).to_string();
            prop_assert_eq!(decode(encoded.as_bytes()), Ok(text.into()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _ = decode(&bytes);
        }
    }
}
