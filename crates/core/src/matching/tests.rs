//! The index against the rule it must agree with, and against what it may keep.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::clock::Timestamp;
use crate::egress::WebhookUrl;
use crate::event::{EventType, Source};
use crate::ids::{EventId, ProjectId};
use crate::retry::RetrySchedule;
use crate::seal::SealingKey;
use crate::webhook::{AttemptTimeout, PayloadVersion, WebhookKind};

fn id(number: u8) -> WebhookId {
    WebhookId::from_bytes([number; 16])
}

fn webhook(number: u8, project: &str, events: &[&str], source: Option<&str>) -> Webhook {
    let key = SealingKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    Webhook {
        id: id(number),
        project: ProjectId::new(project).unwrap(),
        url: WebhookUrl::parse("https://receiver.example/hook").unwrap(),
        events: events.iter().map(|pattern| EventPattern::new(pattern).unwrap()).collect(),
        source: source.map(|source| Source::new(source).unwrap()),
        filter: None,
        description: None,
        active: true,
        inactive_since: None,
        headers: Vec::new(),
        kind: WebhookKind::default(),
        payload_version: PayloadVersion::default(),
        retry_schedule: RetrySchedule::default(),
        timeout: AttemptTimeout::default(),
        inactivity_minutes: None,
        rate_limit: None,
        secret: key.seal("irrelevant", "", &mut StdRng::seed_from_u64(0)),
        secret_last4: "vant".to_owned(),
        previous_secret: None,
        created_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

fn event(project: &str, event_type: &str, source: Option<&str>) -> EventHeader {
    EventHeader {
        project: ProjectId::new(project).unwrap(),
        id: EventId::new("evt").unwrap(),
        event_type: EventType::new(event_type).unwrap(),
        source: source.map(|source| Source::new(source).unwrap()),
        subject: None,
        time: Timestamp::EPOCH,
        expires_at: None,
        accepted_at: Timestamp::EPOCH,
        extensions: BTreeMap::new(),
    }
}

fn index(webhooks: &[Webhook]) -> MatchIndex {
    let mut index = MatchIndex::new();
    webhooks.iter().for_each(|webhook| index.insert(webhook));
    index
}

fn found(index: &MatchIndex, event: &EventHeader) -> Vec<WebhookId> {
    let mut found = Vec::new();
    index.matches(event, &mut found);
    found
}

/// How much the index holds: entries of each of its tables.
fn held(index: &MatchIndex) -> [usize; 4] {
    [index.symbols.len(), index.trie.len(), index.postings.len(), index.indexed.len()]
}

#[test]
fn the_first_reason_of_several_is_told() {
    let mut limited = webhook(1, "shop", &["order.*"], Some("eu"));
    assert_eq!(non_match(&limited, &event("shop", "order.paid", Some("eu")), None), None);
    assert_eq!(non_match(&limited, &event("shop", "order.paid", Some("us")), None), Some(NonMatch::Source));
    assert_eq!(non_match(&limited, &event("shop", "order.paid", None), None), Some(NonMatch::Source));
    assert_eq!(non_match(&limited, &event("shop", "cart.filled", Some("us")), None), Some(NonMatch::Type));
    limited.active = false;
    assert_eq!(non_match(&limited, &event("shop", "cart.filled", Some("us")), None), Some(NonMatch::Inactive));
}

#[test]
fn a_filter_is_the_last_reason_and_names_its_condition_as_long_as_the_data_is_known() {
    let filter = serde_json::json!({"order": {"total": [{"numeric": [">", 100]}]}});
    let filtered = Webhook {
        filter: Some(crate::filter::Filter::parse(filter, "$").unwrap()),
        ..webhook(1, "shop", &["order.*"], Some("eu"))
    };
    let why = |event_type, source, data: Option<&str>| {
        let data = data.map(|json| FilterData::new(json.as_bytes()));
        non_match(&filtered, &event("shop", event_type, source), data.as_ref())
    };
    let failed = |condition: Option<&str>| Some(NonMatch::Filter { condition: condition.map(Into::into) });
    let (dear, cheap) = (Some(r#"{"order":{"total":101}}"#), Some(r#"{"order":{"total":100}}"#));
    assert_eq!(why("order.paid", Some("eu"), dear), None);
    assert_eq!(why("order.paid", Some("eu"), cheap), failed(Some("order.total")));
    assert_eq!(why("order.paid", Some("eu"), None), failed(None));
    assert_eq!(why("order.paid", Some("us"), cheap), Some(NonMatch::Source));
    assert_eq!(why("cart.filled", Some("eu"), None), Some(NonMatch::Type));
}

#[test]
fn a_reason_is_written_with_its_condition_beside_it() {
    let written = |reason: NonMatch| serde_json::to_value(reason).unwrap();
    assert_eq!(written(NonMatch::Type), serde_json::json!({"reason": "type"}));
    let filter = NonMatch::Filter { condition: Some("message.type".into()) };
    assert_eq!(written(filter), serde_json::json!({"reason": "filter", "condition": "message.type"}));
}

#[test]
fn a_webhook_found_by_several_patterns_is_found_once_and_in_order_behind_what_was_there() {
    let index = index(&[
        webhook(3, "shop", &["order.paid", "order.*", "**", "order.paid"], None),
        webhook(1, "shop", &["*.paid"], None),
        webhook(2, "shop", &["order.paid"], Some("eu")),
    ]);
    let mut found = vec![id(9), id(3)];
    index.matches(&event("shop", "order.paid", Some("eu")), &mut found);
    assert_eq!(found, [id(9), id(3), id(1), id(2), id(3)]);
}

#[test]
fn another_project_with_the_same_subscriptions_is_not_found() {
    let index = index(&[webhook(1, "shop", &["order.paid", "order.**"], None)]);
    assert_eq!(found(&index, &event("shop-2", "order.paid", None)), []);
    // A project's name that is also a segment of the patterns does not lead into the tree.
    assert_eq!(found(&index, &event("order", "paid", None)), []);
}

#[test]
fn a_replaced_webhook_is_found_as_it_now_is() {
    let mut index = index(&[webhook(1, "shop", &["order.paid", "cart.*"], None)]);
    index.insert(&webhook(1, "shop", &["order.refunded"], Some("eu")));
    assert_eq!(found(&index, &event("shop", "order.paid", Some("eu"))), []);
    assert_eq!(found(&index, &event("shop", "cart.filled", Some("eu"))), []);
    assert_eq!(found(&index, &event("shop", "order.refunded", Some("eu"))), [id(1)]);
    index.insert(&Webhook { active: false, ..webhook(1, "shop", &["order.refunded"], None) });
    assert_eq!(found(&index, &event("shop", "order.refunded", Some("eu"))), []);
    assert_eq!(held(&index), [0; 4]);
}

/// What happens to the index: a webhook set (active or not) or removed.
#[derive(Debug, Clone)]
enum Change {
    Set { number: u8, project: &'static str, events: Vec<String>, source: Option<&'static str>, active: bool },
    Remove(u8),
}

fn names(of: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(of)
}

fn projects() -> impl Strategy<Value = &'static str> {
    names(&["a", "shop"])
}

fn sources() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(names(&["a", "eu", "us"]))
}

fn patterns() -> impl Strategy<Value = String> {
    let segments = prop::collection::vec(names(&["a", "b", "*"]), 0..4);
    (segments, any::<bool>()).prop_map(|(mut segments, rest)| {
        if rest || segments.is_empty() {
            segments.push("**");
        }
        segments.join(".")
    })
}

fn changes() -> impl Strategy<Value = Change> {
    let set = (0u8..12, projects(), prop::collection::vec(patterns(), 1..4), sources(), prop::bool::weighted(0.9));
    prop_oneof![
        4 => set.prop_map(|(number, project, events, source, active)| {
            Change::Set { number, project, events, source, active }
        }),
        1 => (0u8..12).prop_map(Change::Remove),
    ]
}

fn events() -> impl Strategy<Value = EventHeader> {
    let types = prop::collection::vec(names(&["a", "b", "c"]), 1..5);
    (projects(), types, sources()).prop_map(|(project, segments, source)| event(project, &segments.join("."), source))
}

proptest! {
    #[test]
    fn the_index_agrees_with_the_rule_after_any_changes(
        changes in prop::collection::vec(changes(), 1..40),
        events in prop::collection::vec(events(), 1..20),
    ) {
        let mut index = MatchIndex::new();
        let mut webhooks = BTreeMap::new();
        for change in changes {
            match change {
                Change::Set { number, project, events, source, active } => {
                    let events: Vec<&str> = events.iter().map(String::as_str).collect();
                    let webhook = Webhook { active, ..webhook(number, project, &events, source) };
                    index.insert(&webhook);
                    webhooks.insert(webhook.id, webhook);
                }
                Change::Remove(number) => {
                    index.remove(id(number));
                    webhooks.remove(&id(number));
                }
            }
        }
        for event in events {
            let expected: Vec<WebhookId> = webhooks
                .values()
                .filter(|webhook| webhook.project == event.project && non_match(webhook, &event, None).is_none())
                .map(|webhook| webhook.id)
                .collect();
            prop_assert_eq!(found(&index, &event), expected, "{:?}", event);
        }
        // It holds what an index built at once would, and nothing when all are gone.
        let anew: Vec<Webhook> = webhooks.values().cloned().collect();
        prop_assert_eq!(held(&index), held(&self::index(&anew)));
        webhooks.keys().for_each(|id| index.remove(*id));
        prop_assert_eq!(held(&index), [0; 4]);
    }
}

#[test]
fn raw_bodies_go_to_the_kind_that_is_for_them_and_to_no_pattern() {
    let meta = Webhook { kind: WebhookKind::Meta, ..webhook(1, "shop", &[], Some("n1")) };
    let other_number = Webhook { kind: WebhookKind::Meta, ..webhook(2, "shop", &[], Some("n2")) };
    let all = webhook(3, "shop", &["**"], None);
    let named = webhook(4, "shop", &["whatsapp.meta.raw", "order.paid"], None);
    let webhooks = [meta, other_number, all, named];
    let index = index(&webhooks);
    for (event_type, to) in [("whatsapp.meta.raw", vec![id(1)]), ("order.paid", vec![id(3), id(4)])] {
        let event = event("shop", event_type, Some("n1"));
        let mut found = Vec::new();
        index.matches(&event, &mut found);
        assert_eq!(found, to, "{event_type}");
        let by_rule: Vec<WebhookId> = webhooks
            .iter()
            .filter(|webhook| non_match(webhook, &event, None).is_none())
            .map(|webhook| webhook.id)
            .collect();
        assert_eq!(by_rule, to, "{event_type}");
    }
}
