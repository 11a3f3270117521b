//! The master that Sentinels know by a name: asked for when it is needed, and again when it seems to be another one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ErrorKind, RedisError, RedisResult, ServerErrorKind, TlsCertificates,
    TlsMode, Value,
};

use super::address::Account;

/// How long after a failed search the next may begin: searches are asked for by each operation that fails.
const PAUSE: Duration = Duration::from_millis(50);

/// What the search needs.
pub(super) struct Search {
    pub(super) sentinels: Vec<ConnectionAddr>,
    pub(super) name: String,
    pub(super) database: i64,
    /// At the master and its replicas.
    pub(super) account: Account,
    /// At the Sentinels.
    pub(super) sentinel_account: Account,
    pub(super) certificates: Option<TlsCertificates>,
    pub(super) timeout: Duration,
}

type Connecting = Shared<BoxFuture<'static, RedisResult<MultiplexedConnection>>>;

/// A connection to the master of the moment. Whoever needs it drives the search for it, and all share one.
pub(super) struct Master {
    search: Arc<Search>,
    connection: Mutex<Connecting>,
}

impl Master {
    /// Nothing is looked for before it is needed; options that cannot be used are refused now.
    pub(super) fn new(search: Search) -> RedisResult<Self> {
        search.client()?;
        let search = Arc::new(search);
        Ok(Self { connection: Mutex::new(connecting(&search)), search })
    }

    /// Runs a command once. A failure that may mean that the master is another one by now makes the next one look again.
    pub(super) async fn run(&self, command: &Cmd) -> RedisResult<Value> {
        let connecting = self.connection.lock().clone();
        let answer = match connecting.clone().await {
            Ok(mut connection) => command.query_async(&mut connection).await,
            Err(error) => Err(error),
        };
        if answer.as_ref().is_err_and(may_be_elsewhere) {
            self.look_again(&connecting);
        }
        answer
    }

    /// Unless somebody else has begun to.
    fn look_again(&self, failed: &Connecting) {
        let mut connection = self.connection.lock();
        if connection.ptr_eq(failed) {
            *connection = connecting(&self.search);
        }
    }
}

/// Whether the master may be another server than the one that answered so, or that did not answer.
fn may_be_elsewhere(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
                | ErrorKind::MasterNameNotFoundBySentinel
        )
}

fn connecting(search: &Arc<Search>) -> Connecting {
    let search = Arc::clone(search);
    async move {
        let found = tokio::time::timeout(search.timeout, search.connect()).await;
        let found = found.unwrap_or_else(|elapsed| Err(std::io::Error::from(elapsed).into()));
        if found.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
        found
    }
    .boxed()
    .shared()
}

impl Search {
    /// The master that a Sentinel names, if it says itself that it is one.
    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let options = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        self.client()?.get_async_connection_with_config(&options).await
    }

    fn client(&self) -> RedisResult<redis::sentinel::SentinelClient> {
        let tls = matches!(self.sentinels.first(), Some(ConnectionAddr::TcpTls { .. }));
        let sentinels = self.sentinels.iter().cloned();
        let mut builder = SentinelClientBuilder::new(sentinels, &self.name, SentinelServerType::Master)?
            .set_client_to_redis_db(self.database);
        if let Some(user) = &self.account.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = &self.account.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(user) = &self.sentinel_account.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = &self.sentinel_account.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if tls {
            builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = &self.certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        builder.build()
    }
}
