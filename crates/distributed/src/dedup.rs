//! Claims and what is known of deliveries, in Redis: one hash for each delivery, changed by one script for each operation.
//!
//! The hash says how the delivery ended, or its lowest live hop and who holds it at which hop until when. A hash is
//! forgotten by itself, the ended after a day, the others past the longest wait. Every operation has a time within which it
//! answers or fails; a delivery goes on without Redis.

use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::delivery::End;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::dedup::{Claim, Dedup, Standing};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_telemetry::Metrics;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, Script, ScriptInvocation, TlsCertificates};

use crate::Distributed;
use crate::config::RedisConfig;
use crate::connect::read;
use crate::error::{ConnectError, corrupt};

/// Redis, as the engine uses it.
pub(crate) struct Claims {
    connection: ConnectionManager,
    timeout: Duration,
    claim: Script,
    release: Script,
    complete: Script,
    give_up: Script,
    metrics: Metrics,
}

impl Claims {
    /// Connects when it is first needed, and again whenever the connection is lost.
    pub(crate) fn new(config: &RedisConfig, metrics: &Metrics) -> Result<Self, ConnectError> {
        let refused = |source: RedisError| ConnectError::Options { server: "Redis", source: Box::new(source) };
        let client = if config.ca_file.is_empty() {
            Client::open(config.url.as_str()).map_err(refused)?
        } else {
            let certificates =
                TlsCertificates { client_tls: None, root_cert: Some(read(&config.ca_file)?.into_bytes()) };
            Client::build_with_tls(config.url.as_str(), certificates).map_err(refused)?
        };
        let timeout = config.timeout.get();
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout))
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_secs(1))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client, manager).map_err(refused)?;
        Ok(Self {
            connection,
            timeout,
            claim: Script::new(include_str!("dedup/claim.lua")),
            release: Script::new(include_str!("dedup/release.lua")),
            complete: Script::new(include_str!("dedup/complete.lua")),
            give_up: Script::new(include_str!("dedup/give_up.lua")),
            metrics: metrics.clone(),
        })
    }

    async fn run<T: redis::FromRedisValue>(&self, doing: Doing, call: &ScriptInvocation<'_>) -> StoreResult<T> {
        let mut connection = self.connection.clone();
        self.bounded(doing, call.invoke_async(&mut connection)).await
    }

    /// Whether it answers.
    pub(crate) async fn ping(&self) -> StoreResult<()> {
        let mut connection = self.connection.clone();
        let command = redis::cmd("PING");
        let asked = command.query_async::<String>(&mut connection);
        self.bounded(Doing { what: "ask whether Redis answers", operation: "ping" }, asked).await.map(|_| ())
    }

    /// Whatever the connection does, an answer or an error within twice the time of one operation: one attempt, one repetition.
    async fn bounded<T>(&self, doing: Doing, asking: impl Future<Output = Result<T, RedisError>>) -> StoreResult<T> {
        let timer = self.metrics.redis_operation_duration.with_label_values(&[doing.operation]).start_timer();
        let answer = tokio::time::timeout(2 * self.timeout, asking).await;
        drop(timer);
        let answer = match answer {
            Ok(answer) => answer.map_err(|error| StoreError::new(StoreErrorKind::Unavailable, doing.what, error)),
            Err(elapsed) => Err(StoreError::new(StoreErrorKind::Unavailable, doing.what, elapsed)),
        };
        if answer.is_err() {
            self.metrics.redis_failures.with_label_values(&[doing.operation]).inc();
        }
        answer
    }
}

/// What is being done: in words, and as metrics call it.
#[derive(Clone, Copy)]
pub(crate) struct Doing {
    what: &'static str,
    operation: &'static str,
}

fn millis(duration: Duration) -> u64 {
    // A lifetime of zero would be none.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX.unsigned_abs() / 4)
}

fn end_name(end: End) -> &'static str {
    match end {
        End::Delivered => "delivered",
        End::Exhausted => "exhausted",
        End::Expired => "expired",
        End::Discarded => "discarded",
    }
}

