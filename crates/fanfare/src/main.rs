//! Fanfare, the one binary: `fanfare serve`, its services one by one, `fanfare demo`.

mod cli;
mod config;
mod demo;
mod healthcheck;
mod init;
mod report;
mod serve;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command, ServeArgs};
use config::ProcessEnvironment;
use report::Report;
use serve::Roles;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(report) => {
            // Nothing is left to do about a standard error that cannot be written.
            let _ = writeln!(std::io::stderr(), "{report}");
            report.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Report> {
    if let Command::Options(args) = &cli.command {
        let text = if args.markdown { config::reference::markdown() } else { config::reference::text() };
        let written = std::io::stdout().write_all(text.as_bytes());
        return match written {
            // Whoever reads it may have seen enough.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Report::because("cannot write the options", &error))
            }
            Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
        };
    }
    // Whatever this process makes holds what others trusted it with: it is for its owner alone.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    if let Command::Init(args) = &cli.command {
        return init::init(args).map(|()| ExitCode::SUCCESS);
    }
    // The process's one TLS provider; it fails only if there is one already, and then that is the one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Report::because("cannot start the async runtime", &error))?;
    let ended = match cli.command {
        Command::Serve(args) => runtime.block_on(serve(args, Roles::ALL)),
        Command::Ingest(args) => runtime.block_on(serve(args, Roles::INGEST)),
        Command::Fanout(args) => runtime.block_on(serve(args, Roles::FANOUT)),
        Command::Delivery(args) => runtime.block_on(serve(args, Roles::DELIVERY)),
        Command::Console(args) => runtime.block_on(serve(args, Roles::CONSOLE)),
        Command::Demo(args) => runtime.block_on(demo::demo(&args)),
        Command::Healthcheck(args) => runtime.block_on(healthcheck::healthcheck(args)),
        // Done above, without a runtime.
        Command::Options(_) | Command::Init(_) => Ok(ExitCode::SUCCESS),
    };
    // Whatever had to be waited for has been; a name lookup that hangs in a thread of its own must not hold the process.
    runtime.shutdown_background();
    ended
}

async fn serve(args: ServeArgs, roles: Roles) -> Result<ExitCode, Report> {
    let settings = args.settings();
    let config = config::load(args.config, &ProcessEnvironment, settings);
    let config = config.map_err(|problems| Report::configuration(&problems))?;
    if roles != Roles::ALL && !config.is_distributed() {
        return Err(Report::usage("a service of its own needs the distributed engine")
            .advise("name its servers with --nats and --redis, or run everything in one process by `fanfare serve`"));
    }
    serve::serve(&config, roles).await.map(|()| ExitCode::SUCCESS)
}
