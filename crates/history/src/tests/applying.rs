//! Entries in any order, any number of times, in batches of any size.

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::delivery::{DeliveryStatus, DueReason, End, Next, Place, QuarantineReason};
use fanfare_core::health::GateReason;
use fanfare_core::ids::Hop;
use fanfare_core::journal::{AttemptedLate, JournalEntry};
use proptest::prelude::*;
use rusqlite::Connection;

use super::make::{
    again, at, attempt, brought_forward, ended, event, fanned_out, original, placed, project, pushed, quarantined,
    retry, settled, webhook, webhook_deleted,
};
use crate::apply::{apply, close_some};
use crate::database::in_memory;
use crate::query::{DeliveryRow, deliveries, event as events};

/// Applies entries in batches of the given sizes, the last of which is repeated.
fn applied(entries: &[JournalEntry], batches: &[usize]) -> Connection {
    let mut connection = in_memory();
    let mut rest = placed(entries.iter().cloned());
    for size in batches.iter().chain(std::iter::repeat(batches.last().unwrap_or(&1))) {
        if rest.is_empty() {
            break;
        }
        let batch: Vec<_> = rest.drain(..rest.len().min(*size)).collect();
        let transaction = connection.transaction().unwrap();
        apply(&transaction, &batch).unwrap();
        transaction.commit().unwrap();
    }
    connection
}

/// What is shown in the end of webhook 1's original delivery of event 1: the delivery, its attempts' numbers, the event.
fn shown(connection: &mut Connection) -> (DeliveryRow, Vec<u32>, Option<(u64, u64)>) {
    let transaction = connection.transaction().unwrap();
    while close_some(&transaction).unwrap() {}
    let id = original(&event(1), 1).id;
    let (row, attempts) = deliveries::one(&transaction, &project(), id).unwrap().unwrap();
    let event = events::one(&transaction, &project(), &event(1).id, None).unwrap();
    let numbers = attempts.iter().map(|attempt| attempt.number).collect();
    (row, numbers, event.map(|event| (event.deliveries_total, event.data_bytes)))
}

/// How many kinds of moves there are beside those behind a gate, of which there is one for each reason.
const KINDS: usize = 6;

/// The life of one delivery, as a worker and the API write it: fan-out, then `moves`, then perhaps an end.
fn life(moves: &[usize], end: Option<End>) -> Vec<JournalEntry> {
    let delivery = original(&event(1), 1);
    let mut entries = vec![fanned_out(&event(1), 1, &[1])];
    let (mut hop, mut attempts) = (0, 0);
    for kind in moves {
        let when = at(10 + i64::from(hop));
        let tried = |number: u32| {
            let (outcome, status) = match number % 3 {
                0 => (OutcomeClass::Timeout, None),
                1 => (OutcomeClass::ServerError, Some(503)),
                _ => (OutcomeClass::RateLimited, Some(429)),
            };
            Some(attempt(u128::from(number), number, when, outcome, status))
        };
        let due = |reason| Next::Move(Place::Due { at: when.after(std::time::Duration::from_secs(5)), reason });
        let gated = |reason| Next::Move(Place::Gated { reason });
        if *kind < 2 {
            attempts += 1;
        }
        entries.push(match kind {
            0 => settled(&delivery, hop, tried(attempts), due(DueReason::Retry), when),
            1 => settled(&delivery, hop, tried(attempts), due(DueReason::RetryAfter), when),
            2 => settled(&delivery, hop, None, due(DueReason::Congested), when),
            3 => settled(&delivery, hop, None, Next::Move(Place::Ready), when),
            4 => quarantined(&delivery, hop + 1, QuarantineReason::LeasedTooOften, when),
            5 => brought_forward(&delivery, hop + 1, when),
            kind => settled(&delivery, hop, None, gated(GateReason::ALL[kind - KINDS]), when),
        });
        hop += 1;
    }
    entries.extend(end.map(|end| ended(&delivery, hop, end, at(1000))));
    entries
}

fn any_end() -> impl Strategy<Value = Option<End>> {
    prop::sample::select(vec![
        None,
        Some(End::Delivered),
        Some(End::Exhausted),
        Some(End::Expired),
        Some(End::Discarded),
    ])
}

