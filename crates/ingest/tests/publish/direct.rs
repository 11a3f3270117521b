//! What producers hand to the broker themselves: taken in project by project, as each one's quota allows, and no project waits
//! for another.

use std::time::Duration;

use fanfare_core::clock::Timestamp;
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::StoreErrorKind;
use fanfare_core::ports::config_store::Record;
use fanfare_core::project::Project;
use fanfare_ingest::IngestConfig;
use serde_json::json;

use crate::intake::MemoryIntake;
use crate::world::{World, soon};

const EVENT: &str = r#"{"data": {}}"#;

/// Two projects, and an intake that is worked off.
async fn taking_in(config: IngestConfig) -> (World, MemoryIntake) {
    let (world, intake) = (World::with(config).await, MemoryIntake::new());
    for project in ["shop", "bank"] {
        world.store.set(Record::Project(Project::new(ProjectId::new(project).unwrap(), Timestamp::EPOCH)));
    }
    world.take_in(&intake);
    (world, intake)
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    soon(what, async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_project_over_its_quota_is_allowed_comes_evenly_and_not_in_a_burst_each_second() {
    let config = IngestConfig { events_per_second: 500, burst: 500, ..IngestConfig::default() };
    let (world, intake) = taking_in(config).await;
    for _ in 0..1000 {
        intake.publish("shop", EVENT);
    }
    until("the burst", || world.log.events().len() >= 500).await;
    for batch in 1..=20 {
        world.clock.advance(Duration::from_millis(20));
        let allowed = 500 + batch * 10;
        until("the next batch", || world.log.events().len() >= allowed).await;
        assert_eq!(world.log.events().len(), allowed, "after {} ms", batch * 20);
    }
    intake.publish("bank", EVENT);
    until("another project's event", || world.log.events().len() == 701).await;
    assert_eq!(world.log.events()[700].header.project.as_str(), "bank");
}

#[tokio::test]
async fn a_project_whose_rejections_take_long_holds_up_no_other() {
    let (world, intake) = taking_in(IngestConfig::default()).await;
    let closed = intake.open.acquire().await.unwrap();
    for _ in 0..200 {
        intake.publish("shop", "{}");
    }
    intake.publish("bank", EVENT);
    until("the other project's event", || world.log.events().len() == 1).await;
    assert_eq!(intake.rejected(), 0);
    intake.publish("bank", EVENT);
    until("its next one", || world.log.events().len() == 2).await;
    drop(closed);
    until("every rejection", || intake.rejected() == 200 && intake.count() == 0).await;
    assert_eq!(world.counted("invalid"), 200);
}

#[tokio::test]
async fn a_projects_messages_are_taken_in_in_order_and_each_once() {
    let (world, intake) = taking_in(IngestConfig::default()).await;
    let ids: Vec<String> = (0..500).map(|number| format!("order-{number}")).collect();
    for id in &ids {
        intake.publish("shop", &json!({"id": id, "data": {}}).to_string());
    }
    until("every event", || world.log.events().len() >= 500 && intake.count() == 0).await;
    assert_eq!(world.log.ids(), ids);
    assert_eq!((world.counted("accepted"), world.counted("duplicate")), (500, 0));
}

#[tokio::test]
async fn a_line_that_is_crowded_is_waited_for() {
    let config = IngestConfig { max_project_backlog: 100, ..IngestConfig::default() };
    let (world, intake) = taking_in(config).await;
    world.log.set_crowded(100);
    let before = world.log.asked().crowded;
    intake.publish("shop", EVENT);
    until("the question", || world.log.asked().crowded > before).await;
    world.log.set_crowded(0);
    until("the project to be put off", || {
        world.clock.advance(Duration::from_millis(10));
        world.log.events().len() == 1
    })
    .await;
    assert_eq!(intake.rejected(), 0, "it is no refusal");
    until("its removal", || intake.count() == 0).await;
}

#[tokio::test]
async fn a_store_that_is_away_or_far_behind_is_waited_for_and_nothing_is_lost() {
    let (world, intake) = taking_in(IngestConfig { max_backlog: 100, ..IngestConfig::default() }).await;
    let back = |what: &'static str| {
        let (world, intake) = (&world, &intake);
        until(what, || {
            world.clock.advance(Duration::from_millis(500));
            intake.count() == 0
        })
    };
    world.log.fail_with(Some(StoreErrorKind::Unavailable));
    intake.publish("shop", EVENT);
    until("the first try", || world.log.asked().refused > 0).await;
    world.log.fail_with(None);
    back("the event after the outage").await;
    world.log.set_backlog(101);
    intake.publish("shop", EVENT);
    let asked = world.log.asked().backlog;
    until("the look at the backlog", || world.log.asked().backlog > asked).await;
    assert_eq!(world.log.events().len(), 1);
    world.log.set_backlog(100);
    back("the event after the backlog").await;
    assert_eq!((world.log.events().len(), world.counted("accepted")), (2, 2));
}

#[tokio::test]
async fn a_partition_that_has_gone_to_another_process_is_left_alone() {
    let (world, intake) = taking_in(IngestConfig::default()).await;
    intake.publish("shop", EVENT);
    until("the event", || intake.count() == 0).await;
    intake.lose();
    intake.publish("shop", EVENT);
    until("the end of the work", || !intake.is_held()).await;
    assert_eq!((world.log.events().len(), intake.count()), (1, 1));
}
