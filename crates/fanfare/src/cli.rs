//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use fanfare_core::ids::ProjectId;

use crate::config::Setting;
use crate::serve::Roles;

/// A durable webhook dispatcher: publish an event once, every webhook subscribed to it receives it.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the process does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in this process: on the embedded engine, or on NATS and Redis with --nats and --redis
    Serve(ServeArgs),
    /// Run ingest alone (events in), on NATS and Redis
    Ingest(ServeArgs),
    /// Run fan-out alone (events to deliveries), on NATS and Redis
    Fanout(ServeArgs),
    /// Run delivery alone (deliveries out), on NATS and Redis
    Delivery(ServeArgs),
    /// Run the console alone (management API), on NATS and Redis
    Console(ServeArgs),
    /// Show it at work, in a temporary directory with receivers of its own
    Demo(DemoArgs),
    /// Ask the process of this configuration whether it is ready: for health checks, which look at the exit code
    Healthcheck(HealthcheckArgs),
    /// Make the secrets of a new installation on NATS and Redis, and the accounts that its servers are told of
    Init(InitArgs),
    /// Print every option: its name, its variable, its default, what it is for
    Options(OptionsArgs),
    /// Check the configuration that a service would take, or show it
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// What `config` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say everything that is wrong with it, and what is allowed; ends with 2 if anything is, else with 0
    Check(CheckArgs),
    /// Print every option that the service goes by, its value, and where that was set; secrets are not shown
    Show(ShowArgs),
}

/// Options of `config check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Whose configuration
    #[arg(value_enum, default_value_t = Service::Serve)]
    pub(crate) service: Service,
    /// The options as they would be given to the service.
    #[command(flatten)]
    pub(crate) options: ServeArgs,
}

/// Options of `config show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// What is shown, by the same options as are checked.
    #[command(flatten)]
    pub(crate) check: CheckArgs,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A service, as its command is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// All in one process
    Serve,
    /// Events in
    Ingest,
    /// Events to deliveries
    Fanout,
    /// Deliveries out
    Delivery,
    /// The management API
    Console,
}

impl Service {
    /// What it runs.
    pub(crate) fn roles(self) -> Roles {
        match self {
            Service::Serve => Roles::ALL,
            Service::Ingest => Roles::INGEST,
            Service::Fanout => Roles::FANOUT,
            Service::Delivery => Roles::DELIVERY,
            Service::Console => Roles::CONSOLE,
        }
    }

    /// The name of its command.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Service::Serve => "serve",
            Service::Ingest => "ingest",
            Service::Fanout => "fanout",
            Service::Delivery => "delivery",
            Service::Console => "console",
        }
    }
}

/// Options of the services. All others are set in the file, in the environment, or with `--set`.
#[derive(Clone, Debug, Args, Default)]
#[command(after_help = "Every option can also be set in the file and as FANFARE_<SECTION>_<KEY> in the environment.\n\
    The command line goes before the environment, the environment before the file.\n\
    Secrets (FANFARE_API_KEY, FANFARE_ADMIN_KEY, FANFARE_ENCRYPTION_KEY) are not taken from the command line, which other users can see;\n\
    FANFARE_API_KEY_FILE and the like name a file that holds one.")]
pub(crate) struct ServeArgs {
    /// Configuration file, TOML [env: FANFARE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the API listens [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where metrics and health are served [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Directory of the queue, the history and the keys [default: ./fanfare-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// NATS servers, comma-separated, such as nats://127.0.0.1:4222: selects the distributed engine
    #[arg(long, value_name = "URLS")]
    nats: Option<String>,
    /// Redis server of the distributed engine, such as redis://127.0.0.1:6379
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Change streams that are not as configured, instead of refusing to start
    #[arg(long)]
    apply: bool,
    /// Networks that webhooks may target although they are not public, comma-separated
    #[arg(long, value_name = "NETWORKS")]
    egress_allow: Option<String>,
    /// Which log lines are written [default: info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    /// How long stopping may take in all [default: 25s]
    #[arg(long, value_name = "DURATION")]
    shutdown_grace: Option<String>,
    /// Any other option, such as `--set server.max_connections=100`
    #[arg(long = "set", value_name = "OPTION=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

/// Options of `healthcheck`.
#[derive(Debug, Args)]
pub(crate) struct HealthcheckArgs {
    /// Configuration file of the process, TOML [env: FANFARE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the process serves metrics and health [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<String>,
}

/// Options of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Where to: made if it is not there. What is there already is kept
    pub(crate) directory: PathBuf,
    /// A project whose producers publish to NATS themselves: makes a key for them. May be repeated
    #[arg(long = "producer", value_name = "PROJECT", value_parser = project)]
    pub(crate) producers: Vec<ProjectId>,
    /// Make nothing, and print a secret that was made before, such as keys/api-key
    #[arg(long, value_name = "FILE")]
    pub(crate) print: Option<String>,
}

