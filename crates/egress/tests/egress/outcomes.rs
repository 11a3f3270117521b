//! What comes of a POST, class by class.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::attempt::{LoggedHeaders, OutcomeClass};
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::AttemptId;
use fanfare_egress::EgressConfig;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use super::server::{Client, LONG, Server, loopback, post, read_request, url};

/// How long tests wait for what never comes.
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_complete_answer_is_recorded_with_its_phases() {
    let server = Server::answering("HTTP/1.1 503 Busy\r\nX-Why: caf\u{e9}\r\nContent-Length: 5\r\n\r\nlater").await;
    let answer = post(&server.http("/hook"), LONG).await;
    assert_eq!((answer.outcome, answer.status), (OutcomeClass::ServerError, Some(503)));
    assert_eq!(answer.error, None);
    assert!(!answer.phases.reused);
    assert!(answer.phases.connect_us.is_some() && answer.phases.first_byte_us.is_some());
    assert_eq!(answer.phases.dns_us, None, "an address is not looked up");

    let sent = LoggedHeaders::from_iter([("x-webhook-event", "a.b")]);
    let attempt = answer.into_attempt(AttemptId(Default::default()), 2, Timestamp::EPOCH, sent.clone());
    assert_eq!((attempt.number, attempt.status, attempt.request_headers), (2, Some(503), sent));
    assert_eq!(attempt.response_body.bytes, b"later");
    assert!(attempt.response_headers.iter().any(|header| header == ("x-why", "caf\u{e9}")));
    assert!(attempt.took_us >= attempt.phases.first_byte_us.unwrap());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let location = format!("http://{}/", elsewhere.address);
    let server =
        Server::answering(format!("HTTP/1.1 307 Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")).await;
    let answer = post(&server.http("/"), LONG).await;
    assert_eq!((answer.outcome, answer.status), (OutcomeClass::Redirect, Some(307)));
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_compressed_body_is_neither_asked_for_nor_decoded() {
    let (told, asked) = oneshot::channel();
    let told = Arc::new(Mutex::new(Some(told)));
    let server = Server::start(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            let request = read_request(&mut stream).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00";
            stream.write_all(answer).await.unwrap();
            let told = told.lock().take().unwrap();
            told.send(request).unwrap();
        }
    })
    .await;
    let answer = post(&server.http("/"), LONG).await;
    assert_eq!(answer.outcome, OutcomeClass::Success);
    assert_eq!(answer.body.bytes, b"\x1f\x8b\x08\x00");
    let request = asked.await.unwrap();
    assert!(!request.to_lowercase().contains("accept-encoding"), "{request}");
    assert!(request.starts_with("POST / HTTP/1.1\r\n") && request.ends_with("{\"id\":1}"), "{request}");
}

#[tokio::test]
async fn a_receiver_that_never_answers_times_out() {
    let server = Server::start(|mut stream| async move { while read_request(&mut stream).await.is_some() {} }).await;
    let answer = post(&server.http("/?token=hidden"), SHORT).await;
    assert_eq!((answer.outcome, answer.status), (OutcomeClass::Timeout, None));
    assert_eq!(answer.error.as_deref(), Some("no answer within 300ms"));
    assert!(answer.took >= SHORT);
}

#[tokio::test]
async fn the_first_byte_has_a_bound_of_its_own_when_one_is_set() {
    let server = Server::start(|mut stream| async move { while read_request(&mut stream).await.is_some() {} }).await;
    let client = Client::new(&EgressConfig { first_byte_timeout: "200ms".parse().unwrap(), ..EgressConfig::default() });
    let answer = client.post(&server.http("/"), &loopback(), LONG).await;
    assert_eq!(answer.error.as_deref(), Some("no answer within 200ms"));
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_times_out_with_its_status() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal").await.unwrap();
        while read_request(&mut stream).await.is_some() {}
    })
    .await;
    let answer = post(&server.http("/"), SHORT).await;
    assert_eq!((answer.outcome, answer.status), (OutcomeClass::Timeout, Some(200)));
    assert_eq!(answer.body.bytes, b"hal");
}

