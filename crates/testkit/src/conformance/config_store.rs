//! What the store of configuration and health promises.

use std::collections::BTreeMap;

use fanfare_core::api_key::{ApiKey, KeyHash, KeyUse, Scope};
use fanfare_core::clock::Timestamp;
use fanfare_core::event::EventType;
use fanfare_core::health::Health;
use fanfare_core::ids::ApiKeyId;
use fanfare_core::own_type::OwnType;
use fanfare_core::ports::config_store::{Changed, Changes, Expected, Group, Key, Record, Revision, Versioned, Watch};
use fanfare_core::project::Project;

use super::fixtures::{project, soon, waits, webhook};
use super::{Engine, Harness};

/// A project's record; `version` tells one change of it from another.
fn record(name: &str, version: i64) -> Record {
    let created_at = Timestamp::from_seconds(1_765_000_000 + version);
    Record::Project(Project::new(project(name), created_at))
}

fn key(name: &str) -> Key {
    Key::Project(project(name))
}

async fn put(engine: &Engine, record: Record, expected: Expected) -> Changed {
    engine.store.put(record, expected).await.expect("answered")
}

async fn must_put(engine: &Engine, record: Record) -> Revision {
    match put(engine, record, Expected::Any).await {
        Changed::Done(revision) => revision,
        Changed::Conflict => panic!("a change on any terms met a conflict"),
    }
}

async fn get(engine: &Engine, name: &str) -> Option<Versioned> {
    engine.store.get(&key(name)).await.expect("read")
}

/// What a watch has told, put together: what is there now.
#[derive(Debug, Default)]
struct Seen {
    records: BTreeMap<Key, (Revision, Record)>,
    up_to: Revision,
}

impl Seen {
    fn apply(&mut self, changes: Changes) {
        assert!(changes.up_to >= self.up_to, "a watch never goes back");
        let mut last = Revision(0);
        for change in changes.changes {
            assert!(change.revision > last && change.revision <= changes.up_to, "changes come in order");
            last = change.revision;
            match change.record {
                Some(record) => self.records.insert(change.key, (change.revision, record)),
                None => self.records.remove(&change.key),
            };
        }
        self.up_to = changes.up_to;
    }

    async fn follow(&mut self, watch: &mut dyn Watch, to: Revision) {
        while self.up_to < to {
            self.apply(soon(watch.next()).await.expect("watched"));
        }
    }

    fn of(&self, name: &str) -> Option<&Record> {
        self.records.get(&key(name)).map(|(_, record)| record)
    }
}

async fn watch(engine: &Engine, group: Group) -> Box<dyn Watch> {
    engine.store.watch(group).await.expect("watches")
}

/// A record reads back as it was stored, with the revision that storing it was answered.
pub async fn records_read_back_with_rising_revisions<H: Harness>(harness: H) {
    let engine = harness.open().await;
    assert_eq!(get(&engine, "a").await, None);
    let first = must_put(&engine, record("a", 1)).await;
    let second = must_put(&engine, record("b", 1)).await;
    let third = must_put(&engine, record("a", 2)).await;
    assert!(Revision(0) < first && first < second && second < third);
    assert_eq!(get(&engine, "a").await, Some(Versioned { revision: third, record: record("a", 2) }));
    assert_eq!(get(&engine, "b").await, Some(Versioned { revision: second, record: record("b", 1) }));
    drop(harness);
}

/// Compare-and-set, in all its forms.
pub async fn changes_are_made_only_if_what_is_expected_is_so<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let at = |revision: Revision| Expected::At(revision);
    assert_eq!(put(&engine, record("a", 1), at(Revision(1))).await, Changed::Conflict);
    let Changed::Done(first) = put(&engine, record("a", 1), Expected::Absent).await else { panic!("it was absent") };
    assert_eq!(put(&engine, record("a", 2), Expected::Absent).await, Changed::Conflict);
    let Changed::Done(second) = put(&engine, record("a", 2), at(first)).await else { panic!("it was at the first") };
    assert_eq!(put(&engine, record("a", 3), at(first)).await, Changed::Conflict);
    assert_eq!(engine.store.remove(&key("a"), at(first)).await.expect("answered"), Changed::Conflict);
    assert_eq!(engine.store.remove(&key("a"), Expected::Absent).await.expect("answered"), Changed::Conflict);
    assert_eq!(get(&engine, "a").await, Some(Versioned { revision: second, record: record("a", 2) }));
    drop(harness);
}

