//! Shutdown: idle connections close, requests in flight finish, what takes too long is dropped.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use fanfare_http::server::ServerConfig;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::client::{Server, soon};

const LONG: Duration = Duration::from_secs(600);

/// Requests to `/slow` that wait to be let go.
struct Slow {
    server: Server,
    started: mpsc::Receiver<()>,
    dropped: mpsc::Receiver<()>,
    go: Arc<Notify>,
}

struct TellsWhenDropped(mpsc::Sender<()>);

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

async fn start(grace: Duration) -> Slow {
    let (start, started) = mpsc::channel(10);
    let (drop, dropped) = mpsc::channel(10);
    let go = Arc::new(Notify::new());
    let wait = Arc::clone(&go);
    let slow = move || async move {
        let _dropped = TellsWhenDropped(drop);
        start.send(()).await.unwrap();
        wait.notified().await;
        "slow"
    };
    let router = Router::new().route("/slow", get(slow)).route("/hello", get(|| async { "hello" }));
    Slow { server: Server::start(router, ServerConfig::default(), grace).await, started, dropped, go }
}

#[tokio::test]
async fn idle_connections_close_at_once_and_requests_in_flight_are_answered() {
    let mut slow = start(LONG).await;
    let mut busy = slow.server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    soon("the request", slow.started.recv()).await.unwrap();
    let mut h2 = slow.server.connect_h2().await;
    let request = Request::get(format!("http://{}/slow", slow.server.address)).body(Full::default()).unwrap();
    let h2_answer = tokio::spawn(async move { h2.send_request(request).await.unwrap().into_body().collect().await });
    soon("the request", slow.started.recv()).await.unwrap();
    let mut idle = slow.server.connect().await;
    assert_eq!(idle.get("/hello").await.body, "hello");
    let fresh = slow.server.connect().await;

    slow.server.shutdown.cancel();
    idle.closed().await;
    fresh.closed().await;
    // By now nobody listens any more.
    assert!(TcpStream::connect(slow.server.address).await.is_err());
    assert!(!slow.server.serving.is_finished(), "ended with requests in flight");

    slow.go.notify_waiters();
    let answer = busy.answer().await;
    assert_eq!(answer.body, "slow");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    busy.closed().await;
    assert_eq!(soon("the answer", h2_answer).await.unwrap().unwrap().to_bytes(), "slow");
    slow.server.ended().await;
}

#[tokio::test]
async fn what_is_in_flight_after_the_grace_period_is_dropped() {
    let mut slow = start(Duration::from_millis(50)).await;
    let mut busy = slow.server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut h2 = slow.server.connect_h2().await;
    let request = Request::get(format!("http://{}/slow", slow.server.address)).body(Full::default()).unwrap();
    let h2_answer = tokio::spawn(async move { h2.send_request(request).await });
    for _ in 0..2 {
        soon("the request", slow.started.recv()).await.unwrap();
    }
    slow.server.stop().await;
    // Both handlers were dropped when the server had ended, not some time later.
    assert!(slow.dropped.try_recv().is_ok() && slow.dropped.try_recv().is_ok());
    busy.closed().await;
    assert!(soon("the failure", h2_answer).await.unwrap().is_err());
}

#[tokio::test]
async fn dropping_the_server_drops_its_connections() {
    let mut slow = start(LONG).await;
    let mut busy = slow.server.connect().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    soon("the request", slow.started.recv()).await.unwrap();
    slow.server.serving.abort();
    busy.closed().await;
    soon("the drop", slow.dropped.recv()).await.unwrap();
}
