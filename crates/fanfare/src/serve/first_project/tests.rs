use std::path::PathBuf;

use fanfare_embedded::{Embedded, EmbeddedConfig};
use fanfare_runtime::SystemClock;
use fanfare_telemetry::Metrics;
use tempfile::TempDir;

use super::*;

struct Installation {
    directory: TempDir,
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
}

impl Installation {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let engine =
            Embedded::open(directory.path(), &EmbeddedConfig::default(), Arc::clone(&clock), Metrics::new("test"));
        Self { store: Arc::new(engine.unwrap()), directory, clock }
    }

    /// What a start with this key and these exceptions does.
    async fn start(&self, api_key: &str, allow: &[&str]) {
        let config = Config {
            data_dir: self.directory.path().to_owned(),
            api_key: SecretText::new(api_key.to_owned()),
            egress_allow: AllowList::new(allow.iter().map(|network| network.parse().unwrap()).collect()),
            ..Config::default()
        };
        // Never a terminal: what the test's own standard error is must not decide about it.
        ensure_with(&config, &self.store, &self.clock, Shown::InFile).await.unwrap();
    }

    async fn key(&self) -> ApiKey {
        match self.store.get(&Key::ApiKey(KEY_ID)).await.unwrap().unwrap().record {
            Record::ApiKey(key) => key,
            other => panic!("{other:?}"),
        }
    }

    async fn allow(&self) -> Vec<String> {
        match self.store.get(&Key::Project(ProjectId::new(PROJECT).unwrap())).await.unwrap().unwrap().record {
            Record::Project(project) => project.egress_allow.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join(KEY_FILE)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_generated_once_and_works() {
    let installation = Installation::new();
    installation.start("", &[]).await;
    let shown = private_file::read(&installation.key_file()).unwrap().unwrap();
    let key = installation.key().await;
    assert!(key.hash.matches(&KeyHash::of(shown.trim())));
    assert_eq!(key.scopes, [Scope::Publish, Scope::Read, Scope::Manage]);
    installation.start("", &[]).await;
    assert_eq!(private_file::read(&installation.key_file()).unwrap(), Some(shown));
    assert_eq!(installation.key().await, key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_key_replaces_the_one_before_and_stays() {
    let installation = Installation::new();
    installation.start("", &[]).await;
    installation.start("first-configured", &[]).await;
    assert!(installation.key().await.hash.matches(&KeyHash::of("first-configured")));
    assert!(!installation.key_file().exists(), "the file of a key that no longer works is left");
    installation.start("second-configured", &[]).await;
    assert!(installation.key().await.hash.matches(&KeyHash::of("second-configured")));
    // Without a configured one, the last stays: a restart must not lock anybody out.
    installation.start("", &[]).await;
    assert!(installation.key().await.hash.matches(&KeyHash::of("second-configured")));
    assert!(!installation.key_file().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exceptions_follow_the_configuration() {
    let installation = Installation::new();
    installation.start("a-key-of-ours", &["127.0.0.0/8", "::1/128"]).await;
    assert_eq!(installation.allow().await, ["127.0.0.0/8", "::1/128"]);
    installation.start("a-key-of-ours", &[]).await;
    assert_eq!(installation.allow().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_set_through_the_api_stay_until_the_configuration_says_otherwise() {
    let installation = Installation::new();
    installation.start("a-key-of-ours", &[]).await;
    let by_api = Project {
        egress_allow: vec!["10.0.0.0/8".parse().unwrap()],
        egress_set_by_api: true,
        ..Project::new(ProjectId::new(PROJECT).unwrap(), installation.clock.now())
    };
    installation.store.put(Record::Project(by_api), Expected::Any).await.unwrap();
    installation.start("a-key-of-ours", &[]).await;
    assert_eq!(installation.allow().await, ["10.0.0.0/8"]);
    installation.start("a-key-of-ours", &["::1/128"]).await;
    assert_eq!(installation.allow().await, ["::1/128"]);
    installation.start("a-key-of-ours", &[]).await;
    assert_eq!(installation.allow().await, Vec::<String>::new(), "what the option had set stays without it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_first_key_comes_back_only_where_no_other_may_manage() {
    let installation = Installation::new();
    installation.start("", &[]).await;
    let first = installation.key().await;
    let other = |scopes: Vec<Scope>| ApiKey { id: ApiKeyId(ulid::Ulid(7)), scopes, ..first.clone() };
    installation.store.put(Record::ApiKey(other(vec![Scope::Manage])), Expected::Any).await.unwrap();
    installation.store.remove(&Key::ApiKey(KEY_ID), Expected::Any).await.unwrap();
    installation.start("", &[]).await;
    assert_eq!(installation.store.get(&Key::ApiKey(KEY_ID)).await.unwrap(), None);
    installation.store.put(Record::ApiKey(other(vec![Scope::Read])), Expected::Any).await.unwrap();
    installation.start("", &[]).await;
    assert!(installation.key().await.scopes.contains(&Scope::Manage));
}
