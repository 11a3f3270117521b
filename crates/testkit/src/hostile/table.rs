//! The table of receivers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use fanfare_core::attempt::OutcomeClass::{
    self, ClientError, Connect, Gone, InvalidResponse, RateLimited, Redirect, Reset, ServerError, Success, Timeout, Tls,
};
use rcgen::date_time_ymd;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::scripts::{
    answer, answer_and_close, begin_and_drip, begin_and_flood, begin_and_hang, closed, in_pieces, reset, speak_first,
};
use super::{Hostile, Server};
use crate::authority::{Authority, self_signed_config};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a row's connections go.
enum End {
    /// It ends by itself, and the connection may be used again.
    Kept,
    /// It ends by itself, and the connection is of no further use.
    Closed,
    /// It ends with the time of the request.
    Stalled,
}
use End::{Closed, Kept, Stalled};

/// One of each, running. Those with certificates have them of this authority, where they have a right one.
pub async fn everybody(authority: &Authority) -> Vec<Hostile> {
    let mut all = Vec::new();
    for (name, text, outcome, status, error, end) in answers() {
        let text: Arc<[u8]> = text.into();
        let script = move |stream| {
            let text = Arc::clone(&text);
            Box::pin(async move { answer(stream, &text).await }) as Running
        };
        all.push(row("http", name, (outcome, status, error), end, script).await);
    }
    for (name, script, outcome, status, error, end) in scripts() {
        all.push(row("http", name, (outcome, status, error), end, script).await);
    }
    let wrong_name = authority.server_config_with(|params| params.subject_alt_names.retain(|_| false));
    let expired = authority.server_config_with(|params| params.not_after = date_time_ymd(2001, 1, 1));
    let trusted = authority.server_config();
    for (name, config, expected, end) in [
        ("TLS", trusted, (Success, Some(200), None), Kept),
        ("a certificate for another name", wrong_name, (Tls, None, Some("for another name")), Closed),
        ("a certificate that has expired", expired, (Tls, None, Some("has expired")), Closed),
        ("a certificate of its own", self_signed_config(), (Tls, None, Some("is not trusted")), Closed),
    ] {
        all.push(row("https", name, expected, end, over_tls(config)).await);
    }
    let silent = |mut stream: TcpStream| Box::pin(async move { closed(&mut stream).await }) as Running;
    let expected = (Connect, None, Some("no connection within"));
    all.push(row("https", "a handshake that is never answered", expected, Stalled, silent).await);
    let plain = |stream| Box::pin(speak_first(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")) as Running;
    let expected = (Tls, None, Some("does not speak TLS"));
    all.push(row("https", "no TLS where there should be", expected, Closed, plain).await);
    all
}

type Answer = (&'static str, Vec<u8>, OutcomeClass, Option<u16>, Option<&'static str>, End);

/// Those that answer with certain bytes, whatever they are sent.
fn answers() -> Vec<Answer> {
    let head = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let with = |header: &str| format!("HTTP/1.1 429 Slow\r\n{header}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{many}\r\n").into_bytes();
    let large = format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(70_000)).into_bytes();
    let binary = [&b"HTTP/1.1 200 OK\r\nX-Why: caf\xff\r\nContent-Length: 6\r\n\r\n"[..], b"a\0\xff\xfe\x80b"].concat();
    vec![
        ("204", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), Success, Some(204), None, Kept),
        (
            "301 to a private address",
            b"HTTP/1.1 301 Moved\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Redirect,
            Some(301),
            None,
            Kept,
        ),
        ("400", head("400 Bad"), ClientError, Some(400), None, Kept),
        ("401", head("401 Who"), ClientError, Some(401), None, Kept),
        ("410", head("410 Gone"), Gone, Some(410), None, Kept),
        ("429 for some seconds", with("Retry-After: 120"), RateLimited, Some(429), None, Kept),
        ("429 to a date", with("Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"), RateLimited, Some(429), None, Kept),
        ("429 with nonsense", with("Retry-After: when \u{fffd} I say"), RateLimited, Some(429), None, Kept),
        ("429 for a year", with("Retry-After: 31536000"), RateLimited, Some(429), None, Kept),
        ("500", head("500 Broken"), ServerError, Some(500), None, Kept),
        ("999", head("999 What"), ServerError, Some(999), None, Kept),
        ("a gzip bomb", gzip_bomb(), Success, Some(200), None, Closed),
        ("bytes of every kind", binary, Success, Some(200), None, Kept),
        (
            "a NUL in a header",
            b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 0\r\n\r\n".to_vec(),
            InvalidResponse,
            None,
            Some("not valid HTTP"),
            Closed,
        ),
        ("200 headers", many, InvalidResponse, None, Some("more, or larger"), Closed),
        ("a large header", large, InvalidResponse, Some(200), Some("more than the 65536"), Kept),
        (
            "another protocol",
            b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            InvalidResponse,
            None,
            Some("not valid HTTP"),
            Closed,
        ),
        (
            "a broken chunk",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n".to_vec(),
            InvalidResponse,
            Some(200),
            Some("not valid HTTP"),
            Closed,
        ),
    ]
}

