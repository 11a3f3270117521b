//! What class a failed request belongs to, and how to say it: found by walking the error down to its causes.
//!
//! The texts go into the delivery log, which tenants read. They name what failed and hold no URL.

use std::error::Error;
use std::io;
use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use hyper_util::client::legacy;
use rustls::CertificateError;

use crate::connect::ConnectTimedOut;
use crate::resolve::{Denied, LookupError};

/// How far a request had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its host was being looked up.
    Resolving,
    /// It was connecting, or in the TLS handshake.
    Connecting {
        /// Whether there is a handshake.
        https: bool,
    },
    /// It had a connection.
    Connected,
    /// The head of an answer had come.
    Answering {
        /// Its status.
        status: u16,
    },
}

/// A failure with its class, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) outcome: OutcomeClass,
    pub(crate) text: String,
}

fn failed(outcome: OutcomeClass, text: impl Into<String>) -> Failure {
    Failure { outcome, text: text.into() }
}

/// A request whose time ran out.
pub(crate) fn out_of_time(stage: Stage, within: Duration) -> Failure {
    match stage {
        Stage::Resolving => failed(OutcomeClass::Dns, format!("the host did not resolve within {within:?}")),
        Stage::Connecting { .. } => failed(OutcomeClass::Connect, format!("no connection within {within:?}")),
        Stage::Connected => failed(OutcomeClass::Timeout, format!("no answer within {within:?}")),
        Stage::Answering { status } => {
            failed(OutcomeClass::Timeout, format!("the answer began with {status} but did not end within {within:?}"))
        }
    }
}

/// A request that failed.
pub(crate) fn failure(error: &(dyn Error + 'static), stage: Stage) -> Failure {
    if let Some(ConnectTimedOut(within)) = causes(error).find_map(|cause| cause.downcast_ref()) {
        let stage = if stage == Stage::Resolving { stage } else { Stage::Connecting { https: true } };
        return out_of_time(stage, *within);
    }
    // The guard's and the handshake's own errors say most, and come wrapped in io errors that say less.
    let known = causes(error).find_map(of_own).or_else(|| causes(error).find_map(|cause| of_transport(cause, stage)));
    if let Some(known) = known {
        return known;
    }
    let connecting = error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect);
    match stage {
        Stage::Resolving | Stage::Connecting { .. } => {
            failed(OutcomeClass::Connect, format!("could not connect: {}", innermost(error)))
        }
        Stage::Connected if connecting => {
            failed(OutcomeClass::Connect, format!("could not connect: {}", innermost(error)))
        }
        Stage::Connected | Stage::Answering { .. } => {
            failed(OutcomeClass::Reset, format!("the connection broke: {}", innermost(error)))
        }
    }
}

/// What a cause says by itself.
fn of_own(cause: &(dyn Error + 'static)) -> Option<Failure> {
    if let Some(denied) = cause.downcast_ref::<Denied>() {
        return Some(failed(OutcomeClass::EgressDenied, denied.to_string()));
    }
    if let Some(lookup) = cause.downcast_ref::<LookupError>() {
        return Some(failed(OutcomeClass::Dns, lookup.to_string()));
    }
    cause.downcast_ref::<rustls::Error>().map(|tls| failed(OutcomeClass::Tls, of_tls(tls)))
}

/// What a cause says at that stage.
fn of_transport(cause: &(dyn Error + 'static), stage: Stage) -> Option<Failure> {
    match cause.downcast_ref::<hyper::Error>() {
        Some(http) => of_http(http, stage),
        None => {
            // One that wraps another knows less than the other.
            let io = cause.downcast_ref::<io::Error>()?;
            let wraps_another = io.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).is_some();
            if wraps_another { None } else { of_io(io, stage) }
        }
    }
}

fn of_tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired".into(),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet".into()
            }
            CertificateError::UnknownIssuer => "the certificate's issuer is not trusted".into(),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name".into()
            }
            CertificateError::Revoked => "the certificate has been revoked".into(),
            other => format!("the certificate is not valid: {other}"),
        },
        rustls::Error::AlertReceived(alert) => format!("the receiver refused TLS with the alert {alert:?}"),
        rustls::Error::InvalidMessage(_) => "the receiver does not speak TLS on this port".into(),
        other => format!("the TLS handshake failed: {other}"),
    }
}

fn of_http(error: &hyper::Error, stage: Stage) -> Option<Failure> {
    if error.is_parse_too_large() {
        return Some(failed(
            OutcomeClass::InvalidResponse,
            "the answer's headers are more, or larger, than is allowed",
        ));
    }
    if error.is_parse() {
        return Some(failed(OutcomeClass::InvalidResponse, format!("the answer is not valid HTTP: {error}")));
    }
    // A connection that is closed before anything came is no different from one that is reset.
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Some(closed(stage));
    }
    None
}

fn closed(stage: Stage) -> Failure {
    let text = match stage {
        Stage::Answering { status } => format!("the answer began with {status} but the connection was closed in it"),
        Stage::Resolving | Stage::Connecting { .. } | Stage::Connected => {
            "the connection was closed before an answer came".to_owned()
        }
    };
    failed(OutcomeClass::Reset, text)
}

fn of_io(error: &io::Error, stage: Stage) -> Option<Failure> {
    use io::ErrorKind;
    let kind = error.kind();
    match stage {
        // Before TLS a connection is refused, not closed; so what breaks here breaks in the handshake.
        Stage::Connecting { https: true }
            if matches!(
                kind,
                ErrorKind::UnexpectedEof
                    | ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
            ) =>
        {
            Some(failed(OutcomeClass::Tls, "the connection was closed during the TLS handshake"))
        }
        Stage::Resolving | Stage::Connecting { .. } => {
            let text = match kind {
                ErrorKind::ConnectionRefused => "the connection was refused".to_owned(),
                ErrorKind::HostUnreachable => "the host cannot be reached".to_owned(),
                ErrorKind::NetworkUnreachable => "the network cannot be reached".to_owned(),
                ErrorKind::TimedOut => "the connection was not accepted in time".to_owned(),
                _ => format!("could not connect: {error}"),
            };
            Some(failed(OutcomeClass::Connect, text))
        }
        Stage::Connected | Stage::Answering { .. } => match kind {
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::NotConnected => Some(closed(stage)),
            // The peer stopped acknowledging what was sent.
            ErrorKind::TimedOut => Some(failed(OutcomeClass::Timeout, "the connection went dead")),
            // How the body's framing reports what is not a chunk.
            ErrorKind::InvalidInput | ErrorKind::InvalidData => {
                Some(failed(OutcomeClass::InvalidResponse, format!("the answer's body is not valid HTTP: {error}")))
            }
            _ => None,
        },
    }
}

/// An error and its causes, from the outside in. What an io error was made of is visited too, which `source` would skip.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    fn inside<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
        match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    }
    std::iter::successors(Some(error), |error| inside(*error))
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
