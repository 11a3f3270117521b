//! Measures Fanfare on loopback and prints a table with a verdict: deliveries per second in a closed loop, to one webhook
//! and to five; latency from acceptance to receipt at a steady rate; processor time for each delivery; peak memory. Beside
//! it, in the same run, what its HTTP client alone does against the same receiver. Scenarios of their own: how late deliveries
//! are that fall due together, what a healthy project feels of a hostile one, and what receivers that are ill or far behind do to
//! the others.
//!
//! Sender, receiver and Fanfare share the machine's cores. Everything is bounded by the options, and stops by itself.

mod adaptive;
mod alone;
mod backlog;
mod direct;
mod due;
mod hostile;
mod isolation;
mod limit;
mod numbers;
mod options;
mod outage;
mod pipeline;
mod process;
mod receiver;
mod report;
mod rig;
mod sender;
mod series;
mod takeover;
mod usage;

use std::process::ExitCode;

use options::{Options, Scenario};

/// The one that Fanfare has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What went wrong, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            report::complain(&message);
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let measured = runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(measure(&options)));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::complain(&format!("the bench could not be run: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> Result<(), Failure> {
    // Only this program installs a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match options.scenario {
        Scenario::Pipeline => report::print(options, &pipeline::all(options).await?),
        Scenario::Due => report::print_due(options, &due::run(options).await?),
        Scenario::Hostile => report::print_hostile(options, &hostile::run(options).await?),
        Scenario::Isolation => report::print_isolation(options, &isolation::run(options).await?),
        Scenario::Adaptive => report::print_adaptive(options, &adaptive::run(options).await?),
        Scenario::Outage => report::print_outage(options, &outage::run(options).await?),
        Scenario::Limit => report::print_limit(options, &limit::run(options).await?),
        Scenario::Takeover => report::print_takeover(options, &takeover::run(options).await?),
        Scenario::Backlog => report::print_backlog(options, &backlog::run(options).await?),
    }
    Ok(())
}
