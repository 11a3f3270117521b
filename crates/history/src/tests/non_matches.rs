//! Why an event did not go to a webhook, as the webhook was when the event was matched.

use fanfare_core::event::Source;
use fanfare_core::filter::Filter;
use fanfare_core::matching::NonMatch;

use super::fakes::Running;
use super::make::{event, event_of, fanned_out, subscription, webhook};

#[tokio::test]
async fn non_matches_are_those_of_the_revision_that_the_event_was_matched_at() {
    let running = Running::start();
    let all = "**";
    let mut quiet = subscription(1, all, "https://one.example/");
    quiet.active = false;
    running.store.set(quiet.clone());
    let mut elsewhere = subscription(2, all, "https://two.example/");
    elsewhere.source = Some(Source::new("12345").unwrap());
    running.store.set(elsewhere.clone());
    running.store.set(subscription(3, "invoice.*", "https://three.example/"));
    let served = subscription(4, all, "https://four.example/");
    let first = running.store.set(served.clone());
    running.knows_url(&served).await;

    // Everything is different from the next revision on.
    quiet.active = true;
    running.store.set(quiet);
    running.store.delete(&elsewhere);
    running.store.set(subscription(3, all, "https://three.example/new"));
    let newest = subscription(5, "invoice.*", "https://five.example/");
    let second = running.store.set(newest.clone());
    running.knows_url(&newest).await;

    running.tell([fanned_out(&event(1), first, &[4]), fanned_out(&event(2), second, &[1, 3, 4])]).await;
    let shown = async |number| {
        let event = event(number);
        let row = running.history.event(&event.project, &event.id, None).await.unwrap().unwrap();
        assert_eq!(row.non_matches_total, row.non_matches.len() as u64);
        row.non_matches
    };
    let then = [(webhook(1), NonMatch::Inactive), (webhook(2), NonMatch::Source), (webhook(3), NonMatch::Type)];
    assert_eq!(shown(1).await, then);
    assert_eq!(shown(2).await, [(webhook(5), NonMatch::Type)]);
}

#[tokio::test]
async fn a_filter_names_its_condition_as_long_as_the_data_is_known() {
    let running = Running::start();
    let filter = |total: u32| {
        let json = serde_json::json!({"order": {"total": [{"numeric": [">", total]}]}});
        Some(Filter::parse(json, "$").unwrap())
    };
    let mut dear = subscription(1, "**", "https://one.example/");
    dear.filter = filter(100);
    running.store.set(dear.clone());
    let mut cheap = subscription(2, "**", "https://two.example/");
    cheap.filter = filter(1);
    let revision = running.store.set(cheap.clone());
    running.knows_url(&cheap).await;
    // What it asks for later does not change what is told of the event.
    dear.filter = None;
    running.store.set(dear);

    running.tell([fanned_out(&event(1), revision, &[2])]).await;
    let shown = async |data: Option<&'static [u8]>| {
        let (event, data) = (event(1), data.map(bytes::Bytes::from_static));
        running.history.event(&event.project, &event.id, data).await.unwrap().unwrap().non_matches
    };
    let failed = |condition: Option<&str>| [(webhook(1), NonMatch::Filter { condition: condition.map(Into::into) })];
    assert_eq!(shown(Some(b"{\"order\":{\"total\":5}}")).await, failed(Some("order.total")));
    assert_eq!(shown(None).await, failed(None));
}

#[tokio::test]
async fn many_non_matches_are_counted_and_the_first_hundred_listed() {
    let running = Running::start();
    for number in 0..250 {
        running.store.set(subscription(number, "invoice.*", "https://one.example/"));
    }
    let last = subscription(250, "order.*", "https://last.example/");
    let revision = running.store.set(last.clone());
    running.knows_url(&last).await;
    let event = event_of(1, "order.paid", event(1).accepted_at);
    running.tell([fanned_out(&event, revision, &[250])]).await;
    let row = running.history.event(&event.project, &event.id, None).await.unwrap().unwrap();
    assert_eq!((row.non_matches_total, row.deliveries_total), (250, 1));
    let expected: Vec<_> = (0..100).map(|number| (webhook(number), NonMatch::Type)).collect();
    assert_eq!(row.non_matches, expected);
}

#[tokio::test]
async fn a_delivery_shows_its_webhooks_url_as_it_is_or_last_was() {
    let running = Running::start();
    let mut moved = subscription(1, "**", "https://one.example/");
    running.store.set(moved.clone());
    running.knows_url(&moved).await;
    running.tell([fanned_out(&event(1), 1, &[1])]).await;
    let url = async || {
        let event = event(1);
        running.history.event(&event.project, &event.id, None).await.unwrap().unwrap().deliveries[0].webhook_url.clone()
    };
    assert_eq!(url().await, "https://one.example/");
    moved = subscription(1, "**", "https://one.example/new");
    running.store.set(moved.clone());
    running.knows_url(&moved).await;
    assert_eq!(url().await, "https://one.example/new");
    running.store.delete(&moved);
    let marker = subscription(2, "**", "https://two.example/");
    running.store.set(marker.clone());
    running.knows_url(&marker).await;
    assert_eq!(url().await, "https://one.example/new");
}

#[tokio::test]
async fn a_webhook_that_was_deleted_while_nobody_followed_is_noticed_at_the_next_start() {
    let running = Running::start();
    let (gone, stays) = (subscription(1, "a", "https://one.example/"), subscription(2, "a", "https://two.example/"));
    running.store.set(gone.clone());
    running.store.set(stays.clone());
    running.knows_url(&stays).await;
    let store = running.store.clone();
    let (directory, journal, _, clock) = running.stop().await;
    store.delete(&gone);
    let marker = subscription(3, "a", "https://three.example/");
    let revision = store.set(marker.clone());
    let running = Running::start_in(directory, super::fakes::FOR_GOOD, journal, store, clock);
    running.knows_url(&marker).await;
    running.tell([fanned_out(&event(1), revision, &[])]).await;
    let row = running.history.event(&event(1).project, &event(1).id, None).await.unwrap().unwrap();
    assert_eq!(row.non_matches, [(webhook(2), NonMatch::Type), (webhook(3), NonMatch::Type)]);
}

#[tokio::test]
async fn nothing_sealed_is_copied_into_the_read_model() {
    let running = Running::start();
    let sealed = subscription(1, "**", "https://one.example/");
    running.store.set(sealed.clone());
    running.knows_url(&sealed).await;
    let directory = running.directory.path().to_owned();
    for entry in std::fs::read_dir(directory).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for secret in ["sealed-secret", "sealed-header"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the file");
        }
    }
}
