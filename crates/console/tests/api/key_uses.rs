//! When keys were last used, as several processes note and store it.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::api_key::Scope;
use fanfare_core::clock::{Clock as _, Timestamp};
use fanfare_core::ids::ApiKeyId;
use fanfare_core::ports::config_store::{ConfigStore, Expected, Group, Key, Record};
use fanfare_core::seal::SealingKey;
use fanfare_runtime::tasks::Failures;
use fanfare_runtime::{Registry, Tasks};
use fanfare_testkit::ManualClock;

use crate::world::{World, acme, api_key};

const MINUTE: Duration = Duration::from_secs(60);

/// A process that serves requests: a registry of its own, on a clock that the test drives.
struct Process {
    registry: Arc<Registry>,
    tasks: Tasks,
    _failures: Failures,
}

impl Process {
    async fn start(world: &World, clock: &ManualClock) -> Self {
        let (failures, (sealing, _)) = (Failures::new(), SealingKey::generate(&mut rand::rng()));
        let (registry, tasks) = (Registry::new(sealing), failures.group());
        let store: Arc<dyn ConfigStore> = Arc::clone(&world.store) as Arc<dyn ConfigStore>;
        let clock: Arc<dyn fanfare_core::clock::Clock> = Arc::new(clock.clone());
        registry.start(&store, &clock, &tasks);
        registry.loaded().await;
        Self { registry, tasks, _failures: failures }
    }
}

async fn stored(world: &World, id: ApiKeyId) -> Option<Timestamp> {
    match world.store.inner.get(&Key::KeyUse(id)).await.unwrap()?.record {
        Record::KeyUse(used) => Some(used.last_used_at),
        other => panic!("{other:?}"),
    }
}

async fn put_key(world: &World) -> ApiKeyId {
    let key = api_key(99, "used-key-0123456789", acme(), vec![Scope::Read], world.clock.now());
    let id = key.id;
    world.store.inner.put(Record::ApiKey(key), Expected::Absent).await.unwrap();
    id
}

#[tokio::test]
async fn uses_are_stored_once_a_minute_whoever_saw_them_and_every_process_knows() {
    let (world, clock) = (World::new().await, ManualClock::new());
    let id = put_key(&world).await;
    let (one, two) = (Process::start(&world, &clock).await, Process::start(&world, &clock).await);
    assert_eq!(one.registry.key_last_used(id), None);
    let first = clock.now();
    for _ in 0..1000 {
        one.registry.note_key_use(id, first);
        two.registry.note_key_use(id, first);
    }
    assert_eq!(one.registry.key_last_used(id), Some(first), "its own process knows at once");
    assert_eq!(stored(&world, id).await, None);
    clock.advance(MINUTE);
    world.until("the first note", async || stored(&world, id).await == Some(first)).await;
    let revision = world.store.inner.last_revision(Group::State).await.unwrap();
    for process in [&one, &two] {
        process.registry.refresh(&*world.store.inner, Group::State).await.unwrap();
        assert_eq!(process.registry.key_last_used(id), Some(first));
    }

    // A minute later the use since then is stored, once, and both know of it.
    clock.advance(Duration::from_secs(30));
    let second = clock.now();
    two.registry.note_key_use(id, second);
    clock.advance(Duration::from_secs(30));
    world.until("the second note", async || stored(&world, id).await == Some(second)).await;
    one.registry.refresh(&*world.store.inner, Group::State).await.unwrap();
    assert_eq!(one.registry.key_last_used(id), Some(second));
    assert_eq!(
        world.store.inner.last_revision(Group::State).await.unwrap().0,
        revision.0 + 1,
        "written more than once"
    );
}

#[tokio::test]
async fn an_orderly_stop_stores_what_is_noted_and_a_deleted_keys_use_is_not_stored() {
    let (world, clock) = (World::new().await, ManualClock::new());
    let id = put_key(&world).await;
    let process = Process::start(&world, &clock).await;
    process.registry.note_key_use(id, clock.now());
    let unknown = ApiKeyId::FIRST;
    process.registry.note_key_use(unknown, clock.now());
    process.tasks.stop(MINUTE).await.unwrap();
    assert_eq!((stored(&world, id).await, stored(&world, unknown).await), (Some(clock.now()), None));
}

#[tokio::test]
async fn while_the_store_is_away_uses_are_kept() {
    let (world, clock) = (World::new().await, ManualClock::new());
    let id = put_key(&world).await;
    let process = Process::start(&world, &clock).await;
    let used = clock.now();
    process.registry.note_key_use(id, used);
    world.store.refuse(Some("put key-use"));
    clock.advance(MINUTE);
    assert_eq!(process.registry.key_last_used(id), Some(used));
    world.store.refuse(None);
    // However far the look that failed had come, the next one stores it.
    world
        .until("the note", async || {
            clock.advance(MINUTE);
            stored(&world, id).await == Some(used)
        })
        .await;
}