#[tokio::test]
async fn an_endless_body_is_read_to_the_cap_and_its_connection_closed() {
    let (closed, was_closed) = oneshot::channel();
    let closed = Arc::new(Mutex::new(Some(closed)));
    let server = Server::start(move |mut stream| {
        let closed = Arc::clone(&closed);
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            while stream.write_all(&[b'x'; 1000]).await.is_ok() {}
            if let Some(closed) = closed.lock().take() {
                closed.send(()).unwrap();
            }
        }
    })
    .await;
    let answer = post(&server.http("/"), LONG).await;
    assert_eq!(answer.outcome, OutcomeClass::Success);
    assert_eq!(answer.body.bytes.len(), 16 * 1024);
    assert!(answer.body.truncated);
    tokio::time::timeout(LONG, was_closed).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_of_exactly_the_cap_is_whole() {
    let body = "x".repeat(16 * 1024);
    let server = Server::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
    let answer = post(&server.http("/"), LONG).await;
    assert_eq!((answer.body.bytes.len(), answer.body.truncated), (16 * 1024, false));
}

#[tokio::test]
async fn connections_that_break_are_resets() {
    let closing = Server::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
    })
    .await;
    let resetting = Server::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.set_zero_linger().unwrap();
    })
    .await;
    for server in [closing, resetting] {
        let answer = post(&server.http("/"), LONG).await;
        assert_eq!((answer.outcome, answer.status), (OutcomeClass::Reset, None), "{answer:?}");
    }
    let halfway = Server::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal").await.unwrap();
    })
    .await;
    let answer = post(&halfway.http("/"), LONG).await;
    assert_eq!((answer.outcome, answer.status), (OutcomeClass::Reset, Some(200)), "{answer:?}");
}

#[tokio::test]
async fn what_is_not_http_or_over_the_header_bounds_is_an_invalid_response() {
    let many: String = (0..101).map(|n| format!("X-{n}: y\r\n")).collect();
    let large = format!("X-Large: {}\r\n", "y".repeat(70_000));
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{large}\r\n"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n".to_owned(),
    ] {
        let server = Server::answering(answer.clone()).await;
        let got = post(&server.http("/"), LONG).await;
        assert_eq!(got.outcome, OutcomeClass::InvalidResponse, "{got:?} for {}", &answer[..30.min(answer.len())]);
        assert!(got.error.is_some());
    }
}

#[tokio::test]
async fn a_flood_of_headers_ends_long_before_the_time_is_up() {
    let server = Server::start(|mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Endless: ").await.unwrap();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let answer = post(&server.http("/"), LONG).await;
    assert_eq!(answer.outcome, OutcomeClass::InvalidResponse, "{answer:?}");
}

#[tokio::test]
async fn a_refused_connection_says_so_and_leaks_no_query() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = post(&url(&format!("http://{address}/hook?token=hidden")), LONG).await;
    assert_eq!(answer.outcome, OutcomeClass::Connect);
    assert_eq!(answer.error.as_deref(), Some("the connection was refused"));
}

#[tokio::test]
async fn a_host_that_accepts_no_connection_in_time_is_a_connect_failure() {
    // A backlog of one that is never accepted from fills with these, and the kernel drops what comes after.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut filling = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(SHORT, tokio::net::TcpStream::connect(address)).await {
        filling.push(stream);
    }
    let by_connect_timeout = EgressConfig { connect_timeout: "200ms".parse().unwrap(), ..EgressConfig::default() };
    let answer = Client::new(&by_connect_timeout).post(&url(&format!("http://{address}/")), &loopback(), LONG).await;
    assert_eq!(answer.outcome, OutcomeClass::Connect, "{answer:?}");
    let answer = post(&url(&format!("http://{address}/")), SHORT).await;
    assert_eq!(answer.outcome, OutcomeClass::Connect, "{answer:?}");
    assert_eq!(answer.error.as_deref(), Some("no connection within 300ms"));
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_failure() {
    let client = Client::new(&EgressConfig::default());
    let nowhere = url("https://fanfare-test.invalid/hook?token=hidden");
    let answer = client.post(&nowhere, &loopback(), LONG).await;
    assert_eq!(answer.outcome, OutcomeClass::Dns, "{answer:?}");
    let error = answer.error.unwrap();
    assert!(error.contains("fanfare-test.invalid") && !error.contains("hidden"), "{error}");
    assert!(!client.egress.resolves(&nowhere).await);
    assert!(client.egress.resolves(&url("https://localhost/")).await);
    assert!(client.egress.resolves(&url("https://192.0.2.1/")).await);
}
