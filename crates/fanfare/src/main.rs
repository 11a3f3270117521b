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

use cli::{CheckArgs, Cli, Command, ConfigCommand, ServeArgs, ShowArgs};
use config::{Effective, ProcessEnvironment};
use report::Report;
use serve::Roles;

/// Deliveries are hundreds of small allocations each, many of them freed by another thread, at which the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    match cli.command {
        Command::Options(args) => {
            print(&if args.markdown { config::reference::markdown() } else { config::reference::text() })
        }
        Command::Config(ConfigCommand::Check(args)) => {
            configuration(&args)?;
            print(&format!("the configuration of {} is in order\n", args.service.name()))
        }
        Command::Config(ConfigCommand::Show(ShowArgs { check, json })) => {
            let effective = configuration(&check)?;
            let (name, roles) = (check.service.name(), check.service.roles());
            print(&if json { effective.json(name, roles) } else { effective.table(roles) })
        }
        Command::Serve(args) => running(serve(args, Roles::ALL)),
        Command::Ingest(args) => running(serve(args, Roles::INGEST)),
        Command::Fanout(args) => running(serve(args, Roles::FANOUT)),
        Command::Delivery(args) => running(serve(args, Roles::DELIVERY)),
        Command::Console(args) => running(serve(args, Roles::CONSOLE)),
        Command::Demo(args) => running(demo::demo(&args)),
        Command::Healthcheck(args) => running(healthcheck::healthcheck(args)),
        Command::Init(args) => {
            for_the_owner_alone();
            init::init(&args).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// Whatever this process makes holds what others trusted it with: nobody else may read it.
fn for_the_owner_alone() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Prints what was asked for.
fn print(text: &str) -> Result<ExitCode, Report> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever reads it may have seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Report::because("cannot write to standard output", &error))
        }
        Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Runs until it ends, with all that a process needs which serves.
fn running(service: impl Future<Output = Result<ExitCode, Report>>) -> Result<ExitCode, Report> {
    for_the_owner_alone();
    // The process's one TLS provider; it fails only if there is one already, and then that is the one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Report::because("cannot start the async runtime", &error))?;
    let ended = runtime.block_on(service);
    // Whatever had to be waited for has been; a name lookup that hangs in a thread of its own must not hold the process.
    runtime.shutdown_background();
    ended
}

async fn serve(args: ServeArgs, roles: Roles) -> Result<ExitCode, Report> {
    let config = checked(args, roles)?.config;
    serve::serve(&config, roles).await.map(|()| ExitCode::SUCCESS)
}

/// The configuration that `config` is asked about.
fn configuration(args: &CheckArgs) -> Result<Effective, Report> {
    checked(args.options.clone(), args.service.roles())
}

/// The configuration of a process of these roles, if it is in order.
fn checked(args: ServeArgs, roles: Roles) -> Result<Effective, Report> {
    let settings = args.settings();
    let effective = config::effective(args.config, &ProcessEnvironment, settings);
    let effective = effective.map_err(|problems| Report::configuration(&problems))?;
    if roles != Roles::ALL && !effective.config.is_distributed() {
        return Err(Report::usage("a service of its own needs the distributed engine")
            .advise("name its servers with --nats and --redis, or run everything in one process by `fanfare serve`"));
    }
    Ok(effective)
}
