//! Headers as producers wrote them: the server takes any bytes for headers, so nothing is known of them.

/// Reads headers, in order.
///
/// # Errors
/// What is wrong with them, where they are not well-formed.
pub(super) fn parse(raw: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    if raw.is_empty() {
        return Ok(Vec::new());
    }
    let text = std::str::from_utf8(raw).map_err(|_| "headers must be UTF-8")?;
    let lines = text.strip_prefix("NATS/1.0\r\n").ok_or("headers must begin with the line NATS/1.0")?;
    let lines = lines.strip_suffix("\r\n\r\n").or_else(|| lines.strip_suffix("\r\n")).unwrap_or(lines);
    lines.split("\r\n").filter(|line| !line.is_empty()).map(line).collect()
}

fn line(line: &str) -> Result<(String, String), &'static str> {
    if line.contains(['\r', '\n']) {
        return Err("lines of headers must end with CR and LF together");
    }
    let (name, value) = line.split_once(':').ok_or("a header must be a name, a colon and a value")?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a header's name must be printable ASCII without spaces");
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_headers_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(headers) = parse(&bytes) {
                prop_assert!(headers.iter().all(|(name, value)| !name.is_empty() && !value.contains(['\r', '\n'])));
            }
        }

        #[test]
        fn what_client_libraries_write_is_read(value in "[ -~é🙂]{0,40}") {
            let raw = format!("NATS/1.0\r\nce-id: {value}\r\nX:{value}\r\n\r\n");
            let value = value.trim().to_owned();
            prop_assert_eq!(
                parse(raw.as_bytes()).unwrap(),
                [("ce-id".to_owned(), value.clone()), ("X".to_owned(), value)]
            );
        }
    }

    #[test]
    fn what_is_malformed_is_said() {
        let said = |raw: &[u8]| parse(raw).unwrap_err();
        assert_eq!(parse(b"").unwrap(), []);
        assert_eq!(parse(b"NATS/1.0\r\n\r\n").unwrap(), []);
        assert_eq!(said(b"NATS/1.0\r\nA: \xff\r\n\r\n"), "headers must be UTF-8");
        assert_eq!(said(b"Zz"), "headers must begin with the line NATS/1.0");
        assert_eq!(said(b"NATS/1.0\r\nno colon\r\n\r\n"), "a header must be a name, a colon and a value");
        assert_eq!(said(b"NATS/1.0\r\nA: b\rc\r\n\r\n"), "lines of headers must end with CR and LF together");
        assert_eq!(said(b"NATS/1.0\r\nA b: c\r\n\r\n"), "a header's name must be printable ASCII without spaces");
    }
}
