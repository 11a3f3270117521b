//! Whose turn it is: the projects of one partition that have something waiting, in a line, each with its turn in a round.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use fanfare_core::clock::Monotonic;
use fanfare_core::ports::intake::Waiting;

/// The line. Projects over their quota stand beside it until their time has come.
#[derive(Debug, Default)]
pub(super) struct Line {
    turns: VecDeque<Waiting>,
    /// Whoever is in the line.
    waiting: HashSet<Arc<str>>,
    later: HashMap<Arc<str>, Monotonic>,
}

impl Line {
    /// Lets those join who have something waiting and are neither in the line nor put off.
    pub(super) fn join(&mut self, all: Vec<Waiting>, now: Monotonic) {
        self.later.retain(|_, until| *until > now);
        for waiting in all {
            if !self.later.contains_key(&waiting.project) && self.waiting.insert(Arc::clone(&waiting.project)) {
                self.turns.push_back(waiting);
            }
        }
    }

    /// Whoever is next.
    pub(super) fn next(&mut self) -> Option<Waiting> {
        let next = self.turns.pop_front()?;
        self.waiting.remove(&next.project);
        Some(next)
    }

    /// A project may not join before then.
    pub(super) fn put_off(&mut self, project: Arc<str>, until: Monotonic) {
        self.later.insert(project, until);
    }

    /// When the next of those that were put off may join.
    pub(super) fn next_time(&self) -> Option<Monotonic> {
        self.later.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(project: &str) -> Waiting {
        Waiting { project: project.into(), count: 1000 }
    }

    fn names(line: &mut Line) -> Vec<String> {
        std::iter::from_fn(|| line.next()).map(|waiting| waiting.project.to_string()).collect()
    }

    #[test]
    fn whoever_has_much_waiting_has_one_turn_in_a_round_like_everybody() {
        let (mut line, now) = (Line::default(), Monotonic::default());
        line.join(vec![of("hog"), of("one")], now);
        assert_eq!(line.next(), Some(of("hog")));
        line.join(vec![of("hog"), of("two"), of("one")], now);
        assert_eq!(names(&mut line), ["one", "hog", "two"]);
    }

    #[test]
    fn whoever_is_put_off_joins_when_the_time_has_come() {
        let (mut line, now) = (Line::default(), Monotonic::default());
        line.put_off("hog".into(), now.after(Duration::from_secs(1)));
        line.join(vec![of("hog"), of("one")], now);
        assert_eq!(names(&mut line), ["one"]);
        assert_eq!(line.next_time(), Some(now.after(Duration::from_secs(1))));
        line.join(vec![of("hog")], now.after(Duration::from_secs(1)));
        assert_eq!(names(&mut line), ["hog"]);
        assert_eq!(line.next_time(), None);
    }
}
