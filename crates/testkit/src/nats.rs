//! A real `nats-server` with JetStream, on a port and in a directory of its own.

mod operator;
mod raw;

use std::path::Path;
use std::time::Duration;

use crate::process::free_port;
use crate::server::{Kind, Server};

pub use operator::NatsOperator;
pub use raw::RawProducer;

/// How long a server may take to catch up.
const PATIENCE: Duration = Duration::from_secs(60);

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

    /// Starts it with a store that holds no more than that many bytes.
    ///
    /// # Panics
    /// When it is not there or does not answer.
    pub async fn start_small(store_bytes: u64) -> Self {
        Self::begin(&format!("max_file_store: {store_bytes}"), "").await
    }

    /// Starts it with more lines in its configuration file, such as an `authorization` or `tls` block.
    ///
    /// # Panics
    /// When it is not there or does not answer.
    pub async fn start_with(settings: &str) -> Self {
        Self::begin("", settings).await
    }

    /// Starts it with a configuration file of the test's own: what that says of where to listen is replaced.
    ///
    /// # Panics
    /// When it is not there or does not answer.
    pub async fn start_from(file: &Path) -> Self {
        let arguments = |_: &Path, address: std::net::SocketAddr| {
            let (host, port, monitor) = (address.ip(), address.port(), free_port());
            let own =
                [("--addr", host.to_string()), ("--port", port.to_string()), ("--http_port", monitor.to_string())];
            let own = own.into_iter().flat_map(|(flag, value)| [flag.into(), value.into()]);
            own.chain(["--config".into(), file.into()]).collect()
        };
        Self(Server::start(KIND, arguments, b"", b"INFO ").await)
    }

    async fn begin(jetstream: &str, settings: &str) -> Self {
        let arguments = |dir: &Path, address: std::net::SocketAddr| {
            let file = dir.join("nats.conf");
            let store = dir.join("jetstream");
            let store = store.display();
            let text =
                format!("listen: \"{address}\"\njetstream {{\n store_dir: \"{store}\"\n {jetstream}\n}}\n{settings}\n");
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

/// Three servers that form one cluster on loopback.
#[derive(Debug)]
pub struct NatsCluster {
    /// Its servers, to be killed and started again one by one.
    pub nodes: [NatsServer; 3],
    /// Where each says how it is.
    health: [String; 3],
}

impl NatsCluster {
    /// Starts all three and waits until each answers; they may not have found each other by then.
    ///
    /// # Panics
    /// When they are not there or do not answer.
    pub async fn start() -> Self {
        let ports = [free_port(), free_port(), free_port()];
        let monitors = [free_port(), free_port(), free_port()];
        let routes = ports.map(|port| format!("\"nats://127.0.0.1:{port}\"")).join(", ");
        let settings = |node: usize| {
            format!(
                "server_name: node-{node}\nhttp: \"127.0.0.1:{}\"\n\
                 cluster {{ name: fanfare, listen: \"127.0.0.1:{}\", routes: [{routes}] }}",
                monitors[node], ports[node]
            )
        };
        let settings = [settings(0), settings(1), settings(2)];
        let [first, second, third] = settings.each_ref().map(|settings| NatsServer::start_with(settings));
        let (first, second, third) = tokio::join!(first, second, third);
        Self { nodes: [first, second, third], health: monitors.map(|port| format!("http://127.0.0.1:{port}/healthz")) }
    }

    /// Waits until a server that was started again has everything that the others have.
    ///
    /// # Panics
    /// When it has not after a minute.
    pub async fn caught_up(&self, node: usize) {
        let client = reqwest::Client::builder().no_proxy().build().expect("the options are valid");
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let well = async {
            loop {
                ticks.tick().await;
                let answer = client.get(&self.health[node]).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, well).await.is_err() {
            panic!("node {node} did not catch up within {PATIENCE:?}:\n{}", self.nodes[node].log());
        }
    }

    /// What clients connect to: all of them.
    pub fn urls(&self) -> String {
        self.nodes.each_ref().map(NatsServer::url).join(",")
    }
}
