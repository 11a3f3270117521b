//! A server on a free port, and a client that can misbehave, since it writes bytes and not requests.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use fanfare_http::server::{ServerConfig, serve};
use fanfare_runtime::{Shutdown, Span};
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Far more than anything here takes; only a bug lets it pass.
const PATIENCE: Duration = Duration::from_secs(30);
/// A timeout that is to be seen to fire.
pub(crate) const SHORT: Span = Span::from_millis(150);

/// Waits for what has to happen.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// A server that runs until it is told to stop.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(router: Router, config: ServerConfig, grace: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
        let router = fanfare_http::with_fallbacks(router);
        let serving = tokio::spawn(serve(listener, router, config, grace, shutdown.clone()));
        Self { address, shutdown, serving }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn connect_h2(&self) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
        let stream = TokioIo::new(TcpStream::connect(self.address).await.unwrap());
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Waits until the server has ended by itself.
    pub(crate) async fn ended(self) {
        soon("the end of the server", self.serving).await.unwrap().unwrap();
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended().await;
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers, in lowercase.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn problem(&self) -> serde_json::Value {
        assert!(self.head.contains("content-type: application/problem+json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A connection that writes what it is told.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("a write", self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Reads one answer with a `Content-Length`, or with status 100 and so without a body.
    pub(crate) async fn answer(&mut self) -> Answer {
        let head_end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more().await;
        };
        let head = String::from_utf8(self.read[..head_end].to_vec()).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body_end = head_end + length.map_or(0, |length| length.parse::<usize>().unwrap());
        while self.read.len() < body_end {
            self.read_more().await;
        }
        let body = String::from_utf8(self.read[head_end..body_end].to_vec()).unwrap();
        self.read.drain(..body_end);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        self.answer().await
    }

    /// Waits until the server has closed the connection, in whatever way, without another byte.
    pub(crate) async fn closed(mut self) {
        let mut rest = Vec::new();
        // A reset is a close as well.
        let _ = soon("the close", self.stream.read_to_end(&mut rest)).await;
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// Waits until the server has closed the connection, whatever it says before.
    pub(crate) async fn closed_after_anything(mut self) {
        let _ = soon("the close", self.stream.read_to_end(&mut self.read)).await;
    }

    async fn read_more(&mut self) {
        let read = soon("an answer", self.stream.read_buf(&mut self.read)).await.unwrap();
        assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&self.read));
    }
}
