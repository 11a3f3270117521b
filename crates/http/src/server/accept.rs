//! What to do when a connection cannot be accepted.

use std::io::{Error, ErrorKind};
use std::time::Duration;

/// The first pause when the system has no room for another connection.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest; connections end all the time, so room comes back soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The pause before the next try, longer each time that one fails.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST_PAUSE }
    }

    /// After a success: the next failure is a first one again.
    pub(super) fn reset(&mut self) {
        self.next = FIRST_PAUSE;
    }

    /// How long to wait after this failure; `None` when trying again is of no use.
    pub(super) fn after(&mut self, error: &Error) -> Option<Duration> {
        match error.kind() {
            // About one connection, which is gone again; there is nothing to wait for.
            ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused => {
                Some(Duration::ZERO)
            }
            // The socket does not listen: it never will.
            ErrorKind::InvalidInput => None,
            // Out of file descriptors or memory, most likely (EMFILE, ENFILE, ENOBUFS, ENOMEM). Trying at once would turn
            // into a busy loop.
            _ => {
                let pause = self.next;
                self.next = (pause * 2).min(LONGEST_PAUSE);
                tracing::warn!(%error, ?pause, "cannot accept connections; is the limit of open files too low?");
                Some(pause)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMFILE: i32 = 24;
    const EINVAL: i32 = 22;

    #[test]
    fn running_out_of_files_backs_off_and_a_lost_connection_does_not() {
        let mut backoff = Backoff::new();
        let full = Error::from_raw_os_error(EMFILE);
        let pauses: Vec<_> = (0..7).filter_map(|_| backoff.after(&full)).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.after(&Error::from(ErrorKind::ConnectionAborted)), Some(Duration::ZERO));
        backoff.reset();
        assert_eq!(backoff.after(&full), Some(FIRST_PAUSE));
        assert_eq!(backoff.after(&Error::from_raw_os_error(EINVAL)), None);
    }
}
