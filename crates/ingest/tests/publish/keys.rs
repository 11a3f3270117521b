//! Who may publish, and how soon after a key was made.

use std::time::Duration;

use futures_util::future::join_all;

use crate::world::{ADMIN, Answer, JSON, KEY, READER, World, soon};

const EVENT: &str = r#"{"type": "order.paid", "data": {}}"#;
const NEW: (&str, &str) = ("x-api-key", "key-new");

fn publish(world: &World, key: (&str, &str)) -> impl Future<Output = Answer> + Send + 'static {
    world.post_as(&[JSON, key], EVENT)
}

#[tokio::test]
async fn a_key_that_may_publish_is_needed() {
    let world = World::new().await;
    for (headers, status) in [
        (&[KEY][..], 202),
        (&[("authorization", "Bearer key-shop")], 202),
        (&[KEY, ("authorization", "Bearer key-shop")], 202),
        (&[], 401),
        (&[("x-api-key", "key-nobody")], 401),
        (&[KEY, ("authorization", "Bearer key-bank")], 401),
        (&[READER], 403),
    ] {
        let headers: Vec<_> = [JSON].iter().chain(headers).copied().collect();
        let answer = world.post_as(&headers, EVENT).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401);
        if status == 403 {
            assert!(answer.json["detail"].as_str().unwrap().contains("scope publish"), "{answer:?}");
        }
    }
    assert_eq!(world.log.events().len(), 3);
}

#[tokio::test]
async fn the_admin_key_does_not_publish_and_is_told_so() {
    let world = World::new().await;
    let answer = publish(&world, ADMIN).await;
    assert_eq!((answer.status, answer.code()), (403, "admin-key-refused"));
    assert!(answer.json["detail"].as_str().unwrap().contains("API key of the project"), "{answer:?}");
    assert!(world.log.events().is_empty());
}

#[tokio::test]
async fn a_key_made_a_moment_ago_elsewhere_works() {
    let world = World::new().await;
    world.store.hold_back(true);
    world.make_key("key-new", "bank");
    let mut early = Box::pin(publish(&world, NEW));
    soon("the question", async {
        tokio::join!(world.store.asked_times(1), async { assert!(futures_util::poll!(&mut early).is_pending()) })
    })
    .await;
    // The news has arrived.
    world.store.hold_back(false);
    assert_eq!(soon("the answer", early).await.status, 202);
    assert_eq!(world.log.events()[0].header.project.as_str(), "bank");
    // A known key costs the store nothing.
    assert_eq!(publish(&world, NEW).await.status, 202);
    assert_eq!(world.store.asked(), 1);
}

#[tokio::test]
async fn a_deleted_key_does_not_work() {
    let world = World::new().await;
    world.make_key("key-new", "bank");
    assert_eq!(publish(&world, NEW).await.status, 202);
    world.delete_made_key();
    // Any question about an unknown key brings the registry up to date.
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(publish(&world, ("x-api-key", "key-nobody")).await.status, 401);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(publish(&world, NEW).await.status, 401);
}

#[tokio::test]
async fn guessing_keys_does_not_hammer_the_store() {
    let world = World::new().await;
    assert_eq!(publish(&world, ("x-api-key", "guess-0")).await.status, 401);
    assert_eq!(world.store.asked(), 1);
    let guesses = tokio::spawn(join_all((1..=100).map(|_| publish(&world, ("x-api-key", "guess")))));
    let known = tokio::spawn(join_all((0..10).map(|_| publish(&world, KEY))));
    // Who has a good key does not stand in that line.
    assert!(soon("the answers", known).await.unwrap().iter().all(|answer| answer.status == 202));
    assert_eq!(world.store.asked(), 1, "asked again within 100 ms");
    world.clock.advance(Duration::from_millis(100));
    // One answer serves all who came before the question.
    assert!(soon("the answers", guesses).await.unwrap().iter().all(|answer| answer.status == 401));
    assert_eq!(world.store.asked(), 2);
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_is_not_called_wrong() {
    let world = World::new().await;
    world.store.fail(true);
    let answer = publish(&world, NEW).await;
    assert_eq!((answer.status, answer.code(), answer.retry_after()), (503, "store-unavailable", 1));
    assert_eq!(publish(&world, KEY).await.status, 202, "a known key needs no store");
    world.store.fail(false);
    world.store.hold_back(true);
    world.make_key("key-new", "bank");
    world.clock.advance(Duration::from_secs(1));
    let late = tokio::spawn(publish(&world, NEW));
    soon("the question", world.store.asked_times(2)).await;
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(soon("the answer", late).await.unwrap().status, 503);
}
