//! `fanfare serve`: all services in this process, on either engine; and `ingest`, `fanout`, `delivery`, `console`: one of
//! them, on the distributed engine.

mod drain;
mod encryption_key;
mod engine;
pub(crate) mod first_project;
mod listeners;
mod patient;
mod ports;
pub(crate) mod private_file;
mod roles;
mod running;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_runtime::SystemClock;
use fanfare_telemetry::logging;

use crate::config::Config;
use crate::report::Report;

pub(crate) use listeners::{Listeners, bind, bind_or_any};
pub(crate) use roles::Roles;
pub(crate) use running::Running;
pub(crate) use signals::Signals;

/// Serves until a signal, or until a part of it fails.
///
/// # Errors
/// When it cannot start, or a task ended unasked.
pub(crate) async fn serve(config: &Config, roles: Roles) -> Result<(), Report> {
    let mut signals = Signals::listen()?;
    start_logging(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let start = async {
        let listeners = Listeners::bind(config, roles).await?;
        Running::start(config, roles, listeners, clock).await
    };
    let mut running = tokio::select! {
        started = start => started?,
        // What was begun is as after a crash, which every step of the start is made for.
        signal = signals.next() => {
            tracing::info!(signal, "stopped while starting");
            return Ok(());
        }
    };
    let failure = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            None
        }
        failure = running.failed() => {
            tracing::error!(%failure, "stopping, since a part of this process has ended");
            Some(failure)
        }
    };
    // A part of it that has ended may be the one that balancers would need.
    let delay = if failure.is_some() { Duration::ZERO } else { config.shutdown_delay.get() };
    running.stop_unless_asked_again(config.shutdown_grace.get(), delay, &mut signals).await?;
    match failure {
        None => Ok(()),
        Some(failure) => Err(Report::because("a part of this process has ended", &failure)
            .advise("everything accepted is kept and goes on at the next start; the log has what came before")),
    }
}

/// Starts the log, on the standard error.
///
/// # Errors
/// When the filter cannot be read.
pub(crate) fn start_logging(config: &Config) -> Result<(), Report> {
    logging::init(&config.log).map_err(|error| Report::because("cannot start the log", &error))
}
