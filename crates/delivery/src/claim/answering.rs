//! Whether claims are answered: told of once when that changes, however many claims are asked for meanwhile.

use std::time::Duration;

use fanfare_core::clock::Monotonic;
use parking_lot::Mutex;

/// So long no claim may have failed before they are said to be answered again: a store that is only too slow answers some and
/// not others.
const QUIET: Duration = Duration::from_secs(10);

/// What an operator is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Claims were answered, and now one was not.
    Away,
    /// None has failed for a while.
    Back,
}

/// See the [module](self). When a claim failed last; `None` while they are answered.
#[derive(Debug, Default)]
pub(crate) struct Answering(Mutex<Option<Monotonic>>);

impl Answering {
    /// Whether they are answered, as far as is known.
    pub(crate) fn is_well(&self) -> bool {
        self.0.lock().is_none()
    }

    /// A claim was answered, or was not.
    pub(crate) fn note(&self, answered: bool, now: Monotonic) -> Option<News> {
        let mut failed_at = self.0.lock();
        match (answered, *failed_at) {
            (false, before) => {
                *failed_at = Some(now);
                before.is_none().then_some(News::Away)
            }
            (true, Some(last)) if now.since(last) >= QUIET => {
                *failed_at = None;
                Some(News::Back)
            }
            (true, Some(_) | None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_answers_some_and_not_others_is_told_of_once_and_once_when_it_is_over() {
        let (answering, start) = (Answering::default(), Monotonic::default());
        let at = |seconds| start.after(Duration::from_secs(seconds));
        assert_eq!(answering.note(true, at(0)), None);
        assert!(answering.is_well());
        assert_eq!(answering.note(false, at(1)), Some(News::Away));
        assert!(!answering.is_well());
        for second in 2..20 {
            assert_eq!(answering.note(second % 3 == 0, at(second)), None);
        }
        assert_eq!(answering.note(true, at(28)), None);
        assert_eq!(answering.note(true, at(29)), Some(News::Back));
        assert_eq!(answering.note(true, at(30)), None);
        assert_eq!(answering.note(false, at(31)), Some(News::Away));
    }
}
