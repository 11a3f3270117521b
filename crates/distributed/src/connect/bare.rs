//! A connection to NATS of our own, over which bytes come as they are.
//!
//! The intake follows what strangers publish, and strangers may write anything into headers and subjects: async-nats breaks the
//! connection off on a header that is no UTF-8 or has no colon, on a subject that is no UTF-8 or has certain spaces in it, and its
//! connection task panics on a lone CR. Over this connection a subject is bytes up to the next space, and headers are so many bytes,
//! which nobody reads here. It subscribes to one subject; whatever else is asked of the server goes over the other connection.

mod lines;
mod login;
mod tls;

use std::io;
use std::time::Duration;

use async_nats::ServerAddr;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::NatsConfig;
pub(crate) use lines::Came;
use lines::Op;

/// The one subscription's number.
const SID: u32 = 1;
/// How much room is made for what comes next.
const READ: usize = 32 * 1024;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The connection.
pub(crate) struct Bare {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
}

impl Bare {
    /// Connects to one of the servers and subscribes; when this returns, the server knows of it.
    ///
    /// # Errors
    /// When none of the servers lets us in, or not within the timeout.
    pub(crate) async fn subscribe(config: &NatsConfig, subject: &str) -> io::Result<Self> {
        let (urls, in_url) = super::servers::servers(&config.urls).map_err(io::Error::other)?;
        let mut last = io::Error::other("no server is configured");
        for url in urls {
            let trying = async {
                let mut bare = Self::connect(config, &url.parse()?, in_url.as_ref()).await?;
                bare.send(&format!("SUB {subject} {SID}\r\nPING\r\n")).await?;
                bare.until_pong().await?;
                Ok(bare)
            };
            match within(config.timeout.get(), trying).await {
                Ok(bare) => return Ok(bare),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect(
        config: &NatsConfig,
        server: &ServerAddr,
        in_url: Option<&super::servers::InUrl>,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect((server.host(), server.port())).await?;
        stream.set_nodelay(true)?;
        let mut plain = Self { stream: Box::new(stream), buffer: BytesMut::new() };
        let info = plain.info().await?;
        let tls = server.tls_required() || info.tls_required;
        let mut bare = if tls {
            // The server says nothing more before the handshake.
            Self { stream: Box::new(tls::wrap(plain.stream, server.host(), config).await?), buffer: BytesMut::new() }
        } else {
            plain
        };
        let login = login::message(config, in_url, &info.nonce, tls).map_err(io::Error::other)?;
        bare.send(&format!("CONNECT {login}\r\nPING\r\n")).await?;
        bare.until_pong().await?;
        Ok(bare)
    }

    async fn info(&mut self) -> io::Result<lines::Info> {
        match self.op().await? {
            Op::Info(json) => serde_json::from_slice(&json).map_err(io::Error::other),
            Op::Came(_) | Op::Ping | Op::Pong | Op::Ok | Op::Error(_) => {
                Err(io::Error::other("the server did not say who it is"))
            }
        }
    }

    async fn until_pong(&mut self) -> io::Result<()> {
        loop {
            match self.op().await? {
                Op::Pong => return Ok(()),
                Op::Ping => self.send("PONG\r\n").await?,
                Op::Error(said) => return Err(io::Error::other(said)),
                Op::Info(_) | Op::Ok | Op::Came(_) => {}
            }
        }
    }

    /// Waits for the next message. After it was dropped while waiting, the connection is not to be used any more.
    ///
    /// # Errors
    /// When the server is gone, refuses something, or is silent for too long.
    pub(crate) async fn next(&mut self, silence: Duration) -> io::Result<Came> {
        within(silence, async {
            loop {
                match self.op().await? {
                    Op::Came(came) => return Ok(came),
                    Op::Ping => self.send("PONG\r\n").await?,
                    Op::Error(said) => return Err(io::Error::other(said)),
                    Op::Info(_) | Op::Pong | Op::Ok => {}
                }
            }
        })
        .await
    }

    /// Answers the server, which asks in this way whether we keep up.
    pub(crate) async fn answer(&mut self, reply: &[u8]) -> io::Result<()> {
        self.stream.write_all(&[b"PUB ", reply, b" 0\r\n\r\n"].concat()).await?;
        self.stream.flush().await
    }

    async fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    async fn op(&mut self) -> io::Result<Op> {
        loop {
            if let Some(op) = lines::take(&mut self.buffer)? {
                return Ok(op);
            }
            self.buffer.reserve(READ);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

async fn within<T>(time: Duration, act: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(time, act).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