/// Options of `options`.
#[derive(Debug, Args)]
pub(crate) struct OptionsArgs {
    /// As a page of Markdown
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End when everything has arrived: with 0 if it arrived exactly once and verified, else with 1
    #[arg(long)]
    pub(crate) exit: bool,
    /// Where the API listens [default: 127.0.0.1:8080, or any free port]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<std::net::SocketAddr>,
}

impl ServeArgs {
    /// What these options set.
    pub(crate) fn settings(&self) -> Vec<Setting> {
        let flags = [
            ("--listen", "listen", &self.listen),
            ("--admin-listen", "admin_listen", &self.admin_listen),
            ("--data-dir", "data_dir", &self.data_dir),
            ("--nats", "distributed.nats.urls", &self.nats),
            ("--redis", "distributed.redis.url", &self.redis),
            ("--egress-allow", "egress_allow", &self.egress_allow),
            ("--log", "log", &self.log),
            ("--shutdown-grace", "shutdown_grace", &self.shutdown_grace),
        ];
        let named = flags.into_iter().filter_map(|(flag, path, text)| Some(Setting::flag(flag, path, text.as_ref()?)));
        let apply = self.apply.then(|| Setting::flag("--apply", "distributed.apply", "true"));
        let set = self.set.iter().map(|(path, text)| Setting::flag("--set", path, text));
        set.chain(named).chain(apply).collect()
    }
}

fn project(text: &str) -> Result<ProjectId, String> {
    ProjectId::new(text).map_err(|error| error.to_string())
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (path, value) = text.split_once('=').ok_or("it has to be OPTION=VALUE, such as server.max_connections=100")?;
    if matches!(path, "api_key" | "admin_key" | "encryption_key") {
        // Whoever may list processes sees their command lines.
        let variable = format!("FANFARE_{}", path.to_ascii_uppercase());
        return Err(format!("{path} is a secret: set it in the environment as {variable}, or in the file"));
    }
    Ok((path.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_service_is_checked_and_shown_with_the_options_it_would_get() {
        let cli = parse("fanfare config show ingest --json --nats nats://127.0.0.1:4222 --set log=warn").unwrap();
        let Command::Config(ConfigCommand::Show(show)) = cli.command else { panic!("not config show") };
        assert!(show.json && show.check.service == Service::Ingest);
        assert_eq!(show.check.options.settings().len(), 2);
        let cli = parse("fanfare config check").unwrap();
        let Command::Config(ConfigCommand::Check(check)) = cli.command else { panic!("not config check") };
        assert_eq!((check.service, check.service.name()), (Service::Serve, "serve"));
        let error = parse("fanfare config check ingst").unwrap_err();
        assert!(error.contains("ingest") && error.contains("console"), "{error}");
    }

    #[test]
    fn flags_set_options_and_secrets_are_refused() {
        let cli = parse("fanfare serve --set server.max_connections=5 --listen 127.0.0.1:1 --set log=a=b").unwrap();
        let Command::Serve(args) = cli.command else { panic!("not serve") };
        let settings: Vec<_> = args.settings().into_iter().map(|setting| (setting.path, setting.text)).collect();
        let expected = [("server.max_connections", "5"), ("log", "a=b"), ("listen", "127.0.0.1:1")];
        assert_eq!(settings, expected.map(|(path, text)| (path.to_owned(), text.to_owned())));
        let error = parse("fanfare serve --set api_key=hush").unwrap_err();
        assert!(error.contains("FANFARE_API_KEY"), "{error}");
        assert!(parse("fanfare serve --set listen").is_err());
    }
}
