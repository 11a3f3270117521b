//! Receivers that misbehave, one of each kind, with what has to come of a POST to them.
//!
//! [`everybody`] is the table that every test of such receivers goes through: what a request to each ends as, and whether it
//! takes all the time it is given.

mod scripts;
mod table;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use table::everybody;

/// How long a test waits for connections to be closed; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// One receiver, and what has to come of a POST to it.
#[derive(Debug)]
pub struct Hostile {
    /// What it does.
    pub name: &'static str,
    /// The class of a POST to it.
    pub outcome: OutcomeClass,
    /// The status that is recorded.
    pub status: Option<u16>,
    /// What the recorded error has in it; `None` if there is to be no error.
    pub error: Option<&'static str>,
    /// Whether a POST to it ends only with its time.
    pub stalls: bool,
    /// Whether its connection has to be closed rather than kept for the next request.
    pub closes: bool,
    scheme: &'static str,
    server: Server,
}

impl Hostile {
    /// Where it is: `localhost` for https, the address for http.
    pub fn url(&self) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}/hook?token=hidden", self.scheme, self.server.address.port())
    }

    /// Waits until no connection to it is open any more.
    ///
    /// # Panics
    /// When one is after a minute.
    pub async fn is_left_alone(&self) {
        let mut open = self.server.open.subscribe();
        let closed = tokio::time::timeout(PATIENCE, open.wait_for(|open| *open == 0)).await;
        assert!(closed.is_ok(), "{}: a connection is still open", self.name);
    }
}

/// A listener on loopback that hands each connection to a script, and counts those whose script runs.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    open: watch::Sender<usize>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    async fn start<F, Fut>(script: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("the listener is bound");
        let open = watch::Sender::new(0);
        let counting = open.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                counting.send_modify(|open| *open += 1);
                let (counting, running) = (counting.clone(), script(stream));
                tokio::spawn(async move {
                    running.await;
                    counting.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { address, open, accepting }
    }
}
