//! A real `redis-server`, on a port and in a directory of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{Kind, Server};

const KIND: Kind = Kind { program: "redis-server", variable: "FANFARE_REDIS_SERVER" };

/// A running `redis-server` with an append-only file. It is killed when this is dropped, and its data with it.
#[derive(Debug)]
pub struct RedisServer(Server);

impl RedisServer {
    /// Starts it and waits until it answers. `FANFARE_REDIS_SERVER` names the binary; else the PATH is searched.
    ///
    /// # Panics
    /// When it is not there or does not answer.
    pub async fn start() -> Self {
        let arguments = |dir: &Path, address: SocketAddr| {
            let words = [
                ("--port", address.port().to_string()),
                ("--bind", address.ip().to_string()),
                ("--dir", dir.display().to_string()),
                ("--appendonly", "yes".to_owned()),
                ("--save", String::new()),
            ];
            words.into_iter().flat_map(|(name, value)| [OsString::from(name), OsString::from(value)]).collect()
        };
        Self(Server::start(KIND, arguments, b"PING\r\n", b"+PONG").await)
    }

    /// What clients connect to.
    pub fn url(&self) -> String {
        format!("redis://{}", self.0.address())
    }

    /// Ends it at once: SIGKILL.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        self.0.kill().await;
    }

    /// Starts it again on the same data and port, after [`RedisServer::kill`].
    ///
    /// # Panics
    /// When it runs, or does not answer.
    pub async fn start_again(&mut self) {
        self.0.start_again().await;
    }

    /// Forgets everything (`FLUSHALL`).
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn empty(&self) {
        let mut stream = TcpStream::connect(self.0.address()).await.expect("it listens");
        stream.write_all(b"FLUSHALL\r\n").await.expect("it reads");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.expect("it answers");
        assert_eq!(&answer, b"+OK\r\n");
    }

    /// The process id, while it runs.
    pub fn id(&self) -> Option<u32> {
        self.0.id()
    }

    /// Everything it has logged, over all its lives.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