/// A life, and the same with some entries repeated and all of them shuffled, in batches of some sizes.
fn retold() -> impl Strategy<Value = (Vec<JournalEntry>, Vec<JournalEntry>, Vec<usize>)> {
    (prop::collection::vec(0..KINDS + GateReason::ALL.len(), 0..6), any_end()).prop_flat_map(|(moves, end)| {
        let entries = life(&moves, end);
        let repeats = prop::collection::vec(prop::sample::select(entries.clone()), 0..4);
        let shuffled = repeats.prop_flat_map({
            let entries = entries.clone();
            move |repeats| Just([entries.clone(), repeats].concat()).prop_shuffle()
        });
        (Just(entries), shuffled, prop::collection::vec(1_usize..5, 1..4))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_and_repetition_of_a_deliverys_entries_makes_the_same_row((life, retold, batches) in retold()) {
        let expected = shown(&mut applied(&life, &[1]));
        prop_assert_eq!(shown(&mut applied(&retold, &batches)), expected);
    }

    #[test]
    fn a_deletion_anywhere_leaves_nothing_open_and_no_end_undone((life, mut retold, batches) in retold(), place: prop::sample::Index) {
        let before = shown(&mut applied(&life, &[1])).0.status;
        retold.insert(place.index(retold.len() + 1), webhook_deleted(1, at(500)));
        let expected = match before {
            DeliveryStatus::Pending
            | DeliveryStatus::Waiting
            | DeliveryStatus::Gated
            | DeliveryStatus::Quarantined => DeliveryStatus::Discarded,
            DeliveryStatus::Delivered | DeliveryStatus::Exhausted | DeliveryStatus::Expired | DeliveryStatus::Discarded => before,
        };
        let (row, ..) = shown(&mut applied(&retold, &batches));
        prop_assert_eq!(row.status, expected);
        prop_assert!(row.ended_at.is_some() && row.next_attempt_at.is_none() && row.waiting_reason.is_none());
    }
}

#[test]
fn a_life_is_shown_at_each_of_its_stages() {
    let delivery = original(&event(1), 1);
    let failed = attempt(1, 1, at(2), OutcomeClass::ServerError, Some(503));
    let mut entries = vec![fanned_out(&event(1), 1, &[1])];
    let (row, attempts, event_shown) = shown(&mut applied(&entries, &[1]));
    assert_eq!((row.status, row.hop, row.attempt_count, row.last_outcome), (DeliveryStatus::Pending, Hop(0), 0, None));
    assert_eq!((row.webhook, row.created_at, row.ended_at), (webhook(1), at(1), None));
    assert_eq!((attempts, event_shown), (vec![], Some((1, 17))));

    entries.push(settled(&delivery, 0, Some(failed), retry(at(7)), at(3)));
    let (row, attempts, _) = shown(&mut applied(&entries, &[1]));
    assert_eq!((row.status, row.hop, row.attempt_count), (DeliveryStatus::Waiting, Hop(1), 1));
    assert_eq!((row.waiting_reason.as_deref(), row.next_attempt_at), (Some("retry"), Some(at(7))));
    assert_eq!((row.last_attempt_at, row.last_outcome), (Some(at(2)), Some(OutcomeClass::ServerError)));
    assert_eq!((row.response_status, attempts), (Some(503), vec![1]));

    entries.push(brought_forward(&delivery, 2, at(4)));
    let (row, ..) = shown(&mut applied(&entries, &[1]));
    assert_eq!((row.status, row.hop, row.next_attempt_at), (DeliveryStatus::Pending, Hop(2), None));

    let succeeded = attempt(2, 2, at(5), OutcomeClass::Success, Some(204));
    entries.push(settled(&delivery, 2, Some(succeeded), Next::End { end: End::Delivered }, at(6)));
    let (row, attempts, _) = shown(&mut applied(&entries, &[1]));
    assert_eq!((row.status, row.ended_at), (DeliveryStatus::Delivered, Some(at(6))));
    assert_eq!((row.response_status, row.attempt_count, attempts), (Some(204), 2, vec![1, 2]));
}

#[test]
fn an_attempt_that_came_too_late_is_shown_and_moves_nothing() {
    let delivery = original(&event(1), 1);
    let late = JournalEntry::AttemptedLate(AttemptedLate {
        delivery: delivery.clone(),
        attempt: attempt(9, 1, at(2), OutcomeClass::Timeout, None),
        at: at(3),
    });
    let gated = Next::Move(Place::Gated { reason: GateReason::Congested });
    let mut entries = vec![fanned_out(&event(1), 1, &[1]), settled(&delivery, 0, None, gated, at(1)), late];
    let (row, attempts, _) = shown(&mut applied(&entries, &[1]));
    assert_eq!((row.status, row.hop, row.attempt_count), (DeliveryStatus::Gated, Hop(1), 1));
    assert_eq!((row.last_outcome, attempts), (Some(OutcomeClass::Timeout), vec![1]));
    // After the end too.
    entries.insert(2, settled(&delivery, 1, None, Next::End { end: End::Expired }, at(2)));
    let (row, attempts, _) = shown(&mut applied(&entries, &[2]));
    assert_eq!((row.status, row.ended_at, attempts), (DeliveryStatus::Expired, Some(at(2)), vec![1]));
}

#[test]
fn what_is_in_quarantine_is_shown_with_its_reason_until_it_is_put_back() {
    let delivery = original(&event(1), 1);
    let entries = [
        quarantined(&delivery, 1, QuarantineReason::Unreadable, at(3)),
        fanned_out(&event(1), 1, &[1]),
        brought_forward(&delivery, 2, at(9)),
    ];
    let (row, ..) = shown(&mut applied(&entries[..2], &[1]));
    assert_eq!((row.status, row.hop, row.ended_at), (DeliveryStatus::Quarantined, Hop(1), None));
    assert_eq!(row.waiting_reason.as_deref(), Some("unreadable"));
    let (row, ..) = shown(&mut applied(&entries, &[1]));
    assert_eq!((row.status, row.hop, row.waiting_reason), (DeliveryStatus::Pending, Hop(2), None));
}

#[test]
fn an_attempt_is_shown_as_it_was_told() {
    let told = attempt(7, 1, at(2), OutcomeClass::ServerError, Some(503));
    let delivery = original(&event(1), 1);
    let mut connection = applied(&[settled(&delivery, 0, Some(told.clone()), retry(at(9)), at(3))], &[1]);
    let transaction = connection.transaction().unwrap();
    let (_, attempts) = deliveries::one(&transaction, &project(), delivery.id).unwrap().unwrap();
    assert_eq!(attempts, [told]);
}

#[test]
fn an_end_told_again_keeps_its_earliest_time_whichever_is_told_first() {
    let delivery = original(&event(1), 1);
    let [first, again] = [5, 90].map(|seconds| ended(&delivery, 0, End::Expired, at(seconds)));
    for told in [[first.clone(), again.clone()], [again, first]] {
        let (row, ..) = shown(&mut applied(&told, &[1]));
        assert_eq!(row.ended_at, Some(at(5)));
    }
}

#[test]
fn a_worker_in_flight_when_the_webhook_was_deleted_tells_what_became_of_the_delivery() {
    let delivery = original(&event(1), 1);
    let entries =
        [fanned_out(&event(1), 1, &[1]), webhook_deleted(1, at(5)), ended(&delivery, 0, End::Delivered, at(6))];
    for batches in [1, 3] {
        let (row, ..) = shown(&mut applied(&entries, &[batches]));
        assert_eq!((row.status, row.ended_at), (DeliveryStatus::Delivered, Some(at(6))));
    }
}

#[test]
fn a_run_asked_for_later_is_a_delivery_of_its_own_and_needs_no_event() {
    let later = again(&event(1), 1, "rty_1", at(50));
    let entries = [
        pushed(&later),
        ended(&later, 0, End::Delivered, at(60)),
        fanned_out(&event(1), 1, &[1]),
        ended(&original(&event(1), 1), 0, End::Exhausted, at(40)),
    ];
    for told in 2..=4 {
        let mut connection = applied(&entries[..told], &[1]);
        let transaction = connection.transaction().unwrap();
        let (row, _) = deliveries::one(&transaction, &project(), later.id).unwrap().unwrap();
        assert_eq!((row.run, row.status, row.created_at), (later.run.clone(), DeliveryStatus::Delivered, at(50)));
        let event = events::one(&transaction, &project(), &event(1).id, None).unwrap();
        assert_eq!(event.map(|event| event.deliveries_total), (told > 2).then_some(2));
    }
}

#[test]
fn a_deleted_webhooks_deliveries_are_closed_in_bounded_steps() {
    let fan_outs: Vec<_> = (0..2500).map(|number| fanned_out(&event(number), 1, &[1, 2])).collect();
    let mut connection = applied(&fan_outs, &[500]);
    let transaction = connection.transaction().unwrap();
    apply(&transaction, &placed([webhook_deleted(1, at(9000))])).unwrap();
    let open = || -> (i64, i64) {
        let of = |number| {
            let sql = "SELECT count(*) FROM deliveries WHERE webhook = ?1 AND status = 0";
            transaction.query_row(sql, [webhook(number).as_bytes()], |row| row.get(0)).unwrap()
        };
        (of(1), of(2))
    };
    assert_eq!(open(), (2500, 2500));
    let mut steps = Vec::new();
    while close_some(&transaction).unwrap() {
        steps.push(open());
    }
    assert_eq!(steps, [(1500, 2500), (500, 2500), (0, 2500)]);
}
