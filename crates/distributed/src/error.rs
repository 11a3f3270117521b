//! What can go wrong: when the engine connects, and later, as the ports' errors say it.

use std::fmt;
use std::path::PathBuf;

use async_nats::jetstream::ErrorCode;
use fanfare_core::ports::{StoreError, StoreErrorKind};

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An option makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// A file that an option names cannot be read.
    #[error("cannot read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file that an option names has no certificate in it.
    #[error("{path} has no certificate in it; it has to be in PEM form")]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// The address of a server cannot be understood, or its TLS options cannot be used.
    #[error("cannot use the options for {server}")]
    Options {
        /// `NATS` or `Redis`.
        server: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// NATS refuses the connection: waiting would not help.
    #[error("NATS refuses the connection; check its address, the user's credentials and the TLS options")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Redis refuses the connection or a command: waiting would not help.
    #[error("Redis refuses what Fanfare asks of it; check the user, its password and its rights")]
    RedisRefuses(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The server is too old for schedules that last.
    #[error("NATS is version {found}, and Fanfare needs {needed} or later: older servers have no reliable schedules")]
    TooOld {
        /// The version met.
        found: String,
        /// The least that will do.
        needed: &'static str,
    },
    /// A newer version of Fanfare wrote to a stream.
    #[error(
        "stream {stream} has layout {found}, and this version knows layouts up to {known}; run the version that wrote it"
    )]
    Newer {
        /// Which stream.
        stream: String,
        /// The layout it has.
        found: String,
        /// The newest that this version knows.
        known: u32,
    },
    /// A stream that holds deliveries has a limit by which the server would drop some.
    #[error(
        "stream {stream} has a limit by which deliveries would be lost ({limits}); remove it, or start with --apply"
    )]
    Limited {
        /// Which stream.
        stream: String,
        /// Its limits.
        limits: Differences,
    },
    /// Streams are not as configured.
    #[error(
        "stream {stream} is not as configured ({differences}); change it or the configuration, or start with --apply"
    )]
    Drifted {
        /// Which stream.
        stream: String,
        /// What differs.
        differences: Differences,
    },
    /// JetStream refuses a request: it may be off for this account, or have less room than is asked for.
    #[error(
        "JetStream refuses to {doing}; if it has too little storage, lower distributed.event_max_bytes and \
         distributed.journal_max_bytes, which are set aside at start"
    )]
    JetStream {
        /// What was being done.
        doing: String,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Options of a stream or consumer that are not as configured.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Differences(pub Vec<Difference>);

/// One option that is not as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub option: &'static str,
    /// What the server has.
    pub found: String,
    /// What is configured.
    pub wanted: String,
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Difference { option, found, wanted }) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{option} is {found} and should be {wanted}")?;
        }
        Ok(())
    }
}

/// An error of NATS as the ports say it.
pub(crate) fn nats_error<E>(doing: &'static str, error: E) -> StoreError
where
    E: std::error::Error + Send + Sync + 'static,
{
    StoreError::new(kind_of(&error), doing, error)
}

/// Full when any error in the chain says that the server has no room; else it may pass.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> StoreErrorKind {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(said) = error.downcast_ref::<async_nats::jetstream::Error>() {
            let full = [
                ErrorCode::STORAGE_RESOURCES_EXCEEDED,
                ErrorCode::INSUFFICIENT_RESOURCES,
                ErrorCode::STREAM_STORE_FAILED,
            ];
            if full.contains(&said.error_code()) {
                return StoreErrorKind::Full;
            }
        }
        cause = error.source();
    }
    StoreErrorKind::Unavailable
}

/// Something stored is not in the form in which it was written.
pub(crate) fn corrupt(doing: &'static str, what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, doing, what)
}

/// The store does not answer, or not as it should.
pub(crate) fn unavailable(
    doing: &'static str,
    what: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, doing, what)
}
