//! Connecting: NATS is waited for, its version and streams are checked; Redis may come later.

pub(crate) mod bare;
mod servers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind,
};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{ConnectErrorKind, ConnectOptions};
use fanfare_core::clock::Clock;

use crate::config::{DistributedConfig, NatsConfig};
use crate::error::ConnectError;
use crate::names::Names;
use crate::streams;
use servers::InUrl;

/// The least version: schedules exist since 2.12, leaks in them were mended in 2.14.
const LEAST: (u64, u64) = (2, 14);
const LEAST_TEXT: &str = "2.14";

/// How long to wait before a server that was not there is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// A connection whose server is new enough and has every stream as configured.
pub(crate) async fn connect(
    config: &DistributedConfig,
    names: &Names,
    clock: &Arc<dyn Clock>,
) -> Result<jetstream::Context, ConnectError> {
    let client = wait_for_server(&config.nats, clock).await?;
    let found = client.server_info().version;
    if version(&found).is_none_or(|found| found < LEAST) {
        return Err(ConnectError::TooOld { found, needed: LEAST_TEXT });
    }
    let context = ContextBuilder::new()
        .timeout(config.nats.timeout.get())
        // Bounded by the publisher, in a way in which callers cannot wait for each other in a circle.
        .max_ack_inflight(2 * config.publish_window + 1024)
        .backpressure_on_inflight(true)
        .build(client);
    loop {
        match streams::ensure(&context, names, config).await {
            Ok(()) => return Ok(context),
            Err(error) if passes(&error) => {
                tracing::warn!(error = %fanfare_runtime::tasks::report(&error), "waiting for JetStream");
                clock.sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Tries until the server answers; returns early only with what waiting cannot mend.
async fn wait_for_server(config: &NatsConfig, clock: &Arc<dyn Clock>) -> Result<async_nats::Client, ConnectError> {
    let (urls, user) = servers::servers(&config.urls).map_err(unusable)?;
    loop {
        // Made anew each time: they are used up, and files may have changed.
        let error = match options(config, user.as_ref())?.connect(&urls).await {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        if distrusts(&error) {
            return Err(ConnectError::Refused(Box::new(error)));
        }
        match error.kind() {
            ConnectErrorKind::Dns
            | ConnectErrorKind::TimedOut
            | ConnectErrorKind::Io
            | ConnectErrorKind::MaxReconnects => {}
            ConnectErrorKind::ServerParse => return Err(unusable(error)),
            ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Tls => {
                return Err(ConnectError::Refused(Box::new(error)));
            }
        }
        tracing::warn!(error = %fanfare_runtime::tasks::report(&error), "waiting for NATS");
        clock.sleep(PAUSE).await;
    }
}

fn options(config: &NatsConfig, in_url: Option<&InUrl>) -> Result<ConnectOptions, ConnectError> {
    let mut options = ConnectOptions::new()
        .name("fanfare")
        .connection_timeout(config.timeout.get())
        .request_timeout(Some(config.timeout.get()))
        .max_reconnects(None);
    if !config.credentials_file.is_empty() {
        options = options.credentials(&read(&config.credentials_file)?).map_err(unusable)?;
    } else if !config.nkey_file.is_empty() {
        options = options.nkey(seed(&read(&config.nkey_file)?).to_owned());
    } else if !config.user.is_empty() {
        options = options.user_and_password(config.user.clone(), config.password.clone());
    } else if let Some(in_url) = in_url {
        options = match in_url.clone() {
            InUrl::User(user, password) => options.user_and_password(user, password),
            InUrl::Token(token) => options.token(token),
        };
    }
    if !config.ca_file.is_empty() {
        read_certificates(&config.ca_file)?;
        options = options.add_root_certificates(PathBuf::from(&config.ca_file));
    }
    if !config.cert_file.is_empty() {
        read_certificates(&config.cert_file)?;
        read(&config.key_file)?;
        options = options.add_client_certificate(PathBuf::from(&config.cert_file), PathBuf::from(&config.key_file));
    }
    Ok(options)
}

/// The seed in a file that may say more around it, as NATS' tools write it.
fn seed(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with('S') && line.len() == 58).unwrap_or(text.trim())
}

fn unusable<E: std::error::Error + Send + Sync + 'static>(error: E) -> ConnectError {
    ConnectError::Options { server: "NATS", source: Box::new(error) }
}

/// The text of a file that an option names.
pub(crate) fn read(path: &str) -> Result<String, ConnectError> {
    std::fs::read_to_string(Path::new(path)).map_err(|source| ConnectError::File { path: PathBuf::from(path), source })
}

/// The text of a file that has to have a certificate in it: the clients take one without any for an empty list.
pub(crate) fn read_certificates(path: &str) -> Result<String, ConnectError> {
    let text = read(path)?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(text)
    } else {
        Err(ConnectError::NoCertificate { path: PathBuf::from(path) })
    }
}

/// Whether one side does not accept the other's certificate, which the client says as an error of reading.
fn distrusts(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let read = error.downcast_ref::<std::io::Error>();
        if read.is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the server may do it later: it has just started, its cluster is not whole yet, or it does not answer.
fn passes(error: &ConnectError) -> bool {
    let ConnectError::JetStream { source, .. } = error else { return false };
    let lasting = [
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::MEMORY_RESOURCES_EXCEEDED,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::MAXIMUM_STREAMS_LIMIT,
        ErrorCode::MAXIMUM_CONSUMERS_LIMIT,
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED,
        ErrorCode::STREAM_INVALID_CONFIG,
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
    ];
    !said(&**source).is_some_and(|code| lasting.contains(&code))
}

/// What the server answered, if it did. The library has that in its errors' kinds, where following their sources misses it.
fn said(error: &(dyn std::error::Error + 'static)) -> Option<ErrorCode> {
    let said = if let Some(error) = error.downcast_ref::<CreateStreamError>() {
        match error.kind() {
            CreateStreamErrorKind::JetStream(said) => said,
            _ => return None,
        }
    } else if let Some(error) = error.downcast_ref::<GetStreamError>() {
        match error.kind() {
            GetStreamErrorKind::JetStream(said) => said,
            _ => return None,
        }
    } else if let Some(error) = error.downcast_ref::<ConsumerError>() {
        match error.kind() {
            ConsumerErrorKind::JetStream(said) => said,
            _ => return None,
        }
    } else {
        return None;
    };
    Some(said.error_code())
}

fn version(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("2.9.10").is_some_and(|found| found < LEAST));
        assert!(version("2.14.0-beta.1").is_some_and(|found| found >= LEAST));
        assert!(version("10.0.0").is_some_and(|found| found >= LEAST));
        assert_eq!(version("unknown"), None);
    }
}
