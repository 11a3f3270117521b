//! A master, its replica, and three Sentinels that promote the replica when the master is gone.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use super::{KIND, RedisServer};
use crate::server::Server;

/// What the Sentinels call the master.
const NAME: &str = "claims";

/// A watched pair of servers.
#[derive(Debug)]
pub struct RedisSentinels {
    /// The master at the start, to be killed.
    pub master: RedisServer,
    /// What is promoted then.
    pub replica: RedisServer,
    /// Who watches them.
    pub sentinels: Vec<RedisServer>,
}

impl RedisSentinels {
    /// Starts them and waits until the Sentinels know each other and the replica.
    ///
    /// # Panics
    /// When they do not answer, or not within a minute.
    pub async fn start() -> Self {
        let master = RedisServer::start().await;
        let of = format!("127.0.0.1 {}", master.port());
        let replica = RedisServer::start_with(&[("replicaof", &of)]).await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(sentinel(&master).await);
        }
        let watched = Self { master, replica, sentinels };
        for sentinel in &watched.sentinels {
            let known = |known: &str| {
                let known: Vec<&str> = known.lines().collect();
                let is = |name, value| known.chunks(2).any(|pair| pair == [name, value]);
                is("num-slaves", "1") && is("num-other-sentinels", "2")
            };
            sentinel.answers("the Sentinels know each other", &["SENTINEL", "MASTER", NAME], known).await;
        }
        let copied = |info: &str| info.contains("master_link_status:up");
        watched.replica.answers("the replica has its copy", &["INFO", "replication"], copied).await;
        watched
    }

    /// What clients connect to: all Sentinels, and the master's name.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|it| format!("127.0.0.1:{}", it.port())).collect();
        format!("redis+sentinel://{}/{NAME}", hosts.join(","))
    }

    /// Waits until the replica is the master.
    ///
    /// # Panics
    /// When it is not after a minute.
    pub async fn promoted(&self) {
        self.replica.answers("the replica is the master", &["ROLE"], |role| role.starts_with("master")).await;
    }
}

async fn sentinel(master: &RedisServer) -> RedisServer {
    let arguments = |dir: &Path, address: SocketAddr| {
        let file = dir.join("sentinel.conf");
        let text = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {} 2\n\
             sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 5000\n",
            address.port(),
            dir.display(),
            master.port()
        );
        std::fs::write(&file, text).expect("its configuration can be written");
        vec![file.into_os_string(), OsString::from("--sentinel")]
    };
    RedisServer(Server::start(KIND, arguments, b"PING\r\n", b"+PONG").await)
}
