use std::collections::BTreeMap;

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::{DueReason, Place};
use fanfare_testkit::conformance::fixtures::{delivery, webhook};
use proptest::prelude::*;

use super::*;

fn row(at: i64, seq: i64) -> Standing {
    let place = Place::Due { at: Timestamp::from_millis(at), reason: DueReason::Retry };
    Standing { seq, at, place, delivery: delivery(webhook(1), &seq.to_string(), Timestamp::EPOCH) }
}

fn orders(rows: &[Standing]) -> Vec<(i64, i64)> {
    rows.iter().map(|row| (row.at, row.seq)).collect()
}

#[test]
fn what_comes_back_past_the_horizon_waits_for_what_is_only_in_the_file() {
    let mut window = Window::new(None, 2, usize::MAX);
    for seq in 1..=2 {
        window.offer(row(0, seq));
    }
    let first = window.take(0, 0, 2);
    window.offer(row(0, 3));
    let third = window.take(0, 0, 1);
    for row in first {
        window.put_back(row);
    }
    // The file has it from here on.
    window.offer(row(0, 4));
    window.offer(row(0, 5));
    assert_eq!(window.horizon(), Order { at: 0, seq: 4 });
    assert_eq!(orders(&window.take(0, 0, 1)), [(0, 1)]);
    for row in third {
        window.put_back(Standing { at: 0, seq: 6, ..row });
    }
    assert_eq!(orders(&window.take(0, 0, 9)), [(0, 2)], "4 and 5 come before 6");
    assert!(window.is_low(0, 1));
    assert_eq!(window.first_at(), Some(0));
}

#[test]
fn a_row_greater_than_the_window_is_let_through_alone() {
    let mut window = Window::new(None, 10, 1);
    window.offer(row(0, 1));
    window.offer(row(0, 2));
    assert_eq!(orders(&window.take(0, 0, 9)), [(0, 1)]);
    assert!(window.is_low(0, 1));
}

#[test]
fn a_reading_that_the_horizon_has_overtaken_is_dropped() {
    let mut window = Window::new(Some(Order { at: 5, seq: 1 }), 10, usize::MAX);
    window.extend(Order { at: 4, seq: 1 }, Order::INFINITY, vec![row(5, 1)]);
    assert_eq!(window.horizon(), Order { at: 5, seq: 1 });
    assert_eq!(orders(&window.take(9, 9, 9)), []);
}

#[derive(Clone, Debug)]
enum Step {
    Add { at: i64 },
    Take { now: i64, max: usize },
    PutBack { which: usize },
    Remove { which: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_i64..10).prop_map(|at| Step::Add { at }),
        4 => (0_i64..10, 1_usize..4).prop_map(|(now, max)| Step::Take { now, max }),
        4 => (0_usize..20).prop_map(|which| Step::PutBack { which }),
        1 => (0_usize..20).prop_map(|which| Step::Remove { which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    /// However little fits: what is taken are the first rows whose time has come, of all there are.
    #[test]
    fn rows_are_taken_in_order(
        max_items in 1_usize..4,
        page in 1_usize..4,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut window = Window::new(None, max_items, usize::MAX);
        // Everything that stands in the file; true if it is leased.
        let mut file: BTreeMap<(i64, i64), bool> = BTreeMap::new();
        for (seq, step) in (0_i64..).zip(steps) {
            match step {
                Step::Add { at } => {
                    file.insert((at, seq), false);
                    window.offer(row(at, seq));
                }
                Step::Take { now, max } => {
                    let may_be_leased = file.iter().filter(|(order, leased)| order.0 <= now && !**leased);
                    let all: Vec<_> = may_be_leased.map(|(order, _)| *order).collect();
                    let mut taken = window.take(now, now, max);
                    while taken.is_empty() && window.is_low(now, 1) {
                        let from = window.horizon();
                        let rest = file.range((from.at, from.seq)..);
                        let rest: Vec<_> = rest.map(|(order, leased)| (*order, *leased)).collect();
                        let to = match rest.get(page - 1) {
                            Some(((at, seq), _)) => Order { at: *at, seq: seq + 1 },
                            None => Order::INFINITY,
                        };
                        let read = rest.iter().take(page).filter(|(_, leased)| !leased);
                        window.extend(from, to, read.map(|((at, seq), _)| row(*at, *seq)).collect());
                        taken = window.take(now, now, max);
                    }
                    let taken = orders(&taken);
                    prop_assert_eq!(&taken[..], &all[..taken.len()]);
                    prop_assert_eq!(taken.is_empty(), all.is_empty());
                    for order in taken {
                        file.insert(order, true);
                    }
                }
                Step::PutBack { which } => {
                    let leased: Vec<_> = file.iter().filter(|(_, leased)| **leased).map(|(order, _)| *order).collect();
                    if let Some((at, seq)) = leased.get(which % leased.len().max(1)) {
                        file.insert((*at, *seq), false);
                        window.put_back(row(*at, *seq));
                    }
                }
                Step::Remove { which } => {
                    let Some((at, seq)) = file.keys().nth(which % file.len().max(1)).copied() else { continue };
                    file.remove(&(at, seq));
                    window.remove(Order { at, seq });
                }
            }
            prop_assert!(window.rows.len() <= max_items);
        }
    }
}
