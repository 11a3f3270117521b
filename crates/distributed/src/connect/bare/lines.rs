//! What a server says, taken from bytes: pure. Nothing in it has to be text but what the server itself writes.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;

/// The longest line: the server allows subjects of 4 KiB, and tells of a cluster's servers in one line.
const LONGEST_LINE: usize = 256 * 1024;
/// The largest body, far above what is stored: none is expected.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

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

/// A message without its headers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) subject: Bytes,
    /// Empty for none.
    pub(crate) reply: Bytes,
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
    let Some(message) = line.strip_prefix(b"MSG ") else {
        let op = said(line)?;
        buffer.advance(end + 1);
        return Ok(Some(op));
    };
    let (subject, reply, size) = parts(message).ok_or_else(nonsense)?;
    if size > LARGEST_BODY {
        return Err(nonsense());
    }
    if buffer.len() < end + 1 + size + 2 {
        return Ok(None);
    }
    let came = Came { subject: Bytes::copy_from_slice(subject), reply: Bytes::copy_from_slice(reply) };
    buffer.advance(end + 1 + size + 2);
    Ok(Some(Op::Came(came)))
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

/// The subject, the reply's subject (empty for none) and the size. The server parts them by one space each, and lets no space
/// into a subject.
fn parts(line: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let (subject, reply, size) = match *parts.as_slice() {
        [subject, _, size] => (subject, &b""[..], size),
        [subject, _, reply, size] => (subject, reply, size),
        _ => return None,
    };
    Some((subject, reply, std::str::from_utf8(size).ok()?.parse().ok()?))
}

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is nothing that a NATS server says")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn came(subject: &[u8], reply: &[u8]) -> Op {
        Op::Came(Came { subject: Bytes::copy_from_slice(subject), reply: Bytes::copy_from_slice(reply) })
    }

    proptest! {
        #[test]
        fn any_subject_comes_through_however_it_is_cut(
            bytes in proptest::collection::vec(any::<u8>(), 1..40),
            body in proptest::collection::vec(any::<u8>(), 0..40),
            cut in 0_usize..80,
        ) {
            // All but what the server parts a line by.
            let subject: Vec<u8> = bytes.into_iter().filter(|byte| !b" \t\n".contains(byte)).chain([b'x']).collect();
            let head = format!(" 1 reply {}\r\n", body.len());
            let whole = [b"MSG ", &subject[..], head.as_bytes(), &body, b"\r\nPING\r\n"].concat();
            let cut = cut.min(whole.len());
            let mut buffer = BytesMut::from(&whole[..cut]);
            let mut taken = Vec::new();
            taken.extend(take(&mut buffer).unwrap());
            buffer.extend_from_slice(&whole[cut..]);
            while let Some(op) = take(&mut buffer).unwrap() {
                taken.push(op);
            }
            prop_assert_eq!(taken, [came(&subject, b"reply"), Op::Ping]);
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
            BytesMut::from(&b"INFO {\"nonce\":\"x\"}\r\nPING\r\n+OK\r\n-ERR 'no'\r\nMSG a 1 3\r\na\r\n\r\nPONG\r"[..]);
        let mut next = || take(&mut buffer).unwrap();
        assert_eq!(next(), Some(Op::Info(Bytes::from_static(b"{\"nonce\":\"x\"}"))));
        assert_eq!(next(), Some(Op::Ping));
        assert_eq!(next(), Some(Op::Ok));
        assert_eq!(next(), Some(Op::Error("-ERR 'no'".to_owned())));
        assert_eq!(next(), Some(came(b"a", b"")));
        assert_eq!(next(), None);
    }
}
