//! Real servers, the system's clock, short leases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fanfare_core::clock::Clock;
use fanfare_core::ids::{DeliveryId, EventId, ProjectId, WebhookId};
use fanfare_core::ports::{Intake, Rejections};
use fanfare_runtime::{Span, SystemClock};
use fanfare_telemetry::Metrics;
use fanfare_testkit::conformance::intake::IntakeHarness;
use fanfare_testkit::conformance::{Engine, Harness};
use fanfare_testkit::{NatsServer, RedisCluster, RedisSentinels, RedisServer};
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::message::Draft;
use crate::names::{INTAKE_PARTITIONS, Names};
use crate::{Distributed, DistributedConfig};

/// What Redis is.
#[async_trait]
pub(super) trait Redis: Send + Sync + Sized + 'static {
    async fn begin() -> Self;
    fn url(&self) -> String;
}

#[async_trait]
impl Redis for RedisServer {
    async fn begin() -> Self {
        Self::start().await
    }

    fn url(&self) -> String {
        self.url()
    }
}

#[async_trait]
impl Redis for RedisCluster {
    async fn begin() -> Self {
        Self::start().await
    }

    fn url(&self) -> String {
        self.url()
    }
}

#[async_trait]
impl Redis for RedisSentinels {
    async fn begin() -> Self {
        Self::start().await
    }

    fn url(&self) -> String {
        self.url()
    }
}

/// NATS and one Redis.
pub(super) type Servers = ServersWith<RedisServer>;

/// One pair of servers for each test: they start in a tenth of a second, and end with it.
pub(super) struct ServersWith<R> {
    pub(super) nats: NatsServer,
    pub(super) redis: R,
    clock: Arc<dyn Clock>,
    /// The engine that was opened last, for what the ports do not offer.
    engine: Mutex<Option<Distributed>>,
    /// What producers publish over.
    producer: OnceCell<async_nats::Client>,
}

impl<R: Redis> ServersWith<R> {
    pub(super) async fn begin() -> Self {
        let (nats, redis) = tokio::join!(NatsServer::start(), R::begin());
        Self { nats, redis, clock: Arc::new(SystemClock::new()), engine: Mutex::default(), producer: OnceCell::new() }
    }

    /// With a store of NATS that holds no more than that.
    pub(super) async fn small(store_bytes: u64) -> Self {
        let (nats, redis) = tokio::join!(NatsServer::start_small(store_bytes), R::begin());
        Self { nats, redis, clock: Arc::new(SystemClock::new()), engine: Mutex::default(), producer: OnceCell::new() }
    }

    pub(super) fn config(&self) -> DistributedConfig {
        let mut config = DistributedConfig {
            partitions: 4,
            gate_partitions: 4,
            lease: Span::from_secs(1),
            partition_lease: Span::from_millis(600),
            // Set aside by each server: many run at once, and a disk need not have that much left.
            event_max_bytes: 1 << 30,
            ..DistributedConfig::default()
        };
        config.nats.urls = self.nats.url();
        config.nats.timeout = Span::from_secs(2);
        config.redis.url = self.redis.url();
        config
    }

    pub(super) async fn connect(&self) -> Distributed {
        let engine = Distributed::connect(&self.config(), Arc::clone(&self.clock), metrics()).await.unwrap();
        *self.engine.lock() = Some(engine.clone());
        engine
    }
}

impl<R> ServersWith<R> {
    async fn produce(&self) -> async_nats::Client {
        async_nats::connect(self.nats.url()).await.unwrap()
    }

    /// Puts another message in the place of the last one of a subject: with that header, and that body if there is one.
    async fn replace(&self, stream: &str, subject: &str, header: (&'static str, &str), body: fn(Bytes) -> Bytes) {
        let context = async_nats::jetstream::new(async_nats::connect(self.nats.url()).await.unwrap());
        let stream = context.get_stream(stream).await.unwrap();
        let stored = stream.get_last_raw_message_by_subject(subject).await.unwrap();
        let draft =
            Draft::copy(stored.subject.to_string(), body(stored.payload), &stored.headers).header(header.0, header.1);
        stream.delete_message(stored.sequence).await.unwrap();
        let (subject, message) = draft.into_parts();
        context.send_publish(subject, message).await.unwrap().await.unwrap();
    }
}

/// Metrics of their own.
pub(super) fn metrics() -> Metrics {
    Metrics::new("test")
}

/// The ports of an engine.
pub(super) fn ports(engine: Distributed) -> Engine {
    let engine = Arc::new(engine);
    Engine { log: engine.clone(), queue: engine.clone(), store: engine.clone(), journal: engine.clone(), dedup: engine }
}

#[async_trait]
impl<R: Redis> Harness for ServersWith<R> {
    async fn start() -> Self {
        Self::begin().await
    }

