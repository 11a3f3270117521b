//! What the engine checks before it starts, and what it waits for.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Config;
use fanfare_core::clock::Clock;
use fanfare_core::ports::EventLog as _;
use fanfare_core::ports::event_log::Appended;
use fanfare_runtime::SystemClock;
use fanfare_testkit::conformance::fixtures::{event, soon};
use fanfare_testkit::{NatsServer, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::harness::{Servers, metrics};
use crate::streams::layout;
use crate::{ConnectError, Difference, Distributed, DistributedConfig};

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

async fn refusal(config: &DistributedConfig) -> ConnectError {
    soon(Distributed::connect(config, clock(), metrics())).await.expect_err("it was to be refused")
}

/// Changes a stream behind the engine's back.
async fn change(servers: &Servers, stream: &str, change: impl FnOnce(&mut Config)) {
    let context = async_nats::jetstream::new(async_nats::connect(servers.nats.url()).await.unwrap());
    let mut config = context.get_stream(stream).await.unwrap().cached_info().config.clone();
    change(&mut config);
    context.update_stream(config).await.unwrap();
}

#[tokio::test]
async fn a_stream_that_is_not_as_configured_is_reported_and_changed_only_when_asked_to() {
    let servers = Servers::begin().await;
    servers.connect().await.close().await;
    let mut config = servers.config();
    config.journal_max_bytes = 1_000_000;
    let ConnectError::Drifted { stream, differences } = refusal(&config).await else { panic!("another refusal") };
    assert_eq!(stream, "FANFARE_JOURNAL");
    let expected = Difference { option: "max_bytes", found: "2147483648".to_owned(), wanted: "1000000".to_owned() };
    assert_eq!(differences.0, [expected]);

    config.apply = true;
    Distributed::connect(&config, clock(), metrics()).await.unwrap().close().await;
    config.apply = false;
    Distributed::connect(&config, clock(), metrics()).await.unwrap().close().await;
}

#[tokio::test]
async fn streams_of_versions_without_a_layout_are_taken_as_they_are_and_marked() {
    let servers = Servers::begin().await;
    let engine = servers.connect().await;
    let kept = event("shop", "1", "x", engine.shared.clock.now());
    assert_eq!(engine.append(vec![kept.clone()]).await.unwrap(), [Appended::Accepted]);
    let streams = engine.shared.names.streams();
    engine.close().await;
    for (_, stream) in &streams {
        change(&servers, stream, |config| {
            config.metadata.remove(layout::KEY);
            config.metadata.insert("whose".to_owned(), "the operator's".to_owned());
        })
        .await;
    }

    let engine = servers.connect().await;
    assert_eq!(engine.append(vec![kept]).await.unwrap(), [Appended::Duplicate], "what it held is not known any more");
    engine.close().await;
    let context = async_nats::jetstream::new(async_nats::connect(servers.nats.url()).await.unwrap());
    for (_, stream) in &streams {
        let config = context.get_stream(stream).await.unwrap().cached_info().config.clone();
        assert_eq!(config.metadata.get(layout::KEY), Some(&layout::LAYOUT.to_string()), "{stream}");
        assert!(config.metadata.contains_key("whose"), "{stream} has lost what others noted");
    }
}

#[tokio::test]
async fn a_newer_layout_is_refused_and_nothing_is_changed() {
    let servers = Servers::begin().await;
    servers.connect().await.close().await;
    change(&servers, "KV_FANFARE_STATE", |config| {
        config.metadata.insert(layout::KEY.to_owned(), "2".to_owned());
    })
    .await;
    let mut config = servers.config();
    // It would be changed otherwise.
    config.journal_max_bytes = 1_000_000;
    config.apply = true;
    let refusal = refusal(&config).await;
    let ConnectError::Newer { stream, found, known } = &refusal else { panic!("another refusal: {refusal}") };
    assert_eq!((stream.as_str(), found.as_str(), *known), ("KV_FANFARE_STATE", "2", layout::LAYOUT));
    assert!(refusal.to_string().contains("run the version that wrote it"), "{refusal}");
    let context = async_nats::jetstream::new(async_nats::connect(servers.nats.url()).await.unwrap());
    let journal = context.get_stream("FANFARE_JOURNAL").await.unwrap().cached_info().config.clone();
    assert_ne!(journal.max_bytes, 1_000_000);
}

#[tokio::test]
async fn a_limit_by_which_deliveries_would_be_lost_is_refused() {
    let servers = Servers::begin().await;
    servers.connect().await.close().await;
    change(&servers, "FANFARE_DELIVERIES", |config| config.max_messages = 1000).await;
    let ConnectError::Limited { stream, limits } = refusal(&servers.config()).await else { panic!("another refusal") };
    assert_eq!((stream.as_str(), limits.0[0].option), ("FANFARE_DELIVERIES", "max_msgs"));
    change(&servers, "FANFARE_DELIVERIES", |config| config.max_messages = -1).await;
    change(&servers, "FANFARE_GATED", |config| config.max_age = Duration::from_secs(3600)).await;
    let ConnectError::Limited { stream, .. } = refusal(&servers.config()).await else { panic!("another refusal") };
    assert_eq!(stream, "FANFARE_GATED");
}

#[tokio::test]
async fn a_server_with_too_little_storage_is_refused_with_what_to_do() {
    let nats = NatsServer::start_with("jetstream { max_file_store: 100MB }").await;
    let mut config = DistributedConfig::default();
    config.nats.urls = nats.url();
    let refusal = refusal(&config).await;
    assert!(matches!(refusal, ConnectError::JetStream { .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("event_max_bytes"), "{refusal}");
}

#[tokio::test]
async fn two_installations_share_servers_under_two_prefixes() {
    let servers = Servers::begin().await;
    // Bounds are reserved: two of them have to fit on the disk of whoever runs this.
    let one = DistributedConfig { event_max_bytes: 1 << 26, journal_max_bytes: 1 << 26, ..servers.config() };
    let two = DistributedConfig { prefix: "Other".to_owned(), ..one.clone() };
    let one = Distributed::connect(&one, clock(), metrics()).await.unwrap();
    let two = Distributed::connect(&two, clock(), metrics()).await.unwrap();
    assert_ne!(one.shared.names.all_events(), two.shared.names.all_events());
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_by_its_version() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let info = r#"{"server_id":"OLD","server_name":"old","version":"2.9.10","go":"go1.19","host":"127.0.0.1","port":0,"headers":true,"max_payload":1048576,"proto":1,"jetstream":true}"#;
        stream.write_all(format!("INFO {info}\r\n").as_bytes()).await.unwrap();
        let mut read = [0; 4096];
        // The client says CONNECT and PING; what it says after the answer does not matter.
        while stream.read(&mut read).await.is_ok_and(|count| count > 0) {
            if stream.write_all(b"PONG\r\n").await.is_err() {
                return;
            }
        }
    });
    let mut config = DistributedConfig::default();
    config.nats.urls = format!("nats://{address}");
    let refusal = refusal(&config).await;
    assert!(matches!(&refusal, ConnectError::TooOld { found, .. } if found == "2.9.10"), "{refusal:?}");
    assert!(refusal.to_string().contains("2.9.10") && refusal.to_string().contains("2.14"));
    server.abort();
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_the_right_one_let_in() {
    let nats = NatsServer::start_with("authorization { user: fanfare, password: \"right one\" }").await;
    let redis = RedisServer::start().await;
    let mut config = DistributedConfig::default();
    config.nats.urls = nats.url();
    config.redis.url = redis.url();
    config.nats.user = "fanfare".to_owned();
    config.nats.password = "wrong one".to_owned();
    let refused = refusal(&config).await;
    assert!(matches!(refused, ConnectError::Refused(_)), "{refused:?}");
    assert!(!format!("{refused:?}").contains("wrong one"));
    config.nats.password = "right one".to_owned();
    Distributed::connect(&config, clock(), metrics()).await.unwrap().close().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let mut servers = Servers::begin().await;
    servers.nats.kill().await;
    servers.redis.kill().await;
    let config = servers.config();
    let connecting = tokio::spawn(async move { Distributed::connect(&config, clock(), metrics()).await });
    // It has asked in vain at least once, or is about to.
    tokio::task::yield_now().await;
    servers.nats.start_again().await;
    let engine = soon(connecting).await.unwrap().unwrap();
    engine.close().await;
}
