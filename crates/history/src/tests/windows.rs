//! Windows on lists of deliveries: by number and by cursor they are the same slices of what fits.

use proptest::prelude::*;

use super::make::project;
use super::paging::{any_filter, filled, fits, pages};
use crate::query::windows::{DeliveryWindow, WindowStart, window};
use crate::query::{DeliveryFilter, DeliveryRow};

#[test]
fn a_window_is_a_slice_of_what_fits_however_it_is_come_to() {
    let mut connection = filled();
    let all = pages(&mut connection, &DeliveryFilter { limit: 100, ..DeliveryFilter::default() }, |_| {});
    let connection = std::cell::RefCell::new(connection);
    let counted = prop_oneof![Just(100_000usize), 1usize..100];
    proptest!(ProptestConfig::with_cases(300), |(filter in any_filter(), errors_only: bool, counted in counted)| {
        let filter = DeliveryFilter { errors_only, ..filter };
        let fitting: Vec<DeliveryRow> = all.iter().filter(|row| fits(row, &filter)).cloned().collect();
        let look = |start| {
            let mut connection = connection.borrow_mut();
            let transaction = connection.transaction().unwrap();
            window(&transaction, &project(), &filter, start, counted).unwrap()
        };
        let mut at: DeliveryWindow = look(WindowStart::Skip(0));
        prop_assert_eq!(at.complete && at.total != fitting.len(), false);
        let reach = if at.complete { fitting.len() } else { at.total };
        prop_assert_eq!(&at.rows, &fitting[..filter.limit.min(reach)]);
        // Down by cursors, which go on where the count has ended.
        let mut seen = at.rows.clone();
        let mut last = at.cursors;
        while let Some((_, oldest)) = last {
            at = look(WindowStart::After(oldest));
            seen.extend(at.rows.clone());
            prop_assert!(at.rows.is_empty() || at.newer > 0);
            last = at.cursors;
        }
        if counted == 100_000 {
            prop_assert_eq!(&seen, &fitting);
        } else {
            prop_assert_eq!(&seen[..], &fitting[..seen.len()]);
        }
        for (skip, _) in fitting.iter().enumerate().step_by(7).filter(|(skip, _)| *skip < reach) {
            let by_number = look(WindowStart::Skip(skip));
            prop_assert_eq!(&by_number.rows[..], &fitting[skip..(skip + filter.limit).min(reach)]);
            prop_assert_eq!(by_number.newer, skip);
            // And back up again.
            let (newest, _) = by_number.cursors.unwrap();
            let before = look(WindowStart::Before(newest));
            prop_assert_eq!(&before.rows[..], &fitting[skip.saturating_sub(filter.limit)..skip]);
            prop_assert!(before.rows.is_empty() || before.older);
        }
    });
}
