//! A producer that writes the protocol itself: what it sends may be anything.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A connection without a library, for bytes that no library would send.
#[derive(Debug)]
pub struct RawProducer {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl RawProducer {
    /// Connects to a server that asks for no user.
    ///
    /// # Panics
    /// When the server is not there.
    pub async fn connect(url: &str) -> Self {
        let address = url.strip_prefix("nats://").expect("a plain address");
        let (reader, writer) = TcpStream::connect(address).await.expect("it listens").into_split();
        let mut raw = Self { reader: BufReader::new(reader), writer };
        raw.line().await;
        let connect = r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
        raw.send(format!("CONNECT {connect}\r\nSUB _INBOX.raw 1\r\n").as_bytes()).await;
        raw
    }

    /// Publishes these bytes and waits for JetStream's answer: true if the message is kept. The subject must have no space
    /// and no line feed in it, or the server takes it for something else.
    ///
    /// # Panics
    /// When the server closes the connection.
    pub async fn publish(&mut self, subject: &[u8], headers: &[u8], body: &[u8]) -> bool {
        let all = headers.len() + body.len();
        let (verb, sizes) =
            if headers.is_empty() { ("PUB", format!("{all}")) } else { ("HPUB", format!("{} {all}", headers.len())) };
        let line = [verb.as_bytes(), b" ", subject, b" _INBOX.raw ", sizes.as_bytes(), b"\r\n"].concat();
        self.send(&[&line[..], headers, body, b"\r\n"].concat()).await;
        loop {
            let line = self.line().await;
            let size = line.rsplit(' ').next().and_then(|size| size.trim().parse::<usize>().ok());
            assert!(!line.starts_with("-ERR"), "the server says {line} to {}", subject.escape_ascii());
            if line.starts_with("PING") {
                self.send(b"PONG\r\n").await;
            } else if line.starts_with("MSG") || line.starts_with("HMSG") {
                let mut answer = vec![0; size.expect("a size") + 2];
                self.reader.read_exact(&mut answer).await.expect("the whole answer");
                let answer = String::from_utf8_lossy(&answer);
                return answer.contains("\"seq\"") && !answer.contains("\"error\"");
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.expect("the server reads");
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let read = self.reader.read_until(b'\n', &mut line).await.expect("the server answers");
        assert!(read > 0, "the server closed the connection");
        String::from_utf8_lossy(&line).into_owned()
    }
}
