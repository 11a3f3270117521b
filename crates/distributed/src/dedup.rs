//! Claims and what is known of deliveries, in Redis: one text for each delivery, changed by one script for each operation.
//!
//! The text says how the delivery ended, or its lowest live hop and who holds it at which hop for how long. It is forgotten by
//! itself, the ended after a day, the others past the longest wait. Most claims are of deliveries of which nothing is known: they
//! are made by a plain command, at a third of a script's cost. Every operation has a time within which it answers or fails; a
//! delivery goes on without Redis.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::delivery::End;
use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::dedup::{Claim, Dedup, Fence, Standing};
use fanfare_telemetry::Metrics;
use redis::FromRedisValue;

use crate::Distributed;
use crate::config::RedisConfig;
use crate::error::{ConnectError, corrupt};
use crate::redis_link::{Link, Script, is_refusal};

/// Redis, as the engine uses it.
pub(crate) struct Claims {
    link: Link,
    metrics: Metrics,
    /// Numbers claims, so that one that is sent again after its answer was lost does not meet itself as somebody else's.
    calls: AtomicU64,
    claim: Script,
    release: Script,
    complete: Script,
    give_up: Script,
}

impl Claims {
    /// Connects when it is first needed, and again whenever the connection is lost.
    pub(crate) fn new(config: &RedisConfig, metrics: &Metrics) -> Result<Self, ConnectError> {
        Ok(Self {
            link: Link::new(config)?,
            metrics: metrics.clone(),
            calls: AtomicU64::new(0),
            claim: Script::new(concat!(include_str!("dedup/known.lua"), include_str!("dedup/claim.lua"))),
            release: Script::new(concat!(include_str!("dedup/known.lua"), include_str!("dedup/release.lua"))),
            complete: Script::new(include_str!("dedup/complete.lua")),
            give_up: Script::new(concat!(include_str!("dedup/known.lua"), include_str!("dedup/give_up.lua"))),
        })
    }

    /// Whether it answers.
    pub(crate) async fn ping(&self) -> StoreResult<()> {
        let doing = Doing { what: "ask whether Redis answers", operation: "ping" };
        let command = redis::cmd("PING");
        self.measured(doing, self.link.run::<String>(doing.what, &command)).await.map(|_| ())
    }

    async fn call<T: FromRedisValue>(
        &self,
        doing: Doing,
        script: &Script,
        key: &str,
        arguments: &[&str],
    ) -> StoreResult<T> {
        self.measured(doing, self.link.call(doing.what, script, key, arguments)).await
    }

    async fn measured<T>(&self, doing: Doing, asking: impl Future<Output = StoreResult<T>>) -> StoreResult<T> {
        let timer = self.metrics.redis_operation_duration.with_label_values(&[doing.operation]).start_timer();
        let answer = asking.await;
        drop(timer);
        if answer.is_err() {
            self.metrics.redis_failures.with_label_values(&[doing.operation]).inc();
        }
        answer
    }

    /// Asks once. Redis may be away, which is weather; one that refuses us is said at once, since no waiting mends it.
    pub(crate) async fn check(&self, prefix: &str) -> Result<(), ConnectError> {
        match self.try_all(&format!("{prefix}:delivery:{{check}}")).await {
            Ok(()) => Ok(()),
            Err(error) if is_refusal(&error) => Err(ConnectError::RedisRefuses(Box::new(error))),
            Err(error) => {
                let error = fanfare_runtime::tasks::report(&error);
                tracing::warn!(%error, "Redis does not answer yet; it is asked again with each delivery");
                Ok(())
            }
        }
    }

    /// Does with nobody's delivery, forgotten at once, what is done with others: whoever may do this may do all. Each command for
    /// itself as well: not every version says of one within a script that it was a right that was missing.
    async fn try_all(&self, key: &str) -> StoreResult<()> {
        const DOING: &str = "ask Redis";
        let commands: [&[&str]; 4] =
            [&["PING"], &["SET", key, "live 0 - - - - - -", "PX", "1"], &["GET", key], &["PTTL", key]];
        for words in commands {
            let mut command = redis::Cmd::new();
            command.arg(words);
            self.link.run::<redis::Value>(DOING, &command).await?;
        }
        self.link.call::<i64>(DOING, &self.complete, key, &[end_name(End::Discarded), "1"]).await.map(|_| ())
    }
}

/// What is being done: in words, and as metrics call it.
#[derive(Clone, Copy)]
struct Doing {
    what: &'static str,
    operation: &'static str,
}

fn millis(duration: Duration) -> String {
    // A lifetime of zero would be none.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX.unsigned_abs() / 4).to_string()
}

