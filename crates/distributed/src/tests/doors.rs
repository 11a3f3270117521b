//! The ways in to NATS: TLS, client certificates, users, credentials, nkeys; and that wrong ones are refused at start, without
//! a secret being quoted.

use std::path::PathBuf;
use std::sync::Arc;

use fanfare_core::clock::Clock;
use fanfare_core::ports::EventLog;
use fanfare_runtime::SystemClock;
use fanfare_testkit::conformance::fixtures::{event, soon};
use fanfare_testkit::{Authority, NatsOperator, NatsServer};
use nkeys::KeyPair;
use tempfile::TempDir;

use super::harness::metrics;
use crate::connect::bare::Bare;
use crate::{ConnectError, Distributed, DistributedConfig, NatsConfig};

/// TLS needs it in the process.
pub(super) fn install_provider() {
    // Only the tests of this crate do, and all install this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

async fn connect(nats: NatsConfig) -> Result<Distributed, ConnectError> {
    let mut config = DistributedConfig {
        partitions: 1,
        gate_partitions: 1,
        event_max_bytes: 1 << 30,
        nats,
        ..DistributedConfig::default()
    };
    // Not needed for what is done here.
    config.redis.url = "redis://127.0.0.1:1".to_owned();
    soon(Distributed::connect(&config, Arc::new(SystemClock::new()), metrics())).await
}

async fn let_in(nats: NatsConfig) {
    let engine = connect(nats.clone()).await.expect("it is let in");
    let bare = Bare::subscribe(&nats, "_INBOX.door").await;
    assert!(bare.is_ok(), "the intake's own connection is not let in: {:?}", bare.err());
    let now = SystemClock::new().now();
    EventLog::append(&engine, vec![event("shop", "order-1", "x", now)]).await.expect("JetStream may be used");
    engine.close().await;
}

async fn refused(nats: NatsConfig, secret: &str) -> ConnectError {
    let refusal = connect(nats).await.expect_err("it was to be refused");
    let said = format!("{refusal:?} {}", fanfare_runtime::tasks::report(&refusal));
    assert!(!said.contains(secret), "{said}");
    refusal
}

fn config(nats: &NatsServer) -> NatsConfig {
    NatsConfig { urls: nats.url(), ..NatsConfig::default() }
}

fn file(dir: &TempDir, name: &str, text: &str) -> String {
    let path: PathBuf = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_let_in_by_options_and_by_url() {
    let nats = NatsServer::start_with("authorization { user: fanfare, password: \"r!ght\" }").await;
    let named =
        |password: &str| NatsConfig { user: "fanfare".to_owned(), password: password.to_owned(), ..config(&nats) };
    let_in(named("r!ght")).await;
    let by_url = |password: &str| NatsConfig {
        urls: nats.url().replace("nats://", &format!("nats://fanfare:{password}@")),
        ..config(&nats)
    };
    let_in(by_url("r%21ght")).await;
    for wrong in [named("wr0ng"), by_url("wr0ng"), config(&nats)] {
        let refusal = refused(wrong, "wr0ng").await;
        assert!(matches!(refusal, ConnectError::Refused(_)), "{refusal:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credentials_file_of_the_operators_account_is_let_in() {
    let (operator, dir) = (NatsOperator::new(), tempfile::tempdir().unwrap());
    let nats = NatsServer::start_with(&operator.settings()).await;
    let with = |name: &str, text: &str| NatsConfig { credentials_file: file(&dir, name, text), ..config(&nats) };
    let_in(with("right.creds", &operator.credentials())).await;

    let forged = NatsOperator::forged_credentials();
    let seed = forged.lines().find(|line| line.starts_with("SU")).unwrap().to_owned();
    let refusal = refused(with("forged.creds", &forged), &seed).await;
    assert!(matches!(refusal, ConnectError::Refused(_)), "{refusal:?}");
    let broken = format!("the seed alone: {seed}");
    let refusal = refused(with("broken.creds", &broken), &seed).await;
    assert!(matches!(refusal, ConnectError::Options { .. }), "{refusal:?}");
    let missing = NatsConfig { credentials_file: "/nowhere/user.creds".to_owned(), ..config(&nats) };
    let refusal = refused(missing, "no secret").await;
    assert!(refusal.to_string().contains("/nowhere/user.creds"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_nkey_is_let_in_by_its_seed() {
    let (user, stranger, dir) = (KeyPair::new_user(), KeyPair::new_user(), tempfile::tempdir().unwrap());
    let settings = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", user.public_key());
    let nats = NatsServer::start_with(&settings).await;
    let with = |name: &str, text: &str| NatsConfig { nkey_file: file(&dir, name, text), ..config(&nats) };
    let seed = user.seed().unwrap();
    let_in(with("bare.nk", &seed)).await;
    let_in(with("decorated.nk", &format!("-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n")))
        .await;
    let strangers = stranger.seed().unwrap();
    for wrong in [with("stranger.nk", &strangers), with("cut.nk", &strangers[..40])] {
        let refusal = refused(wrong, &strangers[..40]).await;
        assert!(matches!(refusal, ConnectError::Refused(_)), "{refusal:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_checked_against_the_ca_file_and_client_certificates_are_shown() {
    install_provider();
    let (ours, other) = (Authority::new(), Authority::new());
    let server = ours.files("server");
    let settings = format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
        server.certificate.display(),
        server.key.display(),
        ours.ca_file().display()
    );
    let nats = NatsServer::start_with(&settings).await;
    let client = ours.files("client");
    let right = NatsConfig {
        ca_file: ours.ca_file().display().to_string(),
        cert_file: client.certificate.display().to_string(),
        key_file: client.key.display().to_string(),
        ..config(&nats)
    };
    let_in(right.clone()).await;
    let_in(NatsConfig { urls: nats.url().replace("nats://", "tls://"), ..right.clone() }).await;

    let key = std::fs::read_to_string(&client.key).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let foreign = other.files("foreign");
    let stranger = NatsConfig { ca_file: other.ca_file().display().to_string(), ..right.clone() };
    let nameless = NatsConfig { cert_file: String::new(), key_file: String::new(), ..right.clone() };
    let strange = NatsConfig {
        cert_file: foreign.certificate.display().to_string(),
        key_file: foreign.key.display().to_string(),
        ..right.clone()
    };
    let swapped = NatsConfig { key_file: foreign.key.display().to_string(), ..right.clone() };
    for (what, wrong) in [("stranger", stranger), ("nameless", nameless), ("strange", strange), ("swapped", swapped)] {
        let refusal = refused(wrong, secret).await;
        assert!(matches!(refusal, ConnectError::Refused(_)), "{what}: {refusal:?}");
    }
    let none = NatsConfig { ca_file: client.key.display().to_string(), ..right };
    assert!(matches!(refused(none, secret).await, ConnectError::NoCertificate { .. }));
}
