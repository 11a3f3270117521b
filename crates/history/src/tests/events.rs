//! Events: their list, and what is left of one that was deleted.

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::delivery::{DeliveryStatus, End, Next};
use fanfare_core::event::{EventHeader, EventType, Source, Subject};
use fanfare_core::ids::ProjectId;
use fanfare_core::journal::{EventDeleted, JournalEntry};
use proptest::prelude::*;
use rusqlite::Connection;

use super::make::{
    again, at, attempt, event_id, event_of, fanned_out, original, placed, project, pushed, retry, settled, webhook,
};
use crate::apply::{apply, erase_some};
use crate::database::in_memory;
use crate::deletions;
use crate::query::{EventFilter, EventSummary, deliveries, event, events};

const TYPES: [&str; 3] = ["order.paid", "order.sent", "order.lost"];

/// Three to a second; types, sources and subjects go round at different paces.
fn header(number: u32) -> EventHeader {
    EventHeader {
        source: (!number.is_multiple_of(4)).then(|| Source::new(format!("shop {}", number % 4)).unwrap()),
        subject: (!number.is_multiple_of(5)).then(|| Subject::new(format!("customer \"{}\"", number % 5)).unwrap()),
        ..event_of(number, TYPES[number as usize % 3], at(i64::from(number / 3)))
    }
}

fn tell(connection: &mut Connection, entries: Vec<JournalEntry>) {
    let transaction = connection.transaction().unwrap();
    apply(&transaction, &placed(entries)).unwrap();
    transaction.commit().unwrap();
}

fn filled() -> Connection {
    let mut connection = in_memory();
    tell(
        &mut connection,
        (0..120).map(|number| fanned_out(&header(number), 1, &[1, 2][..number as usize % 3])).collect(),
    );
    connection
}

fn pages(
    connection: &mut Connection,
    filter: &EventFilter,
    mut between: impl FnMut(&mut Connection),
) -> Vec<EventSummary> {
    let (mut rows, mut filter) = (Vec::new(), filter.clone());
    loop {
        let transaction = connection.transaction().unwrap();
        let page = events::page(&transaction, &project(), &filter).unwrap();
        drop(transaction);
        assert!(page.rows.len() <= filter.limit);
        rows.extend(page.rows);
        let Some(next) = page.next else { return rows };
        filter.after = Some(next);
        between(connection);
    }
}

fn fits(row: &EventSummary, filter: &EventFilter) -> bool {
    let header = &row.event;
    filter.event_type.as_ref().is_none_or(|wanted| header.event_type == *wanted)
        && filter.source.as_ref().is_none_or(|wanted| header.source.as_ref() == Some(wanted))
        && filter.subject.as_ref().is_none_or(|wanted| header.subject.as_ref() == Some(wanted))
        && filter.since.is_none_or(|since| header.accepted_at >= since)
        && filter.until.is_none_or(|until| header.accepted_at < until)
}

fn any_filter() -> impl Strategy<Value = EventFilter> {
    let time = || prop::option::of((-2_i64..45).prop_map(at));
    (
        prop::option::of(prop::sample::select(TYPES.to_vec()).prop_map(|name| EventType::new(name).unwrap())),
        prop::option::of((1_u32..6).prop_map(|number| Source::new(format!("shop {number}")).unwrap())),
        prop::option::of((1_u32..6).prop_map(|number| Subject::new(format!("customer \"{number}\"")).unwrap())),
        (time(), time()),
        1_usize..40,
    )
        .prop_map(|(event_type, source, subject, (since, until), limit)| EventFilter {
            event_type,
            source,
            subject,
            since,
            until,
            after: None,
            limit,
        })
}

fn ids(rows: &[EventSummary]) -> Vec<String> {
    rows.iter().map(|row| row.event.id.to_string()).collect()
}

#[test]
fn the_pages_of_any_filter_are_what_fits_it_most_recent_first() {
    let mut connection = filled();
    let all = pages(&mut connection, &EventFilter { limit: 100, ..EventFilter::default() }, |_| {});
    assert_eq!(all.len(), 120);
    assert!(all.is_sorted_by_key(|row| std::cmp::Reverse(row.event.accepted_at)));
    for row in &all {
        let number: u64 = row.event.id.as_str().trim_start_matches("order-").parse().unwrap();
        assert_eq!((row.deliveries_total, &row.event), (number % 3, &header(u32::try_from(number).unwrap())));
    }
    let connection = std::cell::RefCell::new(connection);
    proptest!(ProptestConfig::with_cases(300), |(filter in any_filter())| {
        let found = pages(&mut connection.borrow_mut(), &filter, |_| {});
        let fitting: Vec<_> = all.iter().filter(|row| fits(row, &filter)).cloned().collect();
        prop_assert_eq!(found, fitting);
    });
}

#[test]
fn events_that_come_while_somebody_pages_neither_repeat_nor_hide_any() {
    let mut connection = filled();
    let filter = EventFilter { limit: 7, ..EventFilter::default() };
    let before = ids(&pages(&mut connection, &filter, |_| {}));
    let mut number = 120;
    let during = ids(&pages(&mut connection, &filter, |connection| {
        // Newer ones; more of the past, as a fan-out that is behind makes them; and one that was shown goes.
        tell(connection, vec![fanned_out(&header(number), 1, &[1])]);
        tell(connection, vec![fanned_out(&event_of(number + 1000, TYPES[0], at(20)), 1, &[1])]);
        tell(connection, vec![deleted(number - 1, 600)]);
        number += 1;
    }));
    let kept: Vec<_> = during.iter().filter(|id| before.contains(id)).cloned().collect();
    assert_eq!(kept, before);
    let mut distinct = during.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), during.len());
}