    async fn open(&self) -> Engine {
        ports(self.connect().await)
    }

    fn kill(&self, _: &Engine) {
        self.engine.lock().as_ref().expect("it was opened").shared.faults.kill();
    }

    async fn crash(&self, engine: Engine) {
        drop(engine);
        let engine = self.engine.lock().take().expect("it was opened");
        engine.shared.faults.kill();
        engine.close().await;
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    async fn pass(&self, time: Duration) {
        self.clock.sleep(time).await;
    }

    fn lease_time(&self) -> Duration {
        self.config().lease.get()
    }

    fn partitions(&self) -> usize {
        self.config().partitions.into()
    }

    fn gate_partitions(&self) -> usize {
        self.config().gate_partitions.into()
    }

    fn settle_cuts(&self) -> Vec<&'static str> {
        vec!["before step 1", "after step 1", "after step 2", "before the copy is removed"]
    }

    async fn spoil(&self, webhook: WebhookId, delivery: DeliveryId) {
        let context = async_nats::jetstream::new(async_nats::connect(self.nats.url()).await.unwrap());
        let names = Names::new("FANFARE", 4, 4);
        for (stream, subject) in
            [(names.deliveries(), names.ready(webhook, delivery)), (names.gated(), names.gate(webhook))]
        {
            let stream = context.get_stream(stream).await.unwrap();
            let Ok(stored) = stream.get_last_raw_message_by_subject(&subject).await else { continue };
            let draft = Draft::copy(subject, stored.payload, &stored.headers).header("Fanfare-Delivery", "nonsense");
            stream.delete_message(stored.sequence).await.unwrap();
            let (subject, message) = draft.into_parts();
            context.send_publish(subject, message).await.unwrap().await.unwrap();
        }
    }

    async fn spoil_event(&self, project: &ProjectId, event: &EventId) {
        let names = Names::new("FANFARE", 4, 4);
        let header = ("Fanfare-Event", "nonsense");
        self.replace(&names.events(), &names.event_anywhere(project, event), header, |body| body).await;
    }

    async fn spoil_last_entry(&self) {
        let names = Names::new("FANFARE", 4, 4);
        // The last one of the message's.
        let spoiled = |body: Bytes| {
            let before = body.iter().rposition(|byte| *byte == b'\n').map_or(&b""[..], |end| &body[..=end]);
            [before, b"nonsense"].concat().into()
        };
        self.replace(&names.journal(), &names.journal_subject(), ("Fanfare-Event", "x"), spoiled).await;
    }

    async fn cut_next_settle(&self, _: &Engine, cut: &'static str) {
        self.engine.lock().as_ref().expect("it was opened").shared.faults.plan(cut);
    }
}

#[async_trait]
impl<R: Redis> IntakeHarness for ServersWith<R> {
    fn intake(&self) -> (Arc<dyn Intake>, Arc<dyn Rejections>) {
        let engine = Arc::new(self.engine.lock().clone().expect("it was opened"));
        (Arc::clone(&engine) as _, engine)
    }

    fn intake_partitions(&self) -> usize {
        INTAKE_PARTITIONS.into()
    }

    async fn publish(&self, project: &str, event_type: &str, headers: &[(&str, &str)], body: &str) {
        let context = async_nats::jetstream::new(self.producer.get_or_init(|| self.produce()).await.clone());
        let subject = format!("fanfare.events.{project}.{event_type}");
        let mut all = async_nats::HeaderMap::new();
        headers.iter().for_each(|(name, value)| all.append(*name, *value));
        context.publish_with_headers(subject, all, body.to_owned().into()).await.unwrap().await.unwrap();
    }
}
