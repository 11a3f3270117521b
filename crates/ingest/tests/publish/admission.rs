//! Refused for now: quota, backlog, memory, store. Nothing was accepted, and the answer says when to come back.

use std::time::Duration;

use fanfare_core::ports::StoreErrorKind;
use fanfare_ingest::IngestConfig;
use serde_json::{Value, json};

use crate::world::{Answer, BANK, BATCH, JSON, World, soon};

const EVENT: &str = r#"{"type": "order.paid", "data": {}}"#;

fn batch(events: usize) -> String {
    Value::from(vec![json!({"type": "order.paid", "data": {}}); events]).to_string()
}

#[tokio::test]
async fn over_its_quota_a_project_waits_and_the_others_do_not() {
    let config = IngestConfig { events_per_second: 10, burst: 500, ..IngestConfig::default() };
    let world = World::with(config).await;
    assert_eq!(world.post(BATCH, batch(450)).await.status, 202);
    // 50 are left, 100 are there in 5 seconds.
    let answer = world.post(BATCH, batch(100)).await;
    assert_eq!((answer.status, answer.code(), answer.retry_after()), (429, "too-many-requests", 5));
    assert_eq!((world.log.events().len(), world.counted("quota")), (450, 100));
    assert_eq!(world.post(BATCH, batch(50)).await.status, 202);
    let answer = world.post(JSON, EVENT).await;
    assert_eq!((answer.status, answer.retry_after()), (429, 5), "a tenth of the burst");
    assert_eq!(world.post_as(&[BANK, JSON], EVENT).await.status, 202);
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.post(BATCH, batch(50)).await.status, 202);
    assert_eq!((world.log.events().len(), world.counted("quota")), (551, 101));
}

#[tokio::test]
async fn wrong_events_cost_their_tokens_too() {
    let config = IngestConfig { events_per_second: 1, burst: 500, ..IngestConfig::default() };
    let world = World::with(config).await;
    for _ in 0..500 {
        assert_eq!(world.post(JSON, "{}").await.status, 400);
    }
    assert_eq!(world.post(JSON, "{}").await.status, 429);
}

#[tokio::test]
async fn a_long_backlog_is_told_until_it_is_shorter() {
    let world = World::with(IngestConfig { max_backlog: 100, ..IngestConfig::default() }).await;
    world.log.set_backlog(101);
    let answer = world.post(JSON, EVENT).await;
    assert_eq!((answer.status, answer.code()), (503, "overloaded"));
    assert!(answer.retry_after() >= 1);
    assert!(world.log.events().is_empty());
    assert_eq!(world.counted("unavailable"), 1);
    world.log.set_backlog(100);
    assert_eq!(world.post(JSON, EVENT).await.status, 202);
}

/// Posts where the line is full; when that has been seen `then` is done.
async fn post_into_a_full_line(world: &World, body: String, then: impl FnOnce()) -> Answer {
    world.log.set_crowded(100);
    let asked = world.log.asked().crowded;
    let posting = tokio::spawn(world.post(JSON, body));
    soon("the question", async {
        while world.log.asked().crowded == asked {
            tokio::task::yield_now().await;
        }
    })
    .await;
    then();
    posting.await.unwrap()
}

#[tokio::test]
async fn a_projects_line_that_is_too_long_is_waited_for_a_moment_and_told_until_it_is_shorter() {
    let world = World::with(IngestConfig { max_project_backlog: 100, ..IngestConfig::default() }).await;
    for body in [EVENT.to_owned(), batch(10)] {
        let later = || world.clock.advance(Duration::from_millis(500));
        let answer = post_into_a_full_line(&world, body, later).await;
        assert_eq!((answer.status, answer.code()), (429, "too-many-requests"));
        assert!(answer.retry_after() >= 1);
    }
    assert!(world.log.events().is_empty());
    assert_eq!(world.counted("quota"), 11);
    let shorter = || {
        world.log.set_crowded(6);
        world.clock.advance(Duration::from_millis(4));
    };
    assert_eq!(post_into_a_full_line(&world, EVENT.to_owned(), shorter).await.status, 202);
    // Where nothing moves there is room up to the bound.
    let still_long = || {
        world.log.set_crowded(99);
        world.clock.advance(Duration::from_millis(500));
    };
    assert_eq!(post_into_a_full_line(&world, EVENT.to_owned(), still_long).await.status, 202);
    let unbounded = World::with(IngestConfig { max_project_backlog: 0, ..IngestConfig::default() }).await;
    unbounded.log.set_crowded(1_000_000);
    assert_eq!(unbounded.post(JSON, EVENT).await.status, 202);
}

#[tokio::test]
async fn a_store_that_does_not_take_events_is_told_without_its_secrets() {
    let world = World::new().await;
    for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Full] {
        world.log.fail_with(Some(kind));
        for body in [EVENT.to_owned(), batch(10)] {
            let answer = world.post(JSON, body).await;
            assert_eq!(answer.status, 503);
            assert!(answer.retry_after() >= 1);
            assert!(!answer.json.to_string().contains("/dev/secret"), "{}", answer.json);
        }
    }
    assert_eq!((world.counted("unavailable"), world.timed().0), (22, 0));
    world.log.fail_with(None);
    assert_eq!(world.post(JSON, EVENT).await.status, 202);
    assert_eq!(world.log.events().len(), 1);
}

#[tokio::test]
async fn bodies_in_memory_are_bounded_until_their_events_are_durable() {
    const MIB: usize = 1024 * 1024;
    let world = World::with(IngestConfig { max_body_bytes: 8 * MIB, ..IngestConfig::default() }).await;
    let large = || format!("{}{}", batch(1), " ".repeat(5 * MIB));
    let held = world.log.open.acquire().await.unwrap();
    let mut waiting = Box::pin(world.post(BATCH, large()));
    // Its one await that is not ready at once is the log's.
    assert!(futures_util::poll!(&mut waiting).is_pending());
    let answer = world.post(BATCH, large()).await;
    assert_eq!((answer.status, answer.code(), answer.retry_after()), (503, "overloaded", 1));
    drop(held);
    assert_eq!(soon("the answer", waiting).await.status, 202);
    assert_eq!(world.post(BATCH, large()).await.status, 202);
    assert_eq!(world.log.events().len(), 2);
}

#[tokio::test]
async fn the_time_until_events_are_durable_is_measured() {
    let world = World::new().await;
    let held = world.log.open.acquire().await.unwrap();
    let mut waiting = Box::pin(world.post(JSON, EVENT));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    world.clock.advance(Duration::from_millis(250));
    drop(held);
    assert_eq!(soon("the answer", waiting).await.status, 202);
    assert_eq!(world.timed(), (1, 0.25));
}
