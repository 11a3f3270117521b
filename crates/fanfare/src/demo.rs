//! `fanfare demo`: everything in one process, in a temporary directory, with receivers of its own.
//!
//! Nothing is staged: webhooks are made and events published over HTTP, the engine is the one of `serve`, and the receivers
//! verify by the documented rules alone. With `--exit` it is a test of the whole path, and its exit code the verdict.

mod cast;
mod client;
mod ledger;
mod receiver;
mod screen;
mod story;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_runtime::{Span, SystemClock, Tasks};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::cli::DemoArgs;
use crate::config::{AllowList, Config};
use crate::report::Report;
use crate::serve::{Listeners, Roles, Running, Signals, bind, bind_or_any, first_project, start_logging};
use client::Client;
use receiver::Receiver;
use screen::{NextSteps, Screen};
use story::{Story, unwritable};

/// How long everything may take, from the first webhook to the last delivery: twenty times what it takes.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long stopping may take: nothing in a demo is worth a longer wait.
const GRACE: Span = Span::from_secs(5);
/// How much may have happened that is not shown yet; beyond that receivers answer more slowly.
const UNSHOWN: usize = 256;

/// Why the demo stopped waiting.
enum Ended {
    /// Its part is done.
    Done,
    /// Somebody wants it to stop.
    Asked,
    /// It did not come to an end in time.
    TooLong,
}

/// Runs the demo.
///
/// # Errors
/// When it cannot start, or something breaks on the way.
pub(crate) async fn demo(args: &DemoArgs) -> Result<ExitCode, Report> {
    let mut signals = Signals::listen()?;
    let directory = tempfile::Builder::new().prefix("fanfare-demo-").tempdir();
    let directory = directory.map_err(|error| Report::because("cannot make a temporary directory", &error))?;
    let config = configuration(args, &directory);
    start_logging(&config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let listeners = listeners(args, &config).await?;
    let mut running = Running::start(&config, Roles::ALL, listeners, Arc::clone(&clock)).await?;

    let outcome = play(args, &config, &directory, &mut running, &mut signals, clock).await;
    let stopped = running.stop_unless_asked_again(config.shutdown_grace.get(), Duration::ZERO, &mut signals).await;
    let code = outcome?;
    stopped.map(|()| code)
}

async fn play(
    args: &DemoArgs,
    config: &Config,
    directory: &TempDir,
    running: &mut Running,
    signals: &mut Signals,
    clock: Arc<dyn Clock>,
) -> Result<ExitCode, Report> {
    let Some(address) = running.api_address() else { return Err(Report::new("the demo's API does not listen")) };
    let api = format!("http://{address}");
    let channel = mpsc::channel(UNSHOWN);
    let tasks = running.group();
    let receivers = start_receivers(&channel.0, &clock, &tasks).await?;
    let client = Client::new(api.clone(), config.api_key.clone())?;
    let mut story = Story::new(Screen::stdout(), cast::events()?, client, Arc::clone(&clock), channel);
    story.screen().opening(&api, &directory.path().display().to_string()).map_err(unwritable)?;

    let ended = tokio::select! {
        played = story.play(&receivers) => played.map(|()| Ended::Done)?,
        () = clock.sleep(TIME_LIMIT) => Ended::TooLong,
        failure = running.failed() => return Err(Report::because("a part of Fanfare ended", &failure)),
        _ = signals.next() => Ended::Asked,
    };
    let complaints = match ended {
        Ended::Asked => return Ok(ExitCode::FAILURE),
        Ended::TooLong => story.complaints(Some(format!("the demo was not done after {} s", TIME_LIMIT.as_secs()))),
        Ended::Done => story.complaints(None),
    };
    story.sum_up(&complaints).map_err(unwritable)?;
    let code = if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if args.exit {
        return Ok(code);
    }
    let admin = format!("http://{}", running.admin_address());
    let key = config.api_key.expose().unwrap_or_default();
    story.screen().next_steps(&NextSteps { api: &api, admin: &admin, key }).map_err(unwritable)?;
    tokio::select! {
        watched = story.watch() => watched?,
        failure = running.failed() => return Err(Report::because("a part of Fanfare ended", &failure)),
        _ = signals.next() => {}
    }
    Ok(code)
}

/// Nothing of the environment or of a file: a demo is the same everywhere.
fn configuration(args: &DemoArgs, directory: &TempDir) -> Config {
    let loopback = ["127.0.0.0/8", "::1/128"].map(|network| network.parse().expect("both are networks"));
    let mut config = Config {
        data_dir: directory.path().to_owned(),
        api_key: first_project::generate_key(),
        egress_allow: AllowList::new(loopback.to_vec()),
        // The picture stays clean of what is as it has to be, such as the failures of the receiver that fails.
        log: "warn".to_owned(),
        shutdown_grace: GRACE,
        ..Config::default()
    };
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    config
}

/// An address that was asked for is that address; else the default one, or any that is free.
async fn listeners(args: &DemoArgs, config: &Config) -> Result<Listeners, Report> {
    let api = match args.listen {
        Some(address) => {
            bind("listen", address).await.map_err(|report| report.advise("name another address with --listen"))?
        }
        None => bind_or_any("listen", config.listen).await?,
    };
    Ok(Listeners { api: Some(api), admin: bind_or_any("admin_listen", config.admin_listen).await? })
}

async fn start_receivers(
    teller: &mpsc::Sender<story::Happening>,
    clock: &Arc<dyn Clock>,
    tasks: &Tasks,
) -> Result<Vec<Receiver>, Report> {
    let mut receivers = Vec::with_capacity(cast::RECEIVERS.len());
    for index in 0..cast::RECEIVERS.len() {
        receivers.push(Receiver::start(index, teller.clone(), Arc::clone(clock), tasks).await?);
    }
    Ok(receivers)
}
