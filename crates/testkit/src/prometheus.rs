//! A real Prometheus, on a port and in a directory of its own.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use crate::server::{Kind, Server};

const KIND: Kind = Kind { program: "prometheus", variable: "FANFARE_PROMETHEUS" };

/// A running `prometheus`. It is killed when this is dropped, and its data with it.
#[derive(Debug)]
pub struct Prometheus(Server);

impl Prometheus {
    /// Starts it on the configuration that `configuration` makes for its address, and waits until it is ready.
    /// `FANFARE_PROMETHEUS` names the binary; else the PATH is searched.
    ///
    /// # Panics
    /// When it is not there, does not take the configuration, or does not answer.
    pub async fn start(configuration: impl FnOnce(SocketAddr) -> String) -> Self {
        let arguments = |dir: &Path, address| {
            let file = dir.join("prometheus.yml");
            std::fs::write(&file, configuration(address)).expect("its configuration can be written");
            [
                format!("--config.file={}", file.display()),
                format!("--storage.tsdb.path={}", dir.join("data").display()),
                format!("--web.listen-address={address}"),
            ]
            .map(OsString::from)
            .to_vec()
        };
        Self(Server::start(KIND, arguments, b"GET /-/ready HTTP/1.0\r\n\r\n", b"HTTP/1.0 200").await)
    }

    /// A URL of its API.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.address())
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