/// It raises the revision, leaves nothing behind, and the key can be used again.
pub async fn removing_is_a_change_like_any_other<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let first = must_put(&engine, record("a", 1)).await;
    let removed = engine.store.remove(&key("a"), Expected::At(first)).await.expect("answered");
    let Changed::Done(removed) = removed else { panic!("it was as expected") };
    assert!(removed > first);
    assert_eq!(engine.store.last_revision(Group::Config).await.expect("asked"), removed);
    assert_eq!(get(&engine, "a").await, None);
    // The end of a record is not a revision of it.
    assert_eq!(put(&engine, record("a", 2), Expected::At(removed)).await, Changed::Conflict);
    let again = engine.store.remove(&key("a"), Expected::Any).await.expect("answered");
    assert!(matches!(again, Changed::Done(_)), "removing what is not there is done");
    let Changed::Done(anew) = put(&engine, record("a", 3), Expected::Absent).await else { panic!("it is absent") };
    assert!(anew > removed);
    drop(harness);
}

/// Two who create one record at once cannot both have created it.
pub async fn of_concurrent_creations_exactly_one_wins<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let mut calls = tokio::task::JoinSet::new();
    for version in 0..12 {
        let engine = engine.clone();
        calls.spawn(async move { (version, put(&engine, record("a", version), Expected::Absent).await) });
    }
    let won: Vec<(i64, Changed)> =
        calls.join_all().await.into_iter().filter(|(_, changed)| *changed != Changed::Conflict).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    assert_eq!(get(&engine, "a").await.map(|versioned| versioned.record), Some(record("a", won[0].0)));
    drop(harness);
}

/// Read, change, write: no update is lost.
pub async fn of_concurrent_updates_exactly_one_wins<H: Harness>(harness: H) {
    let engine = harness.open().await;
    must_put(&engine, record("a", 0)).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let engine = engine.clone();
        calls.spawn(async move {
            let mut made = 0;
            while made < 5 {
                let Some(Versioned { revision, record: Record::Project(mut project) }) = get(&engine, "a").await else {
                    panic!("the record is there")
                };
                project.created_at = project.created_at.after(std::time::Duration::from_secs(1));
                let changed = put(&engine, Record::Project(project), Expected::At(revision)).await;
                made += i32::from(changed != Changed::Conflict);
            }
        });
    }
    soon(calls.join_all()).await;
    assert_eq!(get(&engine, "a").await.map(|versioned| versioned.record), Some(record("a", 20)));
    drop(harness);
}

/// The first answer is the whole group, even if that is empty; then come the changes.
pub async fn a_watch_tells_the_whole_then_every_change<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let mut early = watch(&engine, Group::Config).await;
    assert_eq!(soon(early.next()).await.expect("watched"), Changes::default());
    must_put(&engine, record("a", 1)).await;
    let second = must_put(&engine, record("b", 1)).await;
    let mut seen = Seen::default();
    seen.follow(&mut *early, second).await;
    assert_eq!(seen.records.len(), 2);

    let mut late = watch(&engine, Group::Config).await;
    let whole = soon(late.next()).await.expect("watched");
    assert_eq!((whole.changes.len(), whole.up_to), (2, second));
    waits(late.next()).await;
    let third = must_put(&engine, record("a", 2)).await;
    let change = soon(late.next()).await.expect("watched");
    assert_eq!(change.up_to, third);
    assert_eq!(change.changes.len(), 1);
    assert_eq!((&change.changes[0].key, &change.changes[0].record), (&key("a"), &Some(record("a", 2))));
    drop(harness);
}