/// An answer of a megabyte that would unpack to 166: a literal zero, then copies of the 258 bytes before, in fixed codes.
fn gzip_bomb() -> Vec<u8> {
    let copy = [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0];
    let start = [1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0];
    let bits: Vec<u8> = start.into_iter().chain(copy.into_iter().cycle().take(13 * 645_000)).collect();
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    answer.extend(bits.chunks(8).map(|byte| byte.iter().rev().fold(0, |value, bit| value << 1 | bit)));
    answer
}

type Script = fn(TcpStream) -> Running;
type Scripted = (&'static str, Script, OutcomeClass, Option<u16>, Option<&'static str>, End);

/// Those that do more than answer.
fn scripts() -> Vec<Scripted> {
    vec![
        (
            "200 in pieces",
            |stream| Box::pin(in_pieces(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")),
            Success,
            Some(200),
            None,
            Kept,
        ),
        (
            "HTTP/1.0",
            |stream| Box::pin(answer_and_close(stream, b"HTTP/1.0 200 OK\r\n\r\nold but well")),
            Success,
            Some(200),
            None,
            Closed,
        ),
        ("a reset", |stream| Box::pin(reset(stream)), Reset, None, Some("closed before an answer"), Closed),
        ("no answer", |stream| Box::pin(begin_and_hang(stream, b"")), Timeout, None, Some("no answer within"), Stalled),
        (
            "headers, then nothing",
            |stream| Box::pin(begin_and_hang(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")),
            Timeout,
            Some(200),
            Some("did not end within"),
            Stalled,
        ),
        (
            "half a body, then the end",
            |stream| Box::pin(answer_and_close(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal")),
            Reset,
            Some(200),
            Some("closed in it"),
            Closed,
        ),
        (
            "a head at one byte a second",
            |stream| Box::pin(begin_and_drip(stream, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"y")),
            Timeout,
            None,
            Some("no answer within"),
            Stalled,
        ),
        (
            "a body at one byte a second",
            |stream| Box::pin(begin_and_drip(stream, b"HTTP/1.1 200 OK\r\n\r\n", b"y")),
            Timeout,
            Some(200),
            Some("did not end within"),
            Stalled,
        ),
        (
            "a body without end",
            |stream| Box::pin(begin_and_flood(stream, b"HTTP/1.1 200 OK\r\n\r\n", b"on and on ")),
            Success,
            Some(200),
            None,
            Closed,
        ),
        (
            "a body of 300 MB",
            |stream| Box::pin(begin_and_flood(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n", b"x")),
            Success,
            Some(200),
            None,
            Closed,
        ),
        (
            "a header without end",
            |stream| Box::pin(begin_and_flood(stream, b"HTTP/1.1 200 OK\r\nX-Endless: ", b"x")),
            InvalidResponse,
            None,
            Some("more, or larger"),
            Closed,
        ),
        (
            "headers without end",
            |stream| Box::pin(begin_and_flood(stream, b"HTTP/1.1 200 OK\r\n", b"X-Again: y\r\n")),
            InvalidResponse,
            None,
            Some("more, or larger"),
            Closed,
        ),
        (
            "100 without end",
            |stream| Box::pin(begin_and_flood(stream, b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
            InvalidResponse,
            None,
            Some("interim answers"),
            Closed,
        ),
        (
            "103 without end",
            |stream| Box::pin(begin_and_flood(stream, b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")),
            InvalidResponse,
            None,
            Some("interim answers"),
            Closed,
        ),
    ]
}

fn over_tls(config: Arc<ServerConfig>) -> impl Fn(TcpStream) -> Running + Send + 'static {
    let acceptor = TlsAcceptor::from(config);
    move |stream| {
        let accepting = acceptor.accept(stream);
        Box::pin(async move {
            if let Ok(stream) = accepting.await {
                answer(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        })
    }
}

async fn row(
    scheme: &'static str,
    name: &'static str,
    (outcome, status, error): (OutcomeClass, Option<u16>, Option<&'static str>),
    end: End,
    script: impl Fn(TcpStream) -> Running + Send + 'static,
) -> Hostile {
    let (stalls, closes) = match end {
        Kept => (false, false),
        Closed => (false, true),
        Stalled => (true, true),
    };
    Hostile { name, outcome, status, error, stalls, closes, scheme, server: Server::start(script).await }
}