fn end_of(doing: &'static str, name: &str) -> StoreResult<End> {
    [End::Delivered, End::Exhausted, End::Expired, End::Discarded]
        .into_iter()
        .find(|end| end_name(*end) == name)
        .ok_or_else(|| corrupt(doing, format!("an unknown end {name:?}")))
}

#[async_trait]
impl Dedup for Distributed {
    async fn claim(&self, delivery: DeliveryId, hop: Hop, ttl: Duration) -> StoreResult<Claim> {
        const DOING: &str = "claim a delivery";
        let (shared, claims) = (&self.shared, &self.shared.claims);
        let mut call = claims.claim.prepare_invoke();
        call.key(shared.names.redis_key(delivery))
            .arg(hop.0)
            .arg(millis(ttl))
            .arg(millis(shared.config.live_retention.get().max(ttl)))
            .arg(&shared.instance);
        let answer: Vec<String> = claims.run(Doing { what: DOING, operation: "claim" }, &call).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["done", end] => Ok(Claim::Done(end_of(DOING, end)?)),
            ["stale"] => Ok(Claim::Stale),
            ["taken_over"] => Ok(Claim::TakenOver),
            ["busy"] => Ok(Claim::Busy),
            ["claimed"] => Ok(Claim::Claimed),
            other => Err(corrupt(DOING, format!("the script answered {other:?}"))),
        }
    }

    async fn release(&self, delivery: DeliveryId, hop: Hop) -> StoreResult<()> {
        self.raise("release a delivery", delivery, hop.next()).await
    }

    async fn complete(&self, delivery: DeliveryId, end: End, keep: Duration) -> StoreResult<()> {
        let claims = &self.shared.claims;
        let mut call = claims.complete.prepare_invoke();
        call.key(self.shared.names.redis_key(delivery)).arg(end_name(end)).arg(millis(keep));
        claims.run::<i64>(Doing { what: "mark a delivery as ended", operation: "complete" }, &call).await.map(|_| ())
    }

    async fn standing(&self, deliveries: &[DeliveryId]) -> StoreResult<Vec<Standing>> {
        const DOING: &str = "look deliveries up";
        let claims = &self.shared.claims;
        let mut standing = Vec::with_capacity(deliveries.len());
        for chunk in deliveries.chunks(256) {
            // One command for each, since their keys may be on different servers; all of them on their way at once.
            let asked = chunk.iter().map(|delivery| {
                let mut command = redis::cmd("HMGET");
                command.arg(self.shared.names.redis_key(*delivery)).arg("done").arg("low");
                let mut connection = claims.connection.clone();
                async move {
                    let asked = command.query_async::<(Option<String>, Option<u32>)>(&mut connection);
                    claims.bounded(Doing { what: DOING, operation: "standing" }, asked).await
                }
            });
            for known in futures_util::future::try_join_all(asked).await? {
                standing.push(match known {
                    (Some(end), _) => Standing::Done(end_of(DOING, &end)?),
                    (None, Some(low)) => Standing::Live(Hop(low)),
                    (None, None) => Standing::Unknown,
                });
            }
        }
        Ok(standing)
    }
}

impl Distributed {
    /// Notes that no hop below `lowest` is live.
    pub(crate) async fn raise(&self, doing: &'static str, delivery: DeliveryId, lowest: Hop) -> StoreResult<()> {
        let claims = &self.shared.claims;
        let mut call = claims.release.prepare_invoke();
        call.key(self.shared.names.redis_key(delivery))
            .arg(lowest.0)
            .arg(millis(self.shared.config.live_retention.get()));
        claims.run::<i64>(Doing { what: doing, operation: "raise" }, &call).await.map(|_| ())
    }

    /// Ends this process's claim at a hop, so that the next holder does not have to wait until it runs out.
    pub(crate) async fn give_up_claim(&self, delivery: DeliveryId, hop: Hop) -> StoreResult<()> {
        let claims = &self.shared.claims;
        let mut call = claims.give_up.prepare_invoke();
        call.key(self.shared.names.redis_key(delivery)).arg(hop.0).arg(&self.shared.instance);
        claims.run::<i64>(Doing { what: "give a claim up", operation: "give_up" }, &call).await.map(|_| ())
    }
}
