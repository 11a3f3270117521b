//! How the registry follows the store: whole, then changes, then anew.

use fanfare_core::ports::StoreErrorKind;
use fanfare_core::ports::config_store::{ConfigStore as _, Group, Key, Revision};
use fanfare_core::seal::SealingKey;
use serde_json::json;

use super::records::{api_key, project, project_id, webhook, webhook_id};
use super::store::{Rig, soon};

#[tokio::test]
async fn it_is_loaded_with_the_whole_and_follows_the_changes() {
    let (rig, told) = Rig::start();
    assert!(!rig.registry.is_loaded());
    let whole = vec![
        (1, project("acme", &["10.0.0.0/8"])),
        (3, webhook(&rig.key, 1, json!({}))),
        (4, webhook(&rig.key, 2, json!({}))),
    ];
    told.tell_records(whole, 4);
    soon(rig.registry.loaded()).await;
    assert!(rig.registry.is_loaded());
    let served = rig.registry.webhook(webhook_id(1)).unwrap();
    assert_eq!((served.revision, served.webhook.url.as_str()), (Revision(3), "https://example.com/1"));
    assert_eq!(&*served.template.own_headers, [("x-own".parse().unwrap(), "own value".parse().unwrap())]);
    assert!(rig.registry.project(&project_id("acme")).unwrap().egress.is_exception([10, 0, 0, 1].into()));

    let moved = webhook(&rig.key, 1, json!({"url": "https://example.com/moved"}));
    told.tell(
        vec![
            (5, moved.key(), Some(moved)),
            (6, Key::Webhook(webhook_id(2)), None),
            (7, Key::Project(project_id("acme")), Some(project("acme", &[]))),
        ],
        7,
    );
    rig.told_up_to(7).await;
    let served = rig.registry.webhook(webhook_id(1)).unwrap();
    assert_eq!((served.revision, served.webhook.url.as_str()), (Revision(5), "https://example.com/moved"));
    assert!(rig.registry.webhook(webhook_id(2)).is_none());
    assert!(!rig.registry.project(&project_id("acme")).unwrap().egress.has_exceptions());
}

#[tokio::test]
async fn what_a_fresh_watch_no_longer_tells_of_is_forgotten() {
    // A watch that is lost is as good as one whose store was away: the next one tells everything.
    for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Full, StoreErrorKind::Lost] {
        let (rig, told) = Rig::start();
        let whole = vec![
            (1, project("acme", &[])),
            (2, project("other", &[])),
            (3, webhook(&rig.key, 1, json!({}))),
            (4, webhook(&rig.key, 2, json!({}))),
            (5, api_key(1, "first")),
            (6, api_key(2, "second")),
        ];
        told.tell_records(whole, 6);
        rig.told_up_to(6).await;

        let anew = rig.next_watch();
        let whole = vec![(1, project("acme", &[])), (3, webhook(&rig.key, 1, json!({}))), (5, api_key(1, "first"))];
        anew.tell_records(whole, 9);
        told.fail(kind);
        rig.told_anew_up_to(9).await;
        assert!(rig.registry.webhook(webhook_id(1)).is_some());
        assert!(rig.registry.webhook(webhook_id(2)).is_none());
        assert_eq!(rig.registry.webhook_count(&project_id("acme")), 1);
        assert_eq!(rig.registry.webhook_at(&project_id("acme"), None, "https://example.com/2"), None);
        assert!(rig.registry.project(&project_id("acme")).is_some());
        assert!(rig.registry.project(&project_id("other")).is_none());
        assert!(rig.registry.api_key("first").is_some());
        assert!(rig.registry.api_key("second").is_none());
    }
}

#[tokio::test]
async fn refreshing_waits_for_what_the_store_has_by_then() {
    let (rig, told) = Rig::start();
    told.tell(Vec::new(), 4);
    rig.last_revision(4);
    assert_eq!(soon(rig.registry.refresh(&*rig.store, Group::Config)).await.unwrap(), Revision(4));

    rig.last_revision(6);
    let (registry, store) = (rig.registry.clone(), rig.store.clone());
    let refresh = tokio::spawn(async move { registry.refresh(&*store, Group::Config).await.unwrap() });
    told.tell_records(vec![(5, webhook(&rig.key, 1, json!({})))], 5);
    rig.told_up_to(5).await;
    tokio::task::yield_now().await;
    assert!(!refresh.is_finished(), "the last change was not told of yet");
    // That the last change was of something else, or was undone, is told as well.
    told.tell(Vec::new(), 6);
    assert_eq!(soon(refresh).await.unwrap(), Revision(6));
    assert_eq!(rig.store.last_revision(Group::Config).await.unwrap(), Revision(6));
}

#[tokio::test]
async fn changes_are_noticed_also_if_they_come_before_somebody_waits_for_them() {
    let (rig, told) = Rig::start();
    let mut changes = rig.registry.changes();
    told.tell_records(vec![(1, webhook(&rig.key, 1, json!({})))], 1);
    rig.told_up_to(1).await;
    soon(changes.next()).await;
}

#[tokio::test]
async fn what_another_key_has_sealed_ends_the_watch_and_names_the_webhook() {
    let [one, other] = std::array::from_fn(|_| SealingKey::generate(&mut rand::rng()).0);
    let (mut rig, told) = Rig::start_with(one, other);
    told.tell_records(vec![(1, webhook(&rig.key, 1, json!({})))], 1);
    let failure = rig.failure().await.to_string();
    assert!(failure.contains("watch-config"), "{failure}");
    assert!(failure.contains(&webhook_id(1).to_string()) && failure.contains("encryption key"), "{failure}");
    assert!(!rig.registry.is_loaded());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_ends_the_watch() {
    let (mut rig, told) = Rig::start();
    told.fail(StoreErrorKind::Corrupt);
    assert_eq!(rig.failure().await.name, "watch-config");
}
