//! Both protocols on one port.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use fanfare_http::server::ServerConfig;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};

use crate::client::{Server, soon};

async fn boo() -> &'static str {
    panic!("boo")
}

async fn start() -> Server {
    let router = Router::new()
        .route("/hello", get(|| async { "hello" }))
        .route("/echo", post(|body: Bytes| async { body }))
        .route("/panic", get(boo));
    Server::start(router, ServerConfig::default(), Duration::from_secs(10)).await
}

#[tokio::test]
async fn http_1_connections_are_kept_and_pipelined() {
    let server = start().await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        assert_eq!(client.get("/hello").await.body, "hello");
    }
    client
        .send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\noneGET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.body, "one");
    assert_eq!(client.answer().await.body, "hello");
    server.stop().await;
}

#[tokio::test]
async fn http_2_is_spoken_in_clear_text_with_many_requests_on_one_connection() {
    let server = start().await;
    let sender = server.connect_h2().await;
    let answers = futures_util::future::join_all((0..20).map(|number| {
        let mut sender = sender.clone();
        let uri = format!("http://{}/echo", server.address);
        async move {
            let request = Request::post(uri).body(Full::from(number.to_string())).unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(response.version(), Version::HTTP_2);
            response.into_body().collect().await.unwrap().to_bytes()
        }
    }));
    for (number, answer) in soon("the answers", answers).await.into_iter().enumerate() {
        assert_eq!(answer, number.to_string());
    }
    server.stop().await;
}

#[tokio::test]
async fn expect_100_continue_is_answered_before_the_body() {
    let server = start().await;
    let mut client = server.connect().await;
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 100);
    client.send("one").await;
    assert_eq!(client.answer().await.body, "one");
    server.stop().await;
}

#[tokio::test]
async fn a_panicking_handler_is_a_500_and_the_connection_goes_on() {
    let server = start().await;
    let mut client = server.connect().await;
    let answer = client.get("/panic").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.problem()["type"], "urn:fanfare:problem:internal");
    assert!(!answer.body.contains("boo"));
    assert_eq!(client.get("/hello").await.body, "hello");
    assert_eq!(client.get("/nowhere").await.problem()["status"], 404);
    server.stop().await;
}
