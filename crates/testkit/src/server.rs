//! A program that a test runs beside itself: started on a port of its own, waited for, killed, started again on what it
//! left behind.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::process::free_port;

/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// What there is to know to start it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// The program's name on the PATH.
    pub(crate) program: &'static str,
    /// The environment variable that names another one.
    pub(crate) variable: &'static str,
}

/// A server process with its data. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    child: Option<Child>,
    dir: TempDir,
    address: SocketAddr,
    arguments: Vec<OsString>,
    greeting: &'static [u8],
    expected: &'static [u8],
}

impl Server {
    /// Starts it on a free port of loopback with the arguments that `arguments` makes of its directory and address, sends
    /// `greeting`, and waits until it answers with something that begins with `expected`.
    pub(crate) async fn start(
        kind: Kind,
        arguments: impl FnOnce(&Path, SocketAddr) -> Vec<OsString>,
        greeting: &'static [u8],
        expected: &'static [u8],
    ) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let arguments = arguments(dir.path(), address);
        let mut server = Self { kind, child: None, dir, address, arguments, greeting, expected };
        server.start_again().await;
        server
    }

    /// Starts it again on the same data and port.
    pub(crate) async fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let program =
            std::env::var_os(self.kind.variable).map_or_else(|| PathBuf::from(self.kind.program), PathBuf::from);
        let log =
            std::fs::File::options().create(true).append(true).open(self.log_path()).expect("its log can be made");
        let child = Command::new(&program)
            .args(&self.arguments)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!(
                "cannot start {}: {error}; {} names another one, and cargo xtask test gets it",
                program.display(),
                self.kind.variable
            )
        });
        self.child = Some(child);
        self.wait_until_it_answers().await;
    }

    async fn wait_until_it_answers(&mut self) {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let answering = async {
            loop {
                ticks.tick().await;
                let child = self.child.as_mut().expect("it has been started");
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(status);
                }
                if answers(self.address, self.greeting, self.expected).await {
                    return Ok(());
                }
            }
        };
        match tokio::time::timeout(PATIENCE, answering).await {
            Ok(Ok(())) => {}
            Ok(Err(status)) => panic!("{} ended with {status}:\n{}", self.kind.program, self.log()),
            Err(_) => panic!("{} did not answer within {PATIENCE:?}:\n{}", self.kind.program, self.log()),
        }
    }

    /// Ends it at once: SIGKILL.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.expect("a child can be killed");
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

/// Whether it answers the greeting as expected.
async fn answers(address: SocketAddr, greeting: &[u8], expected: &[u8]) -> bool {
    use tokio::io::AsyncWriteExt as _;
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    if stream.write_all(greeting).await.is_err() {
        return false;
    }
    let mut answer = vec![0; expected.len()];
    let reading = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut answer)).await;
    matches!(reading, Ok(Ok(_))) && answer == expected
}
