//! The configuration of a process: every option, its default, and how its layers come together.
//!
//! Layers, each over the one before: the defaults, the file of `--config` or `FANFARE_CONFIG`, the environment, the command
//! line. [`effective()`] reads them, refuses what it does not know by naming the nearest right name, and checks every value against
//! its range; nothing that it lets through is checked again.

mod allow_list;
mod descriptions;
mod environment;
mod file;
mod load;
mod options;
mod problem;
mod ranges;
pub(crate) mod reference;
mod secret_text;
mod show;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use fanfare_console::ConsoleConfig;
use fanfare_delivery::DeliveryConfig;
use fanfare_distributed::{DistributedConfig, NatsConfig, RedisConfig};
use fanfare_egress::EgressConfig;
use fanfare_embedded::EmbeddedConfig;
use fanfare_fanout::FanoutConfig;
use fanfare_history::HistoryConfig;
use fanfare_http::server::ServerConfig;
use fanfare_ingest::IngestConfig;
use fanfare_runtime::Span;
use serde::{Deserialize, Serialize};

pub(crate) use allow_list::AllowList;
pub(crate) use environment::ProcessEnvironment;
pub(crate) use load::{Effective, Setting, effective};
pub(crate) use problem::Problems;
pub(crate) use secret_text::SecretText;

/// Every option. As text: `section.key` in the file and after `--set`, `FANFARE_SECTION_KEY` in the environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the API listens. On this machine alone by default, since what guards it is a key sent in clear text.
    pub(crate) listen: SocketAddr,
    /// Where metrics, health and readiness are served, without a key: keep it to networks that may see them.
    pub(crate) admin_listen: SocketAddr,
    /// The directory with the queue, the history and the keys; made at the first start, readable by its owner alone.
    pub(crate) data_dir: PathBuf,
    /// The first project's key, 8 to 256 printable ASCII characters without spaces. Empty: one is generated at the first
    /// start and shown once.
    pub(crate) api_key: SecretText,
    /// The operator's key, which makes projects and keys; 16 to 256 printable ASCII characters without spaces. Empty: nobody
    /// does, and the first project is the only one.
    pub(crate) admin_key: SecretText,
    /// Networks that webhooks of the first project may target although they are not public, over http too. None by default:
    /// whoever may create webhooks could reach whatever this machine reaches.
    pub(crate) egress_allow: AllowList,
    /// The key that seals secrets at rest: 32 bytes in base64, or `<id>:` and that. Empty: a key file in the data directory,
    /// made at the first start.
    pub(crate) encryption_key: SecretText,
    /// Which log lines are written: a level, or a list such as `warn,fanfare_delivery=debug`.
    pub(crate) log: String,
    /// How long stopping may take in all, 1 s to 10 min. The default is below the 30 s that container platforms wait.
    pub(crate) shutdown_grace: Span,
    /// How long a process that is asked to stop works on while it says that it is not ready, so that balancers and DNS notice
    /// before it takes nothing new. Part of `shutdown_grace`, and shorter. None by default, for processes without a balancer.
    pub(crate) shutdown_delay: Span,
    /// The API's listener.
    pub(crate) server: ServerConfig,
    /// Events in.
    pub(crate) ingest: IngestConfig,
    /// Events to deliveries.
    pub(crate) fanout: FanoutConfig,
    /// Deliveries out.
    pub(crate) delivery: DeliveryConfig,
    /// The guarded HTTP client.
    pub(crate) egress: EgressConfig,
    /// The read model.
    pub(crate) history: HistoryConfig,
    /// The management API.
    pub(crate) console: ConsoleConfig,
    /// The embedded engine.
    pub(crate) queue: EmbeddedConfig,
    /// The distributed engine, which is used when `distributed.nats.urls` names its servers. By default it names none.
    pub(crate) distributed: DistributedConfig,
}

impl Config {
    /// Whether the distributed engine is used.
    pub(crate) fn is_distributed(&self) -> bool {
        !self.distributed.nats.urls.is_empty()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            data_dir: PathBuf::from("./fanfare-data"),
            api_key: SecretText::default(),
            admin_key: SecretText::default(),
            egress_allow: AllowList::default(),
            encryption_key: SecretText::default(),
            log: "info".to_owned(),
            shutdown_grace: Span::from_secs(25),
            shutdown_delay: Span::from_secs(0),
            server: ServerConfig::default(),
            ingest: IngestConfig::default(),
            fanout: FanoutConfig::default(),
            delivery: DeliveryConfig::default(),
            egress: EgressConfig::default(),
            history: HistoryConfig::default(),
            console: ConsoleConfig::default(),
            queue: EmbeddedConfig::default(),
            distributed: DistributedConfig {
                nats: NatsConfig { urls: String::new(), ..NatsConfig::default() },
                redis: RedisConfig { url: String::new(), ..RedisConfig::default() },
                ..DistributedConfig::default()
            },
        }
    }
}
