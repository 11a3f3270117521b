//! What a client cannot do: hold a connection without using it, send too much, take all connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use fanfare_http::body::read_body;
use fanfare_http::server::ServerConfig;
use tokio::sync::oneshot;

use crate::client::{SHORT, Server, soon};

const LIMIT: usize = 1024;

fn router() -> Router {
    let bounded = |request: Request| async {
        match read_body(request.into_body(), LIMIT).await {
            Ok(body) => body.into_response(),
            Err(problem) => problem.into_response(),
        }
    };
    Router::new().route("/hello", get(|| async { "hello" })).route("/bounded", post(bounded))
}

async fn start(config: ServerConfig) -> Server {
    Server::start(router(), config, Duration::from_secs(10)).await
}

#[tokio::test]
async fn connections_without_a_whole_header_are_closed() {
    let server = start(ServerConfig { header_timeout: SHORT, ..ServerConfig::default() }).await;
    for start in
        ["", "GET /hel", "GET /hello HTTP/1.1\r\nHost: x\r\n", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    {
        let mut client = server.connect().await;
        client.send(start).await;
        if start.ends_with("SM\r\n\r\n") {
            // HTTP/2 says hello and goodbye in frames before it closes.
            client.closed_after_anything().await;
        } else {
            client.closed().await;
        }
    }
    // And one that was used and then not.
    let mut client = server.connect().await;
    assert_eq!(client.get("/hello").await.body, "hello");
    client.closed().await;
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_408() {
    let server = start(ServerConfig { body_timeout: SHORT, ..ServerConfig::default() }).await;
    for request in [
        "POST /bounded HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
        "POST /bounded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut client = server.connect().await;
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 408);
        assert_eq!(answer.problem()["type"], "urn:fanfare:problem:body-timeout");
        client.closed().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_or_while_it_comes() {
    let server = start(ServerConfig::default()).await;
    // Content-Length says so: refused with none of it sent, and without asking for it.
    let mut client = server.connect().await;
    client.send("POST /bounded HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1025\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &answer.problem()["detail"]), (413, &"$: the body may have at most 1024 bytes".into()));
    // No Content-Length: refused as soon as it is too much, not when it ends.
    let mut client = server.connect().await;
    client.send("POST /bounded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for _ in 0..3 {
        client.send(format!("200\r\n{}\r\n", "x".repeat(0x200))).await;
    }
    assert_eq!(client.answer().await.status, 413);
    // Just as much as is allowed.
    let mut client = server.connect().await;
    let whole = "x".repeat(LIMIT);
    client.send(format!("POST /bounded HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT}\r\n\r\n{whole}")).await;
    assert_eq!(client.answer().await.body, whole);
    server.stop().await;
}

#[tokio::test]
async fn the_refusal_reaches_a_client_that_sends_all_its_body_first() {
    let server = start(ServerConfig::default()).await;
    let mut client = server.connect().await;
    let much = vec![b'x'; 6 * 1024 * 1024];
    client.send(format!("POST /bounded HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", much.len())).await;
    client.send(&much).await;
    assert_eq!(client.answer().await.status, 413);
    client.closed().await;
    server.stop().await;
}

#[tokio::test]
async fn a_header_too_large_is_refused() {
    let server = start(ServerConfig { max_header_bytes: 8192, ..ServerConfig::default() }).await;
    let mut client = server.connect().await;
    client.send(format!("GET /hello HTTP/1.1\r\nHost: x\r\nX-Long: {}\r\n", "x".repeat(9000))).await;
    assert_eq!(client.answer().await.status, 431);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_one_ends() {
    let second_requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&second_requests);
    let second = move || async move { counted.fetch_add(1, Ordering::SeqCst).to_string() };
    let config = ServerConfig { max_connections: 1, ..ServerConfig::default() };
    let server = Server::start(router().route("/second", get(second)), config, Duration::from_secs(10)).await;
    let mut first = server.connect().await;
    assert_eq!(first.get("/hello").await.body, "hello");
    let mut waiting = server.connect().await;
    waiting.send("GET /second HTTP/1.1\r\nHost: x\r\n\r\n").await;
    for _ in 0..20 {
        assert_eq!(first.get("/hello").await.body, "hello");
    }
    assert_eq!(second_requests.load(Ordering::SeqCst), 0);
    drop(first);
    assert_eq!(waiting.answer().await.body, "0");
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_dropped() {
    let (dropped, answer_dropped) = oneshot::channel::<()>();
    let dropped = Arc::new(parking_lot::Mutex::new(Some(dropped)));
    let huge = move || {
        let held = dropped.lock().take();
        let pieces = futures_util::stream::repeat_with(move || {
            let _ = &held;
            Ok::<_, std::convert::Infallible>(bytes::Bytes::from_static(&[b'x'; 64 * 1024]))
        });
        async move { Body::from_stream(pieces) }
    };
    let config = ServerConfig { body_timeout: SHORT, ..ServerConfig::default() };
    let server = Server::start(Router::new().route("/huge", get(huge)), config, Duration::from_secs(10)).await;
    let mut client = server.connect().await;
    client.send("GET /huge HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // The sender goes when the answer's body does.
    assert!(soon("the end of the answer", answer_dropped).await.is_err());
    server.stop().await;
    drop(client);
}

#[test]
fn bounds_that_would_stop_everything_are_refused() {
    let refused = |json: &str| serde_json::from_str::<ServerConfig>(json).unwrap_err().to_string();
    for json in [
        r#"{"max_connections": 0}"#,
        r#"{"max_streams": 0}"#,
        r#"{"header_timeout": "0s"}"#,
        r#"{"body_timeout": "0ms"}"#,
        r#"{"max_header_bytes": 100}"#,
    ] {
        assert!(refused(json).contains("must be"), "{json}");
    }
    assert!(refused(r#"{"max_conections": 1}"#).contains("unknown field"));
    let defaults = serde_json::to_string(&ServerConfig::default()).unwrap();
    assert_eq!(serde_json::from_str::<ServerConfig>(&defaults).unwrap(), ServerConfig::default());
}
