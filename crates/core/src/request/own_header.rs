//! Which headers a webhook may have of its own: none that Fanfare sets, none that HTTP uses for the connection or the
//! message, and no value that could end the header early.

use http::{HeaderName, HeaderValue};

/// The most bytes that the name of an own header may have.
pub const MAX_OWN_HEADER_NAME_BYTES: usize = 128;
/// The most bytes that the value of an own header may have.
pub const MAX_OWN_HEADER_VALUE_BYTES: usize = 4096;

/// Names that Fanfare sets, or will in other kinds of delivery.
const OURS: [&str; 6] =
    ["content-type", "user-agent", "x-idempotency-key", "x-batch-size", "x-hub-signature", "x-hub-signature-256"];
/// Beginnings of names that are Fanfare's.
const OURS_PREFIXES: [&str; 2] = ["x-webhook-", "webhook-"];
/// Names that belong to the connection or say how the message is framed, sent and answered (RFC 9110, 9112, 7540).
const RESERVED: [&str; 14] = [
    "host",
    "content-length",
    "content-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "expect",
    "accept-encoding",
    "range",
];
/// Beginnings of reserved names.
const RESERVED_PREFIXES: [&str; 1] = ["proxy-"];

/// Why a webhook may not have a header of its own; says which rule, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOwnHeader(pub String);

/// Checks one of a webhook's own headers. The value returned is marked as sensitive: its `Debug` does not show it.
///
/// # Errors
/// When the name or the value is malformed, or the name is one that Fanfare sets or HTTP reserves.
pub fn check_own_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), InvalidOwnHeader> {
    let name = check_name(name)?;
    let refuse = |rule: String| InvalidOwnHeader(format!("the value of header {name} {rule}"));
    if value.len() > MAX_OWN_HEADER_VALUE_BYTES {
        return Err(refuse(format!("is longer than {MAX_OWN_HEADER_VALUE_BYTES} bytes")));
    }
    if !value.bytes().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e)) {
        return Err(refuse("may have only printable ASCII characters, spaces and tabs".to_owned()));
    }
    if value.trim_matches([' ', '\t']).len() != value.len() {
        // Whoever reads the header strips them (RFC 9110, section 5.5), so the secret would arrive as another one.
        return Err(refuse("may not begin or end with a space or tab".to_owned()));
    }
    let mut header = HeaderValue::from_str(value).map_err(|_| refuse("is not a header value".to_owned()))?;
    header.set_sensitive(true);
    Ok((name, header))
}

fn check_name(name: &str) -> Result<HeaderName, InvalidOwnHeader> {
    if name.len() > MAX_OWN_HEADER_NAME_BYTES {
        return Err(InvalidOwnHeader(format!("a header name has at most {MAX_OWN_HEADER_NAME_BYTES} bytes")));
    }
    let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
        InvalidOwnHeader(format!(
            "{name:?} is not a header name: letters, digits and any of !#$%&'*+-.^_`|~ are allowed"
        ))
    })?;
    // CGI and its descendants show `X_Webhook_Event` and `X-Webhook-Event` to an application as the same header.
    let plain = header.as_str().replace('_', "-");
    if OURS.contains(&plain.as_str()) || OURS_PREFIXES.iter().any(|prefix| plain.starts_with(prefix)) {
        return Err(InvalidOwnHeader(format!("header {header} is set by Fanfare itself")));
    }
    if RESERVED.contains(&plain.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| plain.starts_with(prefix)) {
        return Err(InvalidOwnHeader(format!("header {header} is reserved for the HTTP connection and message")));
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_headers_are_taken_and_hidden() {
        for (name, value) in [
            ("Authorization", "Bearer abc.def"),
            ("X-Api-Key", ""),
            ("x_tenant", "a\tb c"),
            ("Webhooks", "~"),
            ("X-Long", &"a".repeat(4096)),
        ] {
            let (header, parsed) = check_own_header(name, value).expect(name);
            assert_eq!(header.as_str(), name.to_ascii_lowercase());
            assert_eq!(parsed, value);
            assert!(parsed.is_sensitive());
        }
    }

    #[test]
    fn names_of_fanfare_and_of_http_are_refused_however_they_are_written() {
        for name in [
            "Content-Type",
            "USER-AGENT",
            "X-Idempotency-Key",
            "x-batch-size",
            "X-Webhook-Event",
            "X-Webhook-Anything",
            "webhook-id",
            "Webhook-Signature",
            "webhook-new",
            "X-Hub-Signature-256",
            "X_Webhook_Signature",
            "Webhook_Id",
            "Host",
            "Content-Length",
            "Content_Length",
            "Content-Encoding",
            "Connection",
            "Keep-Alive",
            "Proxy-Authorization",
            "Proxy-Connection",
            "proxy-anything",
            "TE",
            "Trailer",
            "Transfer-Encoding",
            "Upgrade",
            "HTTP2-Settings",
            "Expect",
            "Accept-Encoding",
        ] {
            let error = check_own_header(name, "value").expect_err(name).to_string();
            assert!(error.contains(&name.to_ascii_lowercase()), "{error}");
        }
    }

    #[test]
    fn malformed_names_and_values_are_refused_without_showing_the_value() {
        for name in ["", " ", "X Token", "X-Token:", "X-Tökén", "X-Token\r\n", ":path", "(x)", &"a".repeat(129)] {
            assert!(check_own_header(name, "value").is_err(), "{name:?} was accepted");
        }
        for value in [
            "hunter22\r\nX-Evil: 1",
            "hunter22\n",
            "hunter22\0",
            "hunter22\u{7f}",
            "hunter22é",
            " hunter22",
            "hunter22\t",
        ] {
            let error = check_own_header("X-Token", value).expect_err(value).to_string();
            assert!(error.contains("x-token") && !error.contains("hunter22"), "{error}");
        }
        assert!(check_own_header("X-Token", &"a".repeat(4097)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_taken_can_be_sent_as_it_is(name: String, value: String) {
            if let Ok((_, parsed)) = check_own_header(&name, &value) {
                prop_assert_eq!(parsed.to_str().unwrap(), value);
            }
        }
    }
}
