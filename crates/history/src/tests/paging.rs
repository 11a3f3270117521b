//! Lists of deliveries: what a filter finds, page after page, while others are added.

use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DeliveryStatus, End, Next, Place, QuarantineReason};
use fanfare_core::event::EventType;
use fanfare_core::health::GateReason;
use fanfare_core::ids::{DeliveryId, ProjectId};
use fanfare_core::journal::JournalEntry;
use proptest::prelude::*;
use rusqlite::Connection;

use super::make::{
    at, attempt, ended, event_id, event_of, fanned_out, original, placed, project, quarantined, retry, settled, webhook,
};
use crate::apply::apply;
use crate::database::in_memory;
use crate::query::{DeliveryFilter, DeliveryRow, deliveries};

const TYPES: [&str; 3] = ["order.paid", "order.sent", "order.lost"];
const STATUSES: [DeliveryStatus; 8] = [
    DeliveryStatus::Pending,
    DeliveryStatus::Waiting,
    DeliveryStatus::Gated,
    DeliveryStatus::Delivered,
    DeliveryStatus::Exhausted,
    DeliveryStatus::Expired,
    DeliveryStatus::Discarded,
    DeliveryStatus::Quarantined,
];

/// 120 events, three to a second, each to two of four webhooks; statuses and types go round at different paces.
fn entries(numbers: std::ops::Range<u32>) -> Vec<JournalEntry> {
    let mut entries = Vec::new();
    for number in numbers {
        let event = event_of(number, TYPES[number as usize % 3], at(i64::from(number / 3)));
        let webhooks = [u128::from(number % 4), u128::from((number + 1) % 4)];
        entries.push(fanned_out(&event, 1, &webhooks));
        for (index, webhook) in webhooks.into_iter().enumerate() {
            let delivery = original(&event, webhook);
            let end = |end| ended(&delivery, 0, end, at(500));
            match STATUSES[(number as usize + 3 * index) % 8] {
                DeliveryStatus::Pending => {}
                DeliveryStatus::Waiting => {
                    let failed = attempt(u128::from(number), 1, at(2), OutcomeClass::Timeout, None);
                    entries.push(settled(&delivery, 0, Some(failed), retry(at(600)), at(3)));
                }
                DeliveryStatus::Gated => {
                    let behind = Next::Move(Place::Gated { reason: GateReason::Paused });
                    entries.push(settled(&delivery, 0, None, behind, at(3)));
                }
                DeliveryStatus::Delivered => entries.push(end(End::Delivered)),
                DeliveryStatus::Exhausted => entries.push(end(End::Exhausted)),
                DeliveryStatus::Expired => entries.push(end(End::Expired)),
                DeliveryStatus::Discarded => entries.push(end(End::Discarded)),
                DeliveryStatus::Quarantined => {
                    entries.push(quarantined(&delivery, 1, QuarantineReason::LeasedTooOften, at(3)));
                }
            }
        }
    }
    entries
}

fn tell(connection: &mut Connection, entries: Vec<JournalEntry>) {
    let transaction = connection.transaction().unwrap();
    apply(&transaction, &placed(entries)).unwrap();
    transaction.commit().unwrap();
}

pub(super) fn filled() -> Connection {
    let mut connection = in_memory();
    tell(&mut connection, entries(0..120));
    connection
}

/// All pages of a filter, with `between` done after each.
pub(super) fn pages(
    connection: &mut Connection,
    filter: &DeliveryFilter,
    mut between: impl FnMut(&mut Connection),
) -> Vec<DeliveryRow> {
    let (mut rows, mut filter) = (Vec::new(), filter.clone());
    loop {
        let transaction = connection.transaction().unwrap();
        let page = deliveries::page(&transaction, &project(), &filter).unwrap();
        drop(transaction);
        assert!(page.rows.len() <= filter.limit);
        rows.extend(page.rows);
        let Some(next) = page.next else { return rows };
        filter.after = Some(next);
        between(connection);
    }
}

fn ids(rows: &[DeliveryRow]) -> Vec<DeliveryId> {
    rows.iter().map(|row| row.id).collect()
}

pub(super) fn fits(row: &DeliveryRow, filter: &DeliveryFilter) -> bool {
    filter.webhook.is_none_or(|webhook| row.webhook == webhook)
        && filter.event.as_ref().is_none_or(|event| row.event == *event)
        && filter.event_type.as_ref().is_none_or(|event_type| row.event_type == *event_type)
        && (!filter.errors_only
            || matches!(
                row.status,
                DeliveryStatus::Exhausted
                    | DeliveryStatus::Expired
                    | DeliveryStatus::Discarded
                    | DeliveryStatus::Quarantined
            )
            || (row.status != DeliveryStatus::Delivered
                && row.last_outcome.is_some_and(|outcome| outcome != OutcomeClass::Success)))
        && (filter.statuses.is_empty() || filter.statuses.contains(&row.status))
        && filter.since.is_none_or(|since| row.created_at >= since)
        && filter.until.is_none_or(|until| row.created_at < until)
}