/// Removals are told like changes; a record that came and went between two answers is not told as there.
pub async fn a_watch_tells_of_removals<H: Harness>(harness: H) {
    let engine = harness.open().await;
    must_put(&engine, record("a", 1)).await;
    must_put(&engine, record("b", 1)).await;
    let mut watch = watch(&engine, Group::Config).await;
    let mut seen = Seen::default();
    seen.apply(soon(watch.next()).await.expect("watched"));
    assert_eq!(seen.records.len(), 2);
    let removed = engine.store.remove(&key("a"), Expected::Any).await.expect("answered");
    let Changed::Done(removed) = removed else { panic!("on any terms") };
    seen.follow(&mut *watch, removed).await;
    assert!(seen.of("a").is_none() && seen.of("b").is_some());
    must_put(&engine, record("c", 1)).await;
    engine.store.remove(&key("c"), Expected::Any).await.expect("answered");
    let last = must_put(&engine, record("a", 2)).await;
    seen.follow(&mut *watch, last).await;
    assert!(seen.of("c").is_none());
    assert_eq!(seen.of("a"), Some(&record("a", 2)));
    drop(harness);
}

/// However far it falls behind, in the end it has told what is so.
pub async fn a_slow_watch_ends_up_right<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let mut watch = watch(&engine, Group::Config).await;
    let mut seen = Seen::default();
    seen.apply(soon(watch.next()).await.expect("watched"));
    let mut last = Revision(0);
    for version in 0..60 {
        last = must_put(&engine, record(&format!("p{}", version % 7), version)).await;
        if version % 10 == 9 {
            engine.store.remove(&key(&format!("p{}", version % 7)), Expected::Any).await.expect("answered");
        }
    }
    let last = last.max(engine.store.last_revision(Group::Config).await.expect("asked"));
    seen.follow(&mut *watch, last).await;
    for name in (0..7).map(|number| format!("p{number}")) {
        let now = get(&engine, &name).await.map(|versioned| versioned.record);
        assert_eq!(seen.of(&name), now.as_ref(), "{name}");
    }
    drop(harness);
}

/// Promise 2: whoever asks for the last revision after a change was answered is told of at least that one.
pub async fn an_answered_change_is_in_the_last_revision<H: Harness>(harness: H) {
    let engine = harness.open().await;
    assert_eq!(engine.store.last_revision(Group::Config).await.expect("asked"), Revision(0));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let engine = engine.clone();
        writers.spawn(async move {
            for version in 0..10 {
                let answered = must_put(&engine, record(&format!("w{writer}"), version)).await;
                let last = engine.store.last_revision(Group::Config).await.expect("asked");
                assert!(last >= answered, "{last:?} is older than the answered {answered:?}");
                let read = get(&engine, &format!("w{writer}")).await.expect("is there");
                assert_eq!((read.revision, read.record), (answered, record(&format!("w{writer}"), version)));
            }
        });
    }
    soon(writers.join_all()).await;
    drop(harness);
}

/// Health changes often; who waits for the configuration does not wait for it.
pub async fn groups_have_revisions_of_their_own<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let config = must_put(&engine, record("a", 1)).await;
    let mut config_watch = watch(&engine, Group::Config).await;
    soon(config_watch.next()).await.expect("watched");
    let health = Record::Health(Health::new(webhook(1), project("a")));
    must_put(&engine, health.clone()).await;
    let used = Record::KeyUse(KeyUse { key: ApiKeyId::FIRST, last_used_at: Timestamp::EPOCH });
    let state = must_put(&engine, used.clone()).await;
    assert_eq!(engine.store.last_revision(Group::Config).await.expect("asked"), config);
    assert_eq!(engine.store.last_revision(Group::State).await.expect("asked"), state);
    waits(config_watch.next()).await;
    let whole = soon(watch(&engine, Group::State).await.next()).await.expect("watched");
    let records: Vec<_> = whole.changes.into_iter().map(|change| change.record).collect();
    assert_eq!(records, [Some(health), Some(used)]);
    drop(harness);
}

/// Records are durable, and no revision is given out twice, not even that of a removal.
pub async fn records_survive_a_crash_and_revisions_go_on_rising<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let kept = must_put(&engine, record("a", 1)).await;
    must_put(&engine, record("b", 1)).await;
    let removed = engine.store.remove(&key("b"), Expected::Any).await.expect("answered");
    let Changed::Done(removed) = removed else { panic!("on any terms") };
    harness.crash(engine).await;
    let engine = harness.open().await;
    assert_eq!(engine.store.last_revision(Group::Config).await.expect("asked"), removed);
    assert_eq!(get(&engine, "a").await, Some(Versioned { revision: kept, record: record("a", 1) }));
    assert_eq!(get(&engine, "b").await, None);
    let mut watch = watch(&engine, Group::Config).await;
    let whole = soon(watch.next()).await.expect("watched");
    assert_eq!((whole.changes.len(), whole.up_to), (1, removed));
    let next = must_put(&engine, record("b", 2)).await;
    assert!(next > removed);
}

