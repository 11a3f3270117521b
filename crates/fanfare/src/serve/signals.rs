//! SIGTERM and SIGINT: the first asks the process to stop, the second to stop at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report::Report;

/// The signals that ask a process to stop.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on; the signals' default action, to end the process, is off.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn listen() -> Result<Self, Report> {
        let listen = |kind| signal(kind).map_err(|error| Report::because("cannot listen for signals", &error));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the next one and gives its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