pub(super) fn any_filter() -> impl Strategy<Value = DeliveryFilter> {
    let time = || prop::option::of((-2_i64..45).prop_map(at));
    (
        prop::option::of((0_u128..5).prop_map(webhook)),
        prop::option::weighted(0.2, (0_u32..130).prop_map(event_id)),
        prop::option::of(prop::sample::select(TYPES.to_vec()).prop_map(|name| EventType::new(name).unwrap())),
        prop::collection::vec(prop::sample::select(STATUSES.to_vec()), 0..4),
        (time(), time()),
        1_usize..40,
    )
        .prop_map(|(webhook, event, event_type, statuses, (since, until), limit)| DeliveryFilter {
            webhook,
            event,
            event_type,
            statuses,
            since,
            until,
            errors_only: false,
            after: None,
            limit,
        })
}

#[test]
fn the_pages_of_any_filter_are_what_fits_it_most_recent_first() {
    let mut connection = filled();
    let all = pages(&mut connection, &DeliveryFilter { limit: 100, ..DeliveryFilter::default() }, |_| {});
    assert_eq!(all.len(), 240);
    assert!(all.is_sorted_by_key(|row| std::cmp::Reverse(row.created_at)));
    let connection = std::cell::RefCell::new(connection);
    proptest!(ProptestConfig::with_cases(300), |(filter in any_filter())| {
        let found = pages(&mut connection.borrow_mut(), &filter, |_| {});
        let fitting: Vec<_> = all.iter().filter(|row| fits(row, &filter)).cloned().collect();
        prop_assert_eq!(found, fitting);
    });
}

#[test]
fn deliveries_that_come_while_somebody_pages_neither_repeat_nor_hide_any() {
    for statuses in [vec![], vec![DeliveryStatus::Pending, DeliveryStatus::Expired]] {
        let mut connection = filled();
        let filter = DeliveryFilter { limit: 7, statuses, ..DeliveryFilter::default() };
        let before = pages(&mut connection, &filter, |_| {});
        let mut number = 120;
        let during = pages(&mut connection, &filter, |connection| {
            // Newer ones; and more of the past, as a fan-out that is behind makes them.
            tell(connection, entries(number..number + 3));
            let late = event_of(number + 1000, TYPES[0], at(20));
            tell(connection, vec![fanned_out(&late, 1, &[1])]);
            number += 3;
        });
        let during = ids(&during);
        let kept: Vec<_> = during.iter().copied().filter(|id| before.iter().any(|row| row.id == *id)).collect();
        assert_eq!(kept, ids(&before));
        let mut distinct = during.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), during.len());
    }
}

#[test]
fn another_project_sees_nothing() {
    let mut connection = filled();
    let transaction = connection.transaction().unwrap();
    let other = ProjectId::new("other").unwrap();
    let all = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    let of_webhook = DeliveryFilter { webhook: Some(webhook(1)), ..all.clone() };
    let of_event = DeliveryFilter { event: Some(event_id(1)), ..all.clone() };
    let waiting = DeliveryFilter { statuses: vec![DeliveryStatus::Waiting], ..of_webhook.clone() };
    for filter in [all, of_webhook, of_event, waiting] {
        let page = deliveries::page(&transaction, &other, &filter).unwrap();
        assert_eq!((page.rows, page.next), (vec![], None), "{filter:?}");
    }
    let id = original(&event_of(1, TYPES[1], at(0)), 1).id;
    assert!(deliveries::one(&transaction, &project(), id).unwrap().is_some());
    assert!(deliveries::one(&transaction, &other, id).unwrap().is_none());
}

#[test]
fn a_rare_type_is_found_although_a_page_looks_at_a_bounded_number_of_rows() {
    let mut connection = in_memory();
    let rare = event_of(0, "order.lost", at(0));
    tell(&mut connection, vec![fanned_out(&rare, 1, &[1])]);
    for chunk in 0_u32..45 {
        let busy = |number: u32| event_of(1 + chunk * 1000 + number, "order.paid", after_start(chunk * 1000 + number));
        tell(&mut connection, (0..1000).map(|number| fanned_out(&busy(number), 1, &[1])).collect());
    }
    let filter = DeliveryFilter { event_type: Some(rare.event_type.clone()), limit: 10, ..DeliveryFilter::default() };
    let mut turns = 0;
    let found = pages(&mut connection, &filter, |_| turns += 1);
    assert_eq!(ids(&found), [original(&rare, 1).id]);
    assert_eq!(turns, 2, "45,001 rows are looked at 20,000 at a time");
}

fn after_start(millis: u32) -> Timestamp {
    at(1).after(Duration::from_millis(u64::from(millis)))
}
