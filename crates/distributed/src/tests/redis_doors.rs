//! The ways in to Redis: TLS, client certificates, users; and that wrong ones are refused without being quoted.

use std::sync::Arc;

use fanfare_core::ids::{DeliveryId, Hop};
use fanfare_core::ports::Dedup;
use fanfare_core::ports::dedup::Claim;
use fanfare_runtime::SystemClock;
use fanfare_testkit::conformance::fixtures::{TTL, soon};
use fanfare_testkit::process::free_port;
use fanfare_testkit::{Authority, NatsServer, RedisServer};
use uuid::Uuid;

use super::doors::install_provider;
use super::harness::metrics;
use crate::{ConnectError, Distributed, DistributedConfig, RedisConfig};

/// The user that the documentation tells to make, and one for everybody else who may only knock.
const USERS: [(&str, &str); 2] = [
    ("user", "fanfare on >right-one ~fanfare:* +eval +evalsha +get +set +pttl +ping"),
    ("user", "default on nopass -@all +ping"),
];
/// The rights of the former.
const RIGHTS: [&str; 6] = ["+eval", "+evalsha", "+get", "+set", "+pttl", "+ping"];

async fn connect(nats: &NatsServer, redis: RedisConfig) -> Result<Distributed, ConnectError> {
    let mut config = DistributedConfig {
        partitions: 1,
        gate_partitions: 1,
        event_max_bytes: 1 << 30,
        redis,
        ..DistributedConfig::default()
    };
    config.nats.urls = nats.url();
    soon(Distributed::connect(&config, Arc::new(SystemClock::new()), metrics())).await
}

/// Everything that claims need goes through that door.
async fn let_in(nats: &NatsServer, redis: RedisConfig) {
    let engine = connect(nats, redis).await.expect("it is let in");
    let delivery = DeliveryId::from_uuid(Uuid::from_u128(1));
    assert_eq!(engine.claim(delivery, Hop(0), TTL, None).await.expect("claims"), Claim::Claimed);
    engine.give_up_claim(delivery, Hop(0), None).await.expect("gives up");
    engine.release(delivery, Hop(0)).await.expect("releases");
    engine.standing(&[delivery]).await.expect("looks up");
    engine.complete(delivery, fanfare_core::delivery::End::Delivered, TTL).await.expect("completes");
    engine.close().await;
}

fn named(url: String, user: &str, password: &str) -> RedisConfig {
    RedisConfig { url, user: user.to_owned(), password: password.to_owned(), ..RedisConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_with_the_documented_rights_is_let_in_by_options_and_by_url() {
    let (nats, redis) = tokio::join!(NatsServer::start(), RedisServer::start_with(&USERS));
    let in_url = format!("redis://fanfare:right-one@127.0.0.1:{}", redis.port());
    let_in(&nats, RedisConfig { url: in_url, ..RedisConfig::default() }).await;
    redis.ask(&["PING"]).await;
    let engine = connect(&nats, named(redis.url(), "fanfare", "right-one")).await.expect("it is let in");
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_missing_rights_are_refused_at_start() {
    let (nats, redis) = tokio::join!(NatsServer::start(), RedisServer::start_with(&USERS));
    let in_url = format!("redis://fanfare:wrong-one@127.0.0.1:{}", redis.port());
    let wrong = [
        named(redis.url(), "fanfare", "wrong-one"),
        named(redis.url(), "nobody", "wrong-one"),
        RedisConfig { url: in_url, ..RedisConfig::default() },
        // The default user has no rights.
        named(redis.url(), "", ""),
    ];
    for config in wrong {
        let refusal = connect(&nats, config.clone()).await.expect_err("it was to be refused");
        assert!(matches!(refusal, ConnectError::RedisRefuses(_)), "{config:?}: {refusal:?}");
        let said = format!("{refusal:?} {}", fanfare_runtime::tasks::report(&refusal));
        assert!(!said.contains("wrong-one"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_the_rights_is_needed_at_start() {
    let users = RIGHTS.map(|missing| {
        let rights: Vec<&str> = RIGHTS.into_iter().filter(|right| *right != missing).collect();
        format!("without{missing} on >right-one ~fanfare:* {}", rights.join(" "))
    });
    let settings: Vec<_> = users.iter().map(|user| ("user", user.as_str())).collect();
    let (nats, redis) = tokio::join!(NatsServer::start(), RedisServer::start_with(&settings));
    for missing in RIGHTS {
        let config = named(redis.url(), &format!("without{missing}"), "right-one");
        let refusal = connect(&nats, config).await.expect_err(missing);
        assert!(matches!(refusal, ConnectError::RedisRefuses(_)), "{missing}: {refusal:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_checked_against_the_ca_file_and_client_certificates_are_shown() {
    install_provider();
    let (ours, other) = (Authority::new(), Authority::new());
    let server = ours.files("server");
    let (port, ca) = (free_port().to_string(), ours.ca_file().display().to_string());
    let (certificate, key) = (server.certificate.display().to_string(), server.key.display().to_string());
    let settings = [
        ("tls-port", &*port),
        ("tls-cert-file", &*certificate),
        ("tls-key-file", &*key),
        ("tls-ca-cert-file", &*ca),
        ("tls-auth-clients", "yes"),
    ];
    let (nats, _redis) = tokio::join!(NatsServer::start(), RedisServer::start_with(&settings));
    let client = ours.files("client");
    let right = RedisConfig {
        url: format!("rediss://localhost:{port}"),
        ca_file: ca,
        cert_file: client.certificate.display().to_string(),
        key_file: client.key.display().to_string(),
        ..RedisConfig::default()
    };
    let_in(&nats, right.clone()).await;

    // Whom TLS keeps out has no Redis: that is weather, as a certificate that ran out is, and deliveries go on.
    let stranger = RedisConfig { ca_file: other.ca_file().display().to_string(), ..right.clone() };
    let nameless = RedisConfig { cert_file: String::new(), key_file: String::new(), ..right.clone() };
    for wrong in [stranger, nameless] {
        let engine = connect(&nats, wrong).await.expect("it starts without Redis");
        soon(engine.claim(DeliveryId::from_uuid(Uuid::from_u128(2)), Hop(0), TTL, None)).await.expect_err("kept out");
        engine.close().await;
    }
    for (file, wrong) in [
        ("no such file", RedisConfig { ca_file: "/nowhere/ca.pem".to_owned(), ..right.clone() }),
        ("no certificate", RedisConfig { ca_file: right.key_file.clone(), ..right }),
    ] {
        let refusal = connect(&nats, wrong).await.expect_err(file);
        assert!(matches!(refusal, ConnectError::File { .. } | ConnectError::NoCertificate { .. }), "{refusal:?}");
    }
}
