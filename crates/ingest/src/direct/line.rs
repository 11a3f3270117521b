//! Whose turn it is: the projects of one partition that have something waiting, in a line, each with its turn in a round.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fanfare_core::clock::Monotonic;
use fanfare_core::ports::intake::Waiting;

/// The line. Projects that have their turn, or are over their quota, stand beside it until that is over.
#[derive(Debug, Default)]
pub(super) struct Line {
    turns: VecDeque<Waiting>,
    /// Whoever is in the line or has a turn.
    known: HashSet<Arc<str>>,
    later: HashMap<Arc<str>, Monotonic>,
    /// Nobody's turn begins before then.
    held_until: Monotonic,
    /// Whether nobody could join since the last turn ended.
    is_stale: bool,
}

impl Line {
    /// A line that nobody could join yet.
    pub(super) fn new() -> Self {
        Self { is_stale: true, ..Self::default() }
    }

    /// Lets those join who have something waiting, are not in the line, have no turn, and are not put off.
    pub(super) fn join(&mut self, all: Vec<Waiting>, now: Monotonic) {
        self.is_stale = false;
        self.later.retain(|_, until| *until > now);
        for waiting in all {
            if !self.later.contains_key(&waiting.project) && self.known.insert(Arc::clone(&waiting.project)) {
                self.turns.push_back(waiting);
            }
        }
    }

    /// Whose turn begins; it lasts until [`Self::ended`].
    pub(super) fn next(&mut self, now: Monotonic) -> Option<Waiting> {
        if self.held_until > now { None } else { self.turns.pop_front() }
    }

    /// A project's turn is over; it may join again when that time has come.
    pub(super) fn ended(&mut self, project: &Arc<str>, until: Option<Monotonic>) {
        self.known.remove(project);
        self.is_stale = true;
        if let Some(until) = until {
            self.later.insert(Arc::clone(project), until);
        }
    }

    /// Nobody's turn begins before then. False if that was so already.
    pub(super) fn hold(&mut self, now: Monotonic, until: Monotonic) -> bool {
        let is_news = self.held_until <= now;
        self.held_until = self.held_until.max(until);
        is_news
    }

    /// Whether somebody may join who could not before.
    pub(super) fn is_stale(&self) -> bool {
        self.is_stale
    }

    /// When the next of those that were put off may join, or turns begin again.
    pub(super) fn next_time(&self, now: Monotonic) -> Option<Monotonic> {
        let held = (self.held_until > now).then_some(self.held_until);
        self.later.values().copied().chain(held).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Monotonic = Monotonic(Duration::from_secs(1));
    const LATER: Monotonic = Monotonic(Duration::from_secs(2));

    fn of(project: &str) -> Waiting {
        Waiting { project: project.into(), count: 1000 }
    }

    fn names(line: &mut Line, now: Monotonic) -> Vec<String> {
        std::iter::from_fn(|| line.next(now)).map(|waiting| waiting.project.to_string()).collect()
    }

    #[test]
    fn whoever_has_much_waiting_has_one_turn_in_a_round_like_everybody() {
        let mut line = Line::new();
        line.join(vec![of("hog"), of("one")], NOW);
        assert_eq!(line.next(NOW), Some(of("hog")));
        line.ended(&"hog".into(), None);
        line.join(vec![of("hog"), of("two"), of("one")], NOW);
        assert_eq!(names(&mut line, NOW), ["one", "hog", "two"]);
    }

    #[test]
    fn nobody_has_two_turns_at_once() {
        let mut line = Line::new();
        line.join(vec![of("hog")], NOW);
        assert_eq!(line.next(NOW), Some(of("hog")));
        line.join(vec![of("hog"), of("one")], NOW);
        assert_eq!(names(&mut line, NOW), ["one"]);
        assert!(!line.is_stale());
        line.ended(&"hog".into(), None);
        assert!(line.is_stale(), "it may have more");
        line.join(vec![of("hog"), of("one")], NOW);
        assert_eq!(names(&mut line, NOW), ["hog"]);
    }

    #[test]
    fn whoever_is_put_off_joins_when_the_time_has_come() {
        let mut line = Line::new();
        line.join(vec![of("hog"), of("one")], NOW);
        assert_eq!(line.next(NOW), Some(of("hog")));
        line.ended(&"hog".into(), Some(LATER));
        line.join(vec![of("hog"), of("one")], NOW);
        assert_eq!(names(&mut line, NOW), ["one"]);
        assert_eq!(line.next_time(NOW), Some(LATER));
        line.join(vec![of("hog")], LATER);
        assert_eq!(names(&mut line, LATER), ["hog"]);
        assert_eq!(line.next_time(LATER), None);
    }

    #[test]
    fn a_line_that_is_held_goes_on_in_its_order() {
        let mut line = Line::new();
        line.join(vec![of("one"), of("two")], NOW);
        assert!(line.hold(NOW, LATER));
        assert!(!line.hold(NOW, LATER), "once is enough to say so");
        assert_eq!(line.next(NOW), None);
        assert_eq!(line.next_time(NOW), Some(LATER));
        assert_eq!(names(&mut line, LATER), ["one", "two"]);
        assert_eq!(line.next_time(LATER), None);
    }
}
