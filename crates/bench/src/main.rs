//! Measures Fanfare on loopback and prints a table with a verdict: deliveries per second in a closed loop, to one webhook
//! and to five; latency from acceptance to receipt at a steady rate; processor time for each delivery; peak memory. Beside
//! it, in the same run, what its HTTP client alone does against the same receiver. Or, as scenarios of their own, how late
//! deliveries are that fall due together, and what a healthy project feels of a hostile one.
//!
//! Sender, receiver and Fanfare share the machine's cores. Everything is bounded by the options, and stops by itself.

mod alone;
mod direct;
mod due;
mod hostile;
mod options;
mod process;
mod receiver;
mod report;
mod scenario;
mod sender;

use std::process::ExitCode;

use options::{Options, Scenario};

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
        Scenario::Pipeline => report::print(options, &scenario::all(options).await?),
        Scenario::Due => report::print_due(options, &due::run(options).await?),
        Scenario::Hostile => report::print_hostile(options, &hostile::run(options).await?),
    }
    Ok(())
}
