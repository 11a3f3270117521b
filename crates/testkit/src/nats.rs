//! A real `nats-server` with JetStream, on a port and in a directory of its own.

use std::path::Path;

use crate::server::{Kind, Server};

const KIND: Kind = Kind { program: "nats-server", variable: "FANFARE_NATS_SERVER" };

/// A running `nats-server`. It is killed when this is dropped, and its data with it.
#[derive(Debug)]
pub struct NatsServer(Server);

impl NatsServer {
    /// Starts it and waits until it answers. `FANFARE_NATS_SERVER` names the binary; else the PATH is searched.
    ///
    /// # Panics
    /// When it is not there or does not answer.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// Starts it with more lines in its configuration file, such as an `authorization` or `tls` block.
    ///
    /// # Panics
    /// When it is not there or does not answer.
    pub async fn start_with(settings: &str) -> Self {
        let arguments = |dir: &Path, address: std::net::SocketAddr| {
            let file = dir.join("nats.conf");
            let store = dir.join("jetstream");
            let text =
                format!("listen: \"{address}\"\njetstream {{ store_dir: \"{}\" }}\n{settings}\n", store.display());
            std::fs::write(&file, text).expect("its configuration can be written");
            vec!["-js".into(), "-c".into(), file.into_os_string()]
        };
        // It greets first, whatever it is sent.
        Self(Server::start(KIND, arguments, b"", b"INFO ").await)
    }

    /// What clients connect to.
    pub fn url(&self) -> String {
        format!("nats://{}", self.0.address())
    }

    /// Ends it at once: SIGKILL.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&mut self) {
        self.0.kill().await;
    }

    /// Starts it again on the same data and port, after [`NatsServer::kill`].
    ///
    /// # Panics
    /// When it runs, or does not answer.
    pub async fn start_again(&mut self) {
        self.0.start_again().await;
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
