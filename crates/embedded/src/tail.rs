//! The newest part of a log, kept in memory after it has been committed, so that a reader that keeps up reads no file.
//!
//! Holds every committed item after a certain position, within bounds of count and bytes; what was pushed out, or taken
//! by another reader, is in the file.

use std::collections::VecDeque;

/// What the tail has for a reader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    /// The next items with their positions, at least one.
    Items(Vec<(i64, T)>),
    /// There are more, but the next ones are only in the file.
    Behind,
    /// There are no more.
    Nothing,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Tail<T> {
    /// In order; the positions rise by one.
    items: VecDeque<(i64, usize, T)>,
    /// Every committed item after this position is in `items`.
    start: i64,
    /// The last committed position.
    last: i64,
    bytes: usize,
    max_items: usize,
    max_bytes: usize,
}

impl<T> Tail<T> {
    /// An empty tail of a log whose last position is `last`.
    pub(crate) fn new(last: i64, max_items: usize, max_bytes: usize) -> Self {
        Self { items: VecDeque::new(), start: last, last, bytes: 0, max_items, max_bytes }
    }

    /// The last committed position.
    pub(crate) fn last(&self) -> i64 {
        self.last
    }

    /// Adds what has been committed at the next position.
    pub(crate) fn push(&mut self, position: i64, bytes: usize, item: T) {
        self.last = position;
        self.bytes += bytes;
        self.items.push_back((position, bytes, item));
        while self.items.len() > self.max_items || self.bytes > self.max_bytes {
            self.drop_first();
        }
    }

    /// Takes the items after `after`, at most `max` (at least 1). They are gone from memory afterwards: each of them is
    /// needed once, except by a second reader, which finds them in the file.
    pub(crate) fn take(&mut self, after: i64, max: usize) -> Taken<T> {
        if after >= self.last {
            return Taken::Nothing;
        }
        if after < self.start {
            return Taken::Behind;
        }
        self.forget(after);
        let count = max.max(1).min(self.items.len());
        let mut taken = Vec::with_capacity(count);
        for (position, bytes, item) in self.items.drain(..count) {
            self.bytes -= bytes;
            self.start = position;
            taken.push((position, item));
        }
        Taken::Items(taken)
    }

    /// Drops what nobody will ask for any more: everything up to `position`.
    pub(crate) fn forget(&mut self, position: i64) {
        while self.items.front().is_some_and(|(first, ..)| *first <= position) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((position, bytes, _)) = self.items.pop_front() {
            self.bytes -= bytes;
            self.start = position;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reader_that_keeps_up_is_served_from_memory_and_a_second_one_is_sent_to_the_file() {
        let mut tail = Tail::new(7, 10, 100);
        tail.push(8, 1, "a");
        tail.push(9, 1, "b");
        assert_eq!(tail.take(7, 1), Taken::Items(vec![(8, "a")]));
        assert_eq!(tail.take(8, 5), Taken::Items(vec![(9, "b")]));
        assert_eq!(tail.take(9, 5), Taken::Nothing);
        assert_eq!(tail.take(7, 5), Taken::Behind);
    }

    proptest! {
        /// Whatever the bounds, a reader that falls back to the file sees every item once, in order.
        #[test]
        fn nothing_is_skipped(
            max_items in 1_usize..6,
            max_bytes in 1_usize..12,
            steps in proptest::collection::vec((any::<bool>(), 1_usize..5), 1..80),
        ) {
            let mut tail = Tail::new(0, max_items, max_bytes);
            let mut file: Vec<i64> = Vec::new();
            let mut seen: Vec<i64> = Vec::new();
            for (push, amount) in steps {
                if push {
                    let position = file.len() as i64 + 1;
                    file.push(position);
                    tail.push(position, amount, position);
                } else {
                    let after = seen.last().copied().unwrap_or(0);
                    match tail.take(after, amount) {
                        Taken::Items(items) => seen.extend(items.into_iter().map(|(_, item)| item)),
                        Taken::Behind => seen.extend(file.iter().filter(|item| **item > after).take(amount)),
                        Taken::Nothing => prop_assert_eq!(seen.len(), file.len()),
                    }
                }
                prop_assert!(tail.items.len() <= max_items && tail.bytes <= max_bytes);
            }
            prop_assert_eq!(&seen[..], &file[..seen.len()]);
        }
    }
}
