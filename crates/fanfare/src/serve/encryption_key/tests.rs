use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::ids::{ProjectId, WebhookId};
use fanfare_core::ports::config_store::{Expected, Record};
use fanfare_core::webhook::Webhook;
use fanfare_embedded::{Embedded, EmbeddedConfig};
use fanfare_runtime::SystemClock;
use fanfare_telemetry::Metrics;
use tempfile::TempDir;

use super::*;
use crate::config::SecretText;

fn installation() -> (TempDir, Config, Arc<dyn ConfigStore>) {
    let directory = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let engine = Embedded::open(directory.path(), &EmbeddedConfig::default(), clock, Metrics::new("test")).unwrap();
    let config = Config { data_dir: directory.path().to_owned(), ..Config::default() };
    (directory, config, Arc::new(engine))
}

async fn store_a_webhook(store: &Arc<dyn ConfigStore>, key: &SealingKey) {
    let id: WebhookId = "0199e1a0-0000-7000-8000-000000000000".parse().unwrap();
    let webhook = Webhook {
        id,
        project: ProjectId::new("default").unwrap(),
        url: fanfare_core::egress::WebhookUrl::parse("https://example.com/").unwrap(),
        events: vec![fanfare_core::pattern::EventPattern::new("**").unwrap()],
        source: None,
        filter: None,
        description: None,
        active: true,
        inactive_since: None,
        headers: Vec::new(),
        kind: Default::default(),
        payload_version: Default::default(),
        inactivity_minutes: None,
        rate_limit: None,
        retry_schedule: Default::default(),
        timeout: Default::default(),
        secret: key.seal("a secret of ours", &Webhook::secret_context(id), &mut rand::rng()),
        secret_last4: "ours".to_owned(),
        previous_secret: None,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    };
    store.put(Record::Webhook(webhook), Expected::Absent).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_made_once_and_read_ever_after() {
    let (_directory, config, store) = installation();
    let made = load(&config, &store).await.unwrap();
    let sealed = made.seal("hush", "context", &mut rand::rng());
    let again = load(&config, &store).await.unwrap();
    assert_eq!(again.open(&sealed, "context").unwrap(), "hush");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_file_is_not_replaced_once_something_is_sealed() {
    let (directory, mut config, store) = installation();
    let key = load(&config, &store).await.unwrap();
    let path = directory.path().join(FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    store_a_webhook(&store, &key).await;
    std::fs::remove_file(&path).unwrap();
    let report = load(&config, &store).await.unwrap_err().to_string();
    assert!(report.contains("encryption.key is missing") && report.contains("FANFARE_ENCRYPTION_KEY"), "{report}");
    assert!(!path.exists(), "a new key was made");
    config.encryption_key = SecretText::new(text.trim().to_owned());
    assert_eq!(load(&config, &store).await.unwrap().id(), key.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_key_is_refused_and_not_shown() {
    let (directory, config, store) = installation();
    private_file::write(&directory.path().join(FILE), "hush, not a key").unwrap();
    let report = load(&config, &store).await.unwrap_err().to_string();
    assert!(report.contains("does not hold an encryption key") && !report.contains("hush"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_than_the_one_of_the_webhooks_is_refused_with_what_to_do() {
    let (_directory, mut config, store) = installation();
    let key = load(&config, &store).await.unwrap();
    store_a_webhook(&store, &key).await;
    assert!(load(&config, &store).await.is_ok());
    let (_, another) = SealingKey::generate(&mut rand::rng());
    config.encryption_key = SecretText::new(another.to_string());
    let report = load(&config, &store).await.unwrap_err().to_string();
    assert!(report.contains("is not the key that the webhooks were stored with"), "{report}");
    assert!(report.contains("restore that key"), "{report}");
}
