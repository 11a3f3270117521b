//! Over a socket: what the router alone cannot show.

use std::time::Duration;

use fanfare_http::server::{ServerConfig, serve};
use fanfare_runtime::{Shutdown, Span};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{World, soon};

const HEAD: &str = "POST /v1/events HTTP/1.1\r\nHost: x\r\nX-API-Key: key-shop\r\nContent-Type: application/json\r\n";

/// A connection to a server that ends with it.
struct Connection {
    stream: TcpStream,
    shutdown: Shutdown,
}

impl Connection {
    async fn to(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let config = ServerConfig { body_timeout: Span::from_millis(200), ..ServerConfig::default() };
        let (router, shutdown) = (world.router.clone(), Shutdown::new());
        tokio::spawn(serve(listener, router, config, Duration::from_secs(10), shutdown.clone()));
        Self { stream, shutdown }
    }

    async fn send(&mut self, bytes: &str) {
        soon("a write", self.stream.write_all(bytes.as_bytes())).await.unwrap();
    }

    /// Reads on until all of this has come.
    async fn says(&mut self, expected: &[&str]) {
        let mut read = String::new();
        let mut piece = [0; 4096];
        while !expected.iter().all(|text| read.contains(text)) {
            let count = soon("an answer", self.stream.read(&mut piece)).await.unwrap();
            assert_ne!(count, 0, "closed after {read:?}, and not {expected:?}");
            read.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[tokio::test]
async fn a_sender_keeps_its_connection() {
    let world = World::new().await;
    let mut connection = Connection::to(&world).await;
    for id in ["one", "two", "three"] {
        let body = format!(r#"{{"id": "{id}", "type": "a", "data": {{}}}}"#);
        connection.send(&format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        connection.says(&["HTTP/1.1 202", &format!(r#"{{"id":"{id}","status":"accepted"}}"#)]).await;
    }
    assert_eq!(world.log.ids(), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_length_over_the_bound_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    let mut connection = Connection::to(&world).await;
    // The client waits for leave to send, and gets none.
    connection.send(&format!("{HEAD}Expect: 100-continue\r\nContent-Length: 8388609\r\n\r\n")).await;
    connection.says(&["HTTP/1.1 413", "at most 8388608 bytes"]).await;
    // What begins as one event has less room, which its first byte tells.
    let mut connection = Connection::to(&world).await;
    connection.send(&format!("{HEAD}Content-Length: 400000\r\n\r\n{{")).await;
    connection.says(&["HTTP/1.1 413", "at most 394584 bytes"]).await;
}

#[tokio::test]
async fn a_body_without_a_length_is_refused_when_it_is_too_much() {
    let world = World::new().await;
    let mut connection = Connection::to(&world).await;
    connection.send(&format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n")).await;
    for _ in 0..25 {
        connection.send(&format!("4000\r\n{}\r\n", " ".repeat(0x4000))).await;
    }
    connection.says(&["HTTP/1.1 413", "at most 394584 bytes"]).await;
}

#[tokio::test]
async fn an_event_may_come_in_pieces_but_not_for_ever() {
    let world = World::new().await;
    let mut connection = Connection::to(&world).await;
    connection.send(&format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n")).await;
    for piece in [r#" {"id": "pieces", "#, r#""type": "a", "#, r#""data": {}}"#] {
        connection.send(&format!("{:x}\r\n{piece}\r\n", piece.len())).await;
    }
    connection.send("0\r\n\r\n").await;
    connection.says(&["HTTP/1.1 202", "pieces"]).await;
    connection.send(&format!("{HEAD}Content-Length: 100\r\n\r\n{{")).await;
    connection.says(&["HTTP/1.1 408", "body-timeout"]).await;
    assert_eq!((world.log.ids(), world.counted("invalid")), (vec!["pieces".to_owned()], 1));
}
