//! A real `redis-server`, on a port and in a directory of its own; with Sentinels, or several as a cluster.

mod cluster;
mod sentinel;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::server::{Kind, Server};

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinels;

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
        Self::start_with(&[]).await
    }

    /// Starts it with more of its settings, such as `("tls-port", "7000")`, each with its values. Unless they say otherwise
    /// it answers `PING` to everybody on its port, by which it is waited for.
    ///
    /// # Panics
    /// When it is not there or does not answer.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let arguments = |dir: &Path, address: SocketAddr| {
            let (port, host, dir) = (address.port().to_string(), address.ip().to_string(), dir.display().to_string());
            let own = [("port", &*port), ("bind", &*host), ("dir", &*dir), ("appendonly", "yes"), ("save", "")];
            let all = own.iter().chain(settings);
            all.flat_map(|(name, values)| {
                let values = if values.is_empty() { vec![""] } else { values.split(' ').collect() };
                std::iter::once(format!("--{name}")).chain(values.into_iter().map(str::to_owned))
            })
            .map(OsString::from)
            .collect()
        };
        Self(Server::start(KIND, arguments, b"PING\r\n", b"+PONG").await)
    }

    /// Its port, unencrypted.
    pub fn port(&self) -> u16 {
        self.0.address().port()
    }

    /// What it answers to a command, as text: values one below the other.
    ///
    /// # Panics
    /// When it does not answer, or with an error.
    pub async fn ask(&self, command: &[&str]) -> String {
        let asked = ask(self.0.address(), command).await;
        asked.unwrap_or_else(|error| panic!("{command:?}: {error}"))
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
        assert_eq!(self.ask(&["FLUSHALL"]).await, "OK");
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

/// Sends one command on a connection of its own, and reads the answer: the values in it, one below the other.
async fn ask(address: SocketAddr, command: &[&str]) -> std::io::Result<String> {
    let mut request = format!("*{}\r\n", command.len());
    for word in command {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.write_all(request.as_bytes()).await?;
    let (mut left, mut values) = (1, Vec::new());
    while left > 0 {
        left -= 1;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let (kind, rest) = line.trim_end().split_at_checked(1).unwrap_or_default();
        let number = || rest.parse::<i64>().map_err(std::io::Error::other);
        match kind {
            "-" => return Err(std::io::Error::other(rest.to_owned())),
            "*" => left += number()?.max(0),
            "$" => {
                // The text and the end of its line; -1 is none.
                let mut text = vec![0; usize::try_from(number()? + 2).unwrap_or_default()];
                if number()? >= 0 {
                    stream.read_exact(&mut text).await?;
                }
                values.push(String::from_utf8_lossy(&text).trim_end().to_owned());
            }
            "" => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => values.push(rest.to_owned()),
        }
    }
    Ok(values.join("\n"))
}

/// How long several servers may take to agree.
const PATIENCE: Duration = Duration::from_secs(60);

impl RedisServer {
    /// Asks until the answer is as wanted.
    async fn answers(&self, what: &str, command: &[&str], is_so: impl Fn(&str) -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let waiting = async {
            loop {
                ticks.tick().await;
                if is_so(&self.ask(command).await) {
                    return;
                }
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited {PATIENCE:?} until {what}");
    }
}