#[test]
fn another_project_sees_no_event() {
    let mut connection = filled();
    let transaction = connection.transaction().unwrap();
    let filter = EventFilter { limit: 100, ..EventFilter::default() };
    let page = events::page(&transaction, &ProjectId::new("other").unwrap(), &filter).unwrap();
    assert_eq!((page.rows, page.next), (vec![], None));
}

fn deleted(number: u32, seconds: i64) -> JournalEntry {
    JournalEntry::EventDeleted(EventDeleted { project: project(), event: event_id(number), at: at(seconds) })
}

fn erase(connection: &mut Connection) {
    let transaction = connection.transaction().unwrap();
    while erase_some(&transaction).unwrap() {}
    transaction.commit().unwrap();
}

/// Entries of an event with three deliveries: one delivered, one that waits after a failure, one that is pending.
fn story(header: &EventHeader) -> Vec<JournalEntry> {
    let failed = attempt(7, 1, at(2), OutcomeClass::ServerError, Some(500));
    let went = attempt(8, 1, at(2), OutcomeClass::Success, Some(200));
    vec![
        fanned_out(header, 1, &[1, 2, 3]),
        settled(&original(header, 1), 0, Some(went), Next::End { end: End::Delivered }, at(3)),
        settled(&original(header, 2), 0, Some(failed), retry(at(600)), at(3)),
    ]
}

#[test]
fn of_a_deleted_event_the_lines_of_its_deliveries_stay_and_nothing_of_its_content() {
    let header = header(1);
    // What follows the deletion: an attempt that was in flight, a repeated fan-out, a retry that was under way.
    let late = || {
        let failed = attempt(9, 2, at(12), OutcomeClass::ServerError, Some(500));
        vec![
            settled(&original(&header, 2), 1, Some(failed), retry(at(900)), at(12)),
            fanned_out(&header, 1, &[1, 2, 3]),
            pushed(&again(&header, 1, "rty_1", at(13))),
        ]
    };
    // In batches of every cut, and with the erasing before and after what comes late.
    for cut in 0..4 {
        for erase_early in [false, true] {
            let mut connection = in_memory();
            let mut entries = story(&header);
            let rest = entries.split_off(cut.min(entries.len()));
            tell(&mut connection, entries);
            tell(&mut connection, rest.into_iter().chain([deleted(1, 10)]).collect());
            if erase_early {
                erase(&mut connection);
            }
            tell(&mut connection, late());
            erase(&mut connection);
            let transaction = connection.transaction().unwrap();
            assert_eq!(event::one(&transaction, &project(), &header.id, None).unwrap(), None);
            let listed = events::page(&transaction, &project(), &EventFilter { limit: 10, ..EventFilter::default() });
            assert_eq!(listed.unwrap().rows, []);
            let statuses: Vec<_> =
                [original(&header, 1), original(&header, 2), original(&header, 3), again(&header, 1, "rty_1", at(13))]
                    .into_iter()
                    .map(|delivery| {
                        let (row, attempts) = deliveries::one(&transaction, &project(), delivery.id).unwrap().unwrap();
                        assert_eq!((attempts, row.source, &row.event), (vec![], None, &header.id));
                        (row.status, row.ended_at)
                    })
                    .collect();
            let discarded = (DeliveryStatus::Discarded, Some(at(10)));
            assert_eq!(statuses, [(DeliveryStatus::Delivered, Some(at(3))), discarded, discarded, discarded]);
            let texts: i64 = transaction.query_row("SELECT count(*) FROM attempts", [], |row| row.get(0)).unwrap();
            let headers: i64 = transaction
                .query_row("SELECT count(*) FROM events WHERE header IS NOT NULL", [], |row| row.get(0))
                .unwrap();
            assert_eq!((texts, headers), (0, 0));
        }
    }
}

#[test]
fn a_deletion_is_open_until_it_is_said_to_be_finished() {
    let mut connection = in_memory();
    let header = header(1);
    tell(&mut connection, story(&header));
    let transaction = connection.transaction().unwrap();
    let mut open = deletions::open_deliveries(&transaction, &project(), &header.id).unwrap();
    open.sort_unstable_by_key(|(webhook, _)| *webhook);
    assert_eq!(open, [(webhook(2), original(&header, 2).id), (webhook(3), original(&header, 3).id)]);
    drop(transaction);
    tell(&mut connection, vec![deleted(1, 10)]);
    erase(&mut connection);
    let transaction = connection.transaction().unwrap();
    assert_eq!(deletions::open(&transaction, at(9)).unwrap(), [], "too young");
    let mut found = deletions::open(&transaction, at(10)).unwrap().remove(0);
    found.deliveries.sort_unstable_by_key(|(webhook, _)| *webhook);
    assert_eq!((&found.project, &found.event, found.at, &found.deliveries), (&project(), &header.id, at(10), &open));
    deletions::finish(&transaction, &project(), &header.id).unwrap();
    assert_eq!(deletions::open(&transaction, at(1000)).unwrap(), []);
}

#[test]
fn another_event_under_a_deleted_ones_id_is_an_event() {
    let mut connection = in_memory();
    tell(&mut connection, story(&header(1)));
    tell(&mut connection, vec![deleted(1, 10)]);
    erase(&mut connection);
    let anew = EventHeader { accepted_at: at(90_000), time: at(90_000), ..header(1) };
    tell(&mut connection, vec![fanned_out(&anew, 1, &[4])]);
    let transaction = connection.transaction().unwrap();
    let found = event::one(&transaction, &project(), &anew.id, None).unwrap().unwrap();
    assert_eq!((found.event, found.deliveries_total), (anew, 4));
}
