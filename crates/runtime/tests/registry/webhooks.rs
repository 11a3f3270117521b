//! Webhooks by project, by target, and by what they match.

use fanfare_core::event::{ContentHash, Event};
use fanfare_core::health::{GateReason, WebhookState};
use fanfare_core::ports::config_store::{Key, Revision};
use serde_json::json;

use super::records::{project_id, webhook, webhook_id};
use super::store::Rig;

fn event(event_type: &str) -> Event {
    let header = json!({
        "project": "acme",
        "id": "event-1",
        "type": event_type,
        "time": "2025-12-06T05:46:40.000Z",
        "accepted_at": "2025-12-06T05:46:40.000Z",
    });
    let header = serde_json::from_value(header).unwrap();
    Event { header, data: (&b"{}"[..]).into(), content: ContentHash([7; 32]) }
}

#[tokio::test]
async fn a_project_s_webhooks_are_paged_in_order_of_their_id() {
    let (rig, told) = Rig::start();
    let mut whole: Vec<_> =
        (1..=5).rev().map(|number| (u64::from(10 - number), webhook(&rig.key, number, json!({})))).collect();
    whole.push((20, webhook(&rig.key, 9, json!({"project": "other"}))));
    told.tell_records(whole, 20);
    rig.told_up_to(20).await;
    let acme = project_id("acme");
    let page = |after: Option<u8>, max| -> Vec<_> {
        let page = rig.registry.webhooks_of(&acme, after.map(webhook_id), max);
        page.iter().map(|served| served.webhook.id).collect()
    };
    assert_eq!(page(None, 2), [webhook_id(1), webhook_id(2)]);
    assert_eq!(page(Some(2), 10), [webhook_id(3), webhook_id(4), webhook_id(5)]);
    assert_eq!(page(Some(5), 10), []);
    assert_eq!(rig.registry.webhook_count(&acme), 5);
    assert_eq!(rig.registry.webhook_count(&project_id("nobody")), 0);
}

#[tokio::test]
async fn a_target_follows_its_webhook_and_is_free_when_that_moves_or_goes() {
    let (rig, told) = Rig::start();
    let at = |url: &str| rig.registry.webhook_at(&project_id("acme"), None, url);
    told.tell_records(vec![(1, webhook(&rig.key, 1, json!({"url": "https://example.com/a"})))], 1);
    rig.told_up_to(1).await;
    assert_eq!(at("https://example.com/a"), Some(webhook_id(1)));

    // One moves away and another takes its place, told together: whichever comes first, the place is the other's.
    let moved = webhook(&rig.key, 1, json!({"url": "https://example.com/b"}));
    let came = webhook(&rig.key, 2, json!({"url": "https://example.com/a"}));
    told.tell_records(vec![(3, came), (4, moved)], 4);
    rig.told_up_to(4).await;
    assert_eq!(at("https://example.com/a"), Some(webhook_id(2)));
    assert_eq!(at("https://example.com/b"), Some(webhook_id(1)));
    assert_eq!(rig.registry.webhook_at(&project_id("acme"), Some("shop"), "https://example.com/a"), None);

    told.tell(vec![(5, Key::Webhook(webhook_id(2)), None)], 5);
    rig.told_up_to(5).await;
    assert_eq!(at("https://example.com/a"), None);
}

#[tokio::test]
async fn matches_are_of_the_records_as_they_are_now_with_the_revision_reached() {
    let (rig, told) = Rig::start();
    told.tell_records(vec![(1, webhook(&rig.key, 1, json!({}))), (2, webhook(&rig.key, 2, json!({})))], 2);
    rig.told_up_to(2).await;
    let matches = |event_type: &str| {
        let (revision, found) = rig.registry.matches(&event(event_type));
        (revision, found.iter().map(|served| served.webhook.id).collect::<Vec<_>>())
    };
    assert_eq!(matches("order.paid"), (Revision(2), vec![webhook_id(1), webhook_id(2)]));
    assert_eq!(matches("invoice.paid"), (Revision(2), vec![]));

    let inactive = webhook(&rig.key, 1, json!({"active": false, "inactive_since": "2025-12-06T05:46:40.000Z"}));
    let other = webhook(&rig.key, 2, json!({"events": ["invoice.paid"]}));
    told.tell_records(vec![(3, inactive), (4, other)], 7);
    rig.told_up_to(7).await;
    assert_eq!(matches("order.paid"), (Revision(7), vec![]));
    assert_eq!(matches("invoice.paid"), (Revision(7), vec![webhook_id(2)]));
    assert_eq!(rig.registry.gate(webhook_id(1)), Some(GateReason::Paused));
    assert_eq!(rig.registry.state(webhook_id(1)), WebhookState::Paused);
    assert_eq!(rig.registry.gate(webhook_id(2)), None);
    assert_eq!(rig.registry.state(webhook_id(2)), WebhookState::Healthy);
}

#[tokio::test]
async fn of_those_that_are_subscribed_only_those_whose_filter_the_data_meets_match() {
    let (rig, told) = Rig::start();
    let filtered =
        |number, total: u32| webhook(&rig.key, number, json!({"filter": {"total": [{"numeric": [">", total]}]}}));
    told.tell_records(vec![(1, filtered(1, 5)), (2, filtered(2, 50)), (3, webhook(&rig.key, 3, json!({})))], 3);
    rig.told_up_to(3).await;
    let matches = |data: &'static str| {
        let event = Event { data: data.as_bytes().into(), ..event("order.paid") };
        rig.registry.matches(&event).1.iter().map(|served| served.webhook.id).collect::<Vec<_>>()
    };
    assert_eq!(matches("{\"total\":51}"), [webhook_id(1), webhook_id(2), webhook_id(3)]);
    assert_eq!(matches("{\"total\":6}"), [webhook_id(1), webhook_id(3)]);
    assert_eq!(matches("{}"), [webhook_id(3)]);

    told.tell_records(vec![(4, filtered(1, 50))], 4);
    rig.told_up_to(4).await;
    assert_eq!(matches("{\"total\":6}"), [webhook_id(3)]);
}
