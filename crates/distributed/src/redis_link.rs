//! Redis, reached however its URL says: one server, the master that Sentinels know, or a cluster.
//!
//! Nothing is connected to before it is needed, and lost connections are made again. Every operation answers or fails within
//! a time that the configuration gives.

mod address;
mod master;

use std::time::Duration;

use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::{ClusterClientBuilder, ClusterConfig};
use redis::cluster_async::ClusterConnection;
use redis::{
    Client, ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, RedisResult, ServerErrorKind,
    TlsCertificates, TlsMode, Value,
};

use crate::config::RedisConfig;
use crate::connect::{read, read_certificates};
use crate::error::ConnectError;
use address::{Account, Address};
use master::{Master, Search};

/// A script that Redis runs as one step, with the hash by which it knows it.
pub(crate) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }
}

/// Redis.
pub(crate) struct Link {
    way: Way,
    timeout: Duration,
}

enum Way {
    Server(ConnectionManager),
    Master(Master),
    Cluster(ClusterConnection),
}

impl Link {
    /// Refuses options that cannot be used; whether Redis is there is seen later.
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, ConnectError> {
        let unusable = |source| ConnectError::Options { server: "Redis", source };
        let address = Address::of(config).map_err(|error| unusable(Box::new(error)))?;
        let certificates = certificates(config)?;
        let way = Self::way(address, certificates, config).map_err(|error| unusable(Box::new(error)))?;
        Ok(Self { way, timeout: config.timeout.get() })
    }

    fn way(address: Address, certificates: Option<TlsCertificates>, config: &RedisConfig) -> RedisResult<Way> {
        let timeout = config.timeout.get();
        match address {
            Address::Server(info) => {
                let client = match certificates {
                    None => Client::open(*info)?,
                    Some(certificates) => Client::build_with_tls(*info, certificates)?,
                };
                let manager = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(timeout))
                    .set_response_timeout(Some(timeout))
                    .set_min_delay(Duration::from_millis(50))
                    .set_max_delay(Duration::from_secs(1))
                    .set_number_of_retries(1);
                Ok(Way::Server(ConnectionManager::new_lazy_with_config(client, manager)?))
            }
            Address::Master { sentinels, name, database, account } => {
                let (user, password) = (&config.sentinel_user, &config.sentinel_password);
                let sentinel_account = Account { user: set(user), password: set(password) };
                let search = Search { sentinels, name, database, account, sentinel_account, certificates, timeout };
                Ok(Way::Master(Master::new(search)?))
            }
            Address::Cluster { nodes, account } => {
                let tls = matches!(nodes.first(), Some(ConnectionAddr::TcpTls { .. }));
                // Redirections are repetitions too: one for a slot that has moved, one while it is moving, one for a lost
                // connection. The operation's own bound comes first.
                let mut builder = ClusterClientBuilder::new(nodes).retries(3).min_retry_wait(10).max_retry_wait(100);
                if let Some(user) = account.user {
                    builder = builder.username(user);
                }
                if let Some(password) = account.password {
                    builder = builder.password(password);
                }
                if tls {
                    builder = builder.tls(TlsMode::Secure);
                }
                if let Some(certificates) = certificates {
                    builder = builder.certs(certificates);
                }
                let options = ClusterConfig::new().set_connection_timeout(timeout).set_response_timeout(timeout);
                Ok(Way::Cluster(builder.build()?.get_pending_async_connection_with_config(options)))
            }
        }
    }

    /// Runs a command. An answer or an error within twice the time of one operation: one attempt, one repetition.
    pub(crate) async fn run<T: FromRedisValue>(&self, doing: &'static str, command: &Cmd) -> StoreResult<T> {
        self.bounded(doing, async { Ok(redis::from_redis_value(self.once(command).await?)?) }).await
    }

    /// Runs a script on one key, by its hash; a server that does not know it yet is sent its text.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        doing: &'static str,
        script: &Script,
        key: &str,
        arguments: &[&str],
    ) -> StoreResult<T> {
        let call = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            // One key: whatever a script touches is on one server of a cluster.
            command.arg(script).arg(1).arg(key).arg(arguments);
            command
        };
        let calling = async {
            let answer = match self.once(&call("EVALSHA", &script.hash)).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    self.once(&call("EVAL", script.text)).await
                }
                answer => answer,
            };
            Ok(redis::from_redis_value(answer?)?)
        };
        self.bounded(doing, calling).await
    }

    async fn once(&self, command: &Cmd) -> RedisResult<Value> {
        match &self.way {
            Way::Server(connection) => command.query_async(&mut connection.clone()).await,
            Way::Master(master) => master.run(command).await,
            Way::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    async fn bounded<T>(&self, doing: &'static str, asking: impl Future<Output = RedisResult<T>>) -> StoreResult<T> {
        match tokio::time::timeout(2 * self.timeout, asking).await {
            Ok(answer) => answer.map_err(|error| StoreError::new(StoreErrorKind::Unavailable, doing, error)),
            Err(elapsed) => Err(StoreError::new(StoreErrorKind::Unavailable, doing, elapsed)),
        }
    }
}

/// Whether waiting cannot mend it: Redis is there and does not let this user in, or not do what it has to.
pub(crate) fn is_refusal(error: &StoreError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(said) = error.downcast_ref::<RedisError>() {
            return matches!(said.kind(), ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm))
                || matches!(said.code(), Some("NOAUTH" | "WRONGPASS"));
        }
        cause = error.source();
    }
    false
}

fn certificates(config: &RedisConfig) -> Result<Option<TlsCertificates>, ConnectError> {
    let client_tls = if config.cert_file.is_empty() {
        None
    } else {
        let client_cert = read_certificates(&config.cert_file)?.into_bytes();
        Some(ClientTlsConfig { client_cert, client_key: read(&config.key_file)?.into_bytes() })
    };
    let root_cert = match config.ca_file.as_str() {
        "" => None,
        file => Some(read_certificates(file)?.into_bytes()),
    };
    Ok((client_tls.is_some() || root_cert.is_some()).then_some(TlsCertificates { client_tls, root_cert }))
}

fn set(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