/// One record of each kind that both groups have, those with the longest and the oddest keys among them.
fn one_of_each() -> Vec<Record> {
    let at = Timestamp::from_seconds(1_765_000_000);
    let own = |of: &str, name: &str| {
        Record::EventType(OwnType {
            project: project(of),
            event_type: EventType::new(name).expect("a valid type"),
            title: "Stock is low".to_owned(),
            description: Some("\u{bf}Listo?".to_owned()),
            schema: Some(serde_json::json!({"type": "object"})),
            sample: serde_json::json!({"left": 3, "of": 1.5}),
            created_at: at,
            updated_at: at,
        })
    };
    let webhook_record = serde_json::json!({
        "id": webhook(1), "project": "shop", "url": "https://example.com/", "events": ["**"], "active": true, "headers": [],
        "secret": "v1.k.sealed", "secret_last4": "last", "created_at": at, "updated_at": at,
    });
    let api_key = ApiKey {
        id: ApiKeyId::FIRST,
        project: project("shop"),
        name: "first".to_owned(),
        hash: KeyHash::of("a key"),
        scopes: vec![Scope::Read],
        created_at: at,
    };
    vec![
        Record::Webhook(serde_json::from_value(webhook_record).expect("a webhook")),
        Record::Project(Project::new(project("shop"), at)),
        Record::ApiKey(api_key),
        own("shop", "stock.low"),
        // Not the same type as the one before, nor the same key as the one after.
        own("shop", "Stock.low"),
        own("shop-stock", "low"),
        own(&"p".repeat(40), &format!("{}.A_b-9", ["s"; 15].join(".").replace('s', &"s".repeat(15)))),
        Record::Health(Health::new(webhook(1), project("shop"))),
        Record::KeyUse(KeyUse { key: ApiKeyId::FIRST, last_used_at: at }),
    ]
}

/// Whatever kind a record is of, it reads back as it was put, is told to who watches, also anew after a crash, and goes.
pub async fn every_kind_of_record_is_kept_watched_and_removed<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let all = one_of_each();
    let mut watches = [watch(&engine, Group::Config).await, watch(&engine, Group::State).await];
    let mut seen = [Seen::default(), Seen::default()];
    let mut last = [Revision(0); 2];
    let group = |record: &Record| usize::from(record.key().group() == Group::State);
    for record in &all {
        assert_eq!(Key::parse(&record.key().to_string()), Some(record.key()));
        last[group(record)] = must_put(&engine, record.clone()).await;
        assert_eq!(put(&engine, record.clone(), Expected::Absent).await, Changed::Conflict, "{:?}", record.key());
    }
    for number in 0..2 {
        seen[number].follow(&mut *watches[number], last[number]).await;
    }
    drop(watches);
    harness.crash(engine).await;

    let engine = harness.open().await;
    for record in &all {
        let told = seen[group(record)].records.get(&record.key()).map(|(_, told)| told);
        assert_eq!(told, Some(record));
        let read = engine.store.get(&record.key()).await.expect("read").expect("is there");
        assert_eq!(read.record, *record);
    }
    let mut watches = [watch(&engine, Group::Config).await, watch(&engine, Group::State).await];
    let mut seen = [Seen::default(), Seen::default()];
    for record in &all {
        let removed = engine.store.remove(&record.key(), Expected::Any).await.expect("removed");
        let Changed::Done(revision) = removed else { panic!("{:?} was not removed", record.key()) };
        last[group(record)] = revision;
        assert_eq!(engine.store.get(&record.key()).await.expect("read"), None);
    }
    for number in 0..2 {
        seen[number].follow(&mut *watches[number], last[number]).await;
        assert!(seen[number].records.is_empty(), "{:?}", seen[number]);
    }
}
