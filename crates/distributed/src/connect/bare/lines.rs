//! What a server says, taken from bytes: pure. Nothing in it has to be text but what the server itself writes.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;

/// The longest line: the server allows subjects of 4 KiB, and tells of a cluster's servers in one line.
const LONGEST_LINE: usize = 256 * 1024;
/// The largest message, headers included, far above what is stored.
const LARGEST: usize = 16 * 1024 * 1024;

/// Something that the server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Op {
    Info(Bytes),
    Came(Came),
    Ping,
    Pong,
    Ok,
    Error(String),
}

/// A message, byte for byte: nothing of it has been looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) subject: Bytes,
    /// Empty for none.
    pub(crate) reply: Bytes,
    /// Empty for none.
    pub(crate) headers: Bytes,
    pub(crate) body: Bytes,
}

/// What is needed of what the server says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub(super) nonce: String,
    #[serde(default)]
    pub(super) tls_required: bool,
}

/// Takes the next, if it is there as a whole.
///
/// # Errors
/// When it is nothing that a server says.
pub(super) fn take(buffer: &mut BytesMut) -> io::Result<Option<Op>> {
    let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
        return if buffer.len() > LONGEST_LINE { Err(nonsense()) } else { Ok(None) };
    };
    let line = &buffer[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let parted = match (line.strip_prefix(b"MSG "), line.strip_prefix(b"HMSG ")) {
        (Some(message), _) => parts(message, false),
        (None, Some(message)) => parts(message, true),
        (None, None) => {
            let op = said(line)?;
            buffer.advance(end + 1);
            return Ok(Some(op));
        }
    };
    let Parts { subject, reply, headers, all } = parted.ok_or_else(nonsense)?;
    if headers > all || all > LARGEST {
        return Err(nonsense());
    }
    let whole = end + 1 + all + 2;
    if buffer.len() < whole {
        return Ok(None);
    }
    let (subject, reply) = (Bytes::copy_from_slice(subject), Bytes::copy_from_slice(reply));
    let mut message = buffer.split_to(whole).freeze().slice(end + 1..end + 1 + all);
    let headers = message.split_to(headers);
    Ok(Some(Op::Came(Came { subject, reply, headers, body: message })))
}

fn said(line: &[u8]) -> io::Result<Op> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match line {
        b"PING" => Ok(Op::Ping),
        b"PONG" => Ok(Op::Pong),
        b"+OK" => Ok(Op::Ok),
        _ if line.starts_with(b"-ERR") => Ok(Op::Error(text(line))),
        _ => line.strip_prefix(b"INFO ").map(|json| Op::Info(Bytes::copy_from_slice(json))).ok_or_else(nonsense),
    }
}

/// What the line before a message says of it; the sizes are bytes.
struct Parts<'l> {
    subject: &'l [u8],
    /// Empty for none.
    reply: &'l [u8],
    headers: usize,
    /// Headers and body.
    all: usize,
}

/// The server parts them by one space each, and lets no space into a subject.
fn parts(line: &[u8], has_headers: bool) -> Option<Parts<'_>> {
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    let mut parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let all = number(parts.pop()?)?;
    let headers = if has_headers { number(parts.pop()?)? } else { 0 };
    let (subject, reply) = match *parts.as_slice() {
        [subject, _] => (subject, &b""[..]),
        [subject, _, reply] => (subject, reply),
        _ => return None,
    };
    Some(Parts { subject, reply, headers, all })
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is nothing that a NATS server says")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn came(subject: &[u8], reply: &[u8], headers: &[u8], body: &[u8]) -> Op {
        let [subject, reply, headers, body] = [subject, reply, headers, body].map(Bytes::copy_from_slice);
        Op::Came(Came { subject, reply, headers, body })
    }

    proptest! {
        #[test]
        fn any_message_comes_through_however_it_is_cut(
            bytes in proptest::collection::vec(any::<u8>(), 1..40),
            headers in proptest::collection::vec(any::<u8>(), 0..40),
            body in proptest::collection::vec(any::<u8>(), 0..40),
            cut in 0_usize..120,
        ) {
            // All but what the server parts a line by.
            let subject: Vec<u8> = bytes.into_iter().filter(|byte| !b" \t\n".contains(byte)).chain([b'x']).collect();
            let all = headers.len() + body.len();
            let (verb, sizes) = match headers.len() {
                0 => (&b"MSG "[..], format!(" 1 reply {all}\r\n")),
                headers => (&b"HMSG "[..], format!(" 1 reply {headers} {all}\r\n")),
            };
            let whole = [verb, &subject, sizes.as_bytes(), &headers, &body, b"\r\nPING\r\n"].concat();
            let cut = cut.min(whole.len());
            let mut buffer = BytesMut::from(&whole[..cut]);
            let mut taken = Vec::new();
            taken.extend(take(&mut buffer).unwrap());
            buffer.extend_from_slice(&whole[cut..]);
            while let Some(op) = take(&mut buffer).unwrap() {
                taken.push(op);
            }
            prop_assert_eq!(taken, [came(&subject, b"reply", &headers, &body), Op::Ping]);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take(&mut buffer) {}
        }
    }

    #[test]
    fn what_a_server_says_is_taken_one_by_one() {
        let mut buffer =
            BytesMut::from(&b"INFO {\"nonce\":\"x\"}\r\nPING\r\n+OK\r\n-ERR 'no'\r\nMSG a 1 3\r\na\r\n\r\nHMSG a 1 1 2\r\nbc\r\nPONG\r"[..]);
        let mut next = || take(&mut buffer).unwrap();
        assert_eq!(next(), Some(Op::Info(Bytes::from_static(b"{\"nonce\":\"x\"}"))));
        assert_eq!(next(), Some(Op::Ping));
        assert_eq!(next(), Some(Op::Ok));
        assert_eq!(next(), Some(Op::Error("-ERR 'no'".to_owned())));
        assert_eq!(next(), Some(came(b"a", b"", b"", b"a\r\n")));
        assert_eq!(next(), Some(came(b"a", b"", b"b", b"c")));
        assert_eq!(next(), None);
    }
}