/// A fencing token, as the scripts have it.
fn token(fence: Option<Fence>) -> String {
    fence.map_or_else(|| "-".to_owned(), |Fence(token)| token.to_string())
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

/// What a delivery's text says.
fn standing_of(doing: &'static str, text: Option<&str>) -> StoreResult<Standing> {
    let Some(text) = text else { return Ok(Standing::Unknown) };
    let mut words = text.split(' ');
    match (words.next(), words.next().unwrap_or_default()) {
        (Some("done"), end) => end_of(doing, end).map(Standing::Done),
        (Some("live"), low) if let Ok(low) = low.parse() => Ok(Standing::Live(Hop(low))),
        _ => Err(corrupt(doing, format!("what is known of a delivery is {text:?}"))),
    }
}

#[async_trait]
impl Dedup for Distributed {
    async fn claim(&self, delivery: DeliveryId, hop: Hop, ttl: Duration, fence: Option<Fence>) -> StoreResult<Claim> {
        const DOING: &str = "claim a delivery";
        let (shared, claims) = (&self.shared, &self.shared.claims);
        let live = shared.config.live_retention.get().max(ttl);
        let call = claims.calls.fetch_add(1, Ordering::Relaxed);
        // What was put off or stood behind a gate was most likely noted when it was put there.
        let is_new = hop == Hop::default() && fence.is_none();
        let (hop, ttl, live, call) = (hop.0.to_string(), millis(ttl), millis(live), call.to_string());
        let (fence, key) = (token(fence), shared.names.redis_key(delivery));
        let doing = Doing { what: DOING, operation: "claim" };
        if is_new {
            // A text as the scripts write it, where there is none.
            let text = format!("live {hop} {hop} {ttl} {live} {} {call} {fence}", shared.instance);
            let mut set = redis::cmd("SET");
            set.arg(&key).arg(text).arg("NX").arg("PX").arg(&live);
            if claims.measured(doing, claims.link.run::<bool>(DOING, &set)).await? {
                return Ok(Claim::Claimed);
            }
        }
        let claim = async |gone: &str| -> StoreResult<Vec<String>> {
            let arguments = [&*hop, &*ttl, &*live, &*shared.instance, &*call, &*fence, gone];
            claims.call(doing, &claims.claim, &key, &arguments).await
        };
        let mut answer = claim("").await?;
        if let [busy, holder] = answer.as_slice()
            && busy == "busy"
            && shared.presence.is_gone(holder, shared.config.partition_lease.get())
        {
            answer = claim(holder).await?;
        }
        match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["done", end] => Ok(Claim::Done(end_of(DOING, end)?)),
            ["stale"] => Ok(Claim::Stale),
            ["taken_over"] => Ok(Claim::TakenOver),
            ["busy"] | ["busy", _] => Ok(Claim::Busy),
            ["claimed"] => Ok(Claim::Claimed),
            other => Err(corrupt(DOING, format!("the script answered {other:?}"))),
        }
    }

    async fn release(&self, delivery: DeliveryId, hop: Hop) -> StoreResult<()> {
        self.raise("release a delivery", delivery, hop.next()).await
    }

    async fn complete(&self, delivery: DeliveryId, end: End, keep: Duration) -> StoreResult<()> {
        let (claims, key) = (&self.shared.claims, self.shared.names.redis_key(delivery));
        let arguments = [end_name(end), &millis(keep)];
        let doing = Doing { what: "mark a delivery as ended", operation: "complete" };
        claims.call::<i64>(doing, &claims.complete, &key, &arguments).await.map(|_| ())
    }

    async fn standing(&self, deliveries: &[DeliveryId]) -> StoreResult<Vec<Standing>> {
        const DOING: &str = "look deliveries up";
        let claims = &self.shared.claims;
        let mut standing = Vec::with_capacity(deliveries.len());
        for chunk in deliveries.chunks(256) {
            // One command for each, since their keys may be on different servers; all of them on their way at once.
            let asked = chunk.iter().map(|delivery| {
                let mut command = redis::cmd("GET");
                command.arg(self.shared.names.redis_key(*delivery));
                async move {
                    let asked = claims.link.run::<Option<String>>(DOING, &command);
                    claims.measured(Doing { what: DOING, operation: "standing" }, asked).await
                }
            });
            for known in futures_util::future::try_join_all(asked).await? {
                standing.push(standing_of(DOING, known.as_deref())?);
            }
        }
        Ok(standing)
    }
}

impl Distributed {
    /// Notes that no hop below `lowest` is live.
    pub(crate) async fn raise(&self, doing: &'static str, delivery: DeliveryId, lowest: Hop) -> StoreResult<()> {
        let (claims, key) = (&self.shared.claims, self.shared.names.redis_key(delivery));
        let arguments = [&lowest.0.to_string(), &*millis(self.shared.config.live_retention.get())];
        claims
            .call::<i64>(Doing { what: doing, operation: "raise" }, &claims.release, &key, &arguments)
            .await
            .map(|_| ())
    }

    /// Ends this process's claim at a hop, so that the next holder does not have to wait until it runs out.
    pub(crate) async fn give_up_claim(&self, delivery: DeliveryId, hop: Hop, fence: Option<Fence>) -> StoreResult<()> {
        let (claims, key) = (&self.shared.claims, self.shared.names.redis_key(delivery));
        let arguments = [&hop.0.to_string(), self.shared.instance.as_str(), &*token(fence)];
        let doing = Doing { what: "give a claim up", operation: "give_up" };
        claims.call::<i64>(doing, &claims.give_up, &key, &arguments).await.map(|_| ())
    }
}
