//! What the holder of a partition knows: the messages that wait, by project, in order; the first of each project as they came,
//! the others by their sequence alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fanfare_core::ports::intake::Waiting;

use super::stored::Held;

/// The most bytes of messages that are kept of one project: some hundreds of usual ones. What comes when so many wait is read
/// when its turn has come.
const OF_PROJECT: usize = 256 * 1024;
/// The most that are kept in all.
const IN_ALL: usize = 4 * 1024 * 1024;

/// The messages of one partition. The stream's own bounds bound it.
#[derive(Debug, Default)]
pub(super) struct Index {
    projects: HashMap<Arc<str>, Line>,
    /// How many bytes of messages are kept.
    bytes: usize,
    /// How many have arrived in all, and how many had when the holder asked last.
    arrived: u64,
    told: u64,
}

/// What waits of one project.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Entry>,
    bytes: usize,
}

/// A message that waits.
#[derive(Debug)]
struct Entry {
    sequence: u64,
    kept: Option<Box<Held>>,
}

impl Index {
    /// One has come that takes so many bytes; it is kept if there is room for it.
    pub(super) fn arrive(&mut self, project: &str, sequence: u64, bytes: usize, message: impl FnOnce() -> Held) {
        self.arrived += 1;
        if !self.projects.contains_key(project) {
            self.projects.insert(project.into(), Line::default());
        }
        let Some(line) = self.projects.get_mut(project) else { return };
        // Behind one that has to be read it would only take the room from what is read before it.
        let is_first = line.waiting.back().is_none_or(|last| last.kept.is_some());
        let has_room = is_first && line.bytes + bytes <= OF_PROJECT && self.bytes + bytes <= IN_ALL;
        let kept = has_room.then(|| Box::new(message()));
        let bytes = if has_room { bytes } else { 0 };
        line.bytes += bytes;
        self.bytes += bytes;
        line.waiting.push_back(Entry { sequence, kept });
    }

    /// One was read that was not kept; it is from now on, if there is room.
    pub(super) fn keep(&mut self, project: &str, sequence: u64, message: &Held) {
        if !self.has_room(project) {
            return;
        }
        let Some(line) = self.projects.get_mut(project) else { return };
        let Ok(at) = line.waiting.binary_search_by_key(&sequence, |entry| entry.sequence) else { return };
        let entry = &mut line.waiting[at];
        if entry.kept.is_none() {
            line.bytes += message.size();
            self.bytes += message.size();
            entry.kept = Some(Box::new(message.clone()));
        }
    }

    /// Which of a project's first `within` messages are not kept, at most so many.
    pub(super) fn missing(&self, project: &str, within: usize, max: usize) -> Vec<u64> {
        let waiting = self.projects.get(project).into_iter().flat_map(|line| line.waiting.iter().take(within));
        waiting.filter(|entry| entry.kept.is_none()).map(|entry| entry.sequence).take(max).collect()
    }

    /// Whether another one of a project may be kept, whatever its size.
    pub(super) fn has_room(&self, project: &str) -> bool {
        self.bytes < IN_ALL && self.projects.get(project).is_none_or(|line| line.bytes < OF_PROJECT)
    }

    /// Whether a project has more waiting than is kept of one.
    pub(super) fn is_behind(&self, project: &str) -> bool {
        self.projects.get(project).and_then(|line| line.waiting.back()).is_some_and(|last| last.kept.is_none())
    }

    /// What waits now, of which the holder is told.
    pub(super) fn waiting(&mut self) -> Vec<Waiting> {
        self.told = self.arrived;
        let of =
            |(project, line): (&Arc<str>, &Line)| Waiting { project: Arc::clone(project), count: line.waiting.len() };
        self.projects.iter().map(of).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.projects.is_empty()
    }

    /// Whether something has arrived since the holder was told.
    pub(super) fn has_news(&self) -> bool {
        self.arrived > self.told
    }

    /// A project's first messages: their sequences, with those that are kept.
    pub(super) fn first(&self, project: &str, max: usize) -> Vec<(u64, Option<Held>)> {
        let waiting = self.projects.get(project).into_iter().flat_map(|line| line.waiting.iter().take(max));
        waiting.map(|entry| (entry.sequence, entry.kept.as_deref().cloned())).collect()
    }

    /// One is not there any more.
    pub(super) fn leave(&mut self, project: &str, sequence: u64) {
        self.remove(project, |waiting| {
            let at = waiting.iter().position(|entry| entry.sequence == sequence);
            at.and_then(|at| waiting.remove(at)).into_iter().collect()
        });
    }

    /// A project's messages up to this one are done with: their sequences.
    pub(super) fn leave_up_to(&mut self, project: &str, sequence: u64) -> Vec<u64> {
        self.remove(project, |waiting| {
            // There may be a hundred thousand behind them.
            let gone = waiting.partition_point(|entry| entry.sequence <= sequence);
            waiting.drain(..gone).collect()
        })
    }

    fn remove(&mut self, project: &str, remove: impl FnOnce(&mut VecDeque<Entry>) -> Vec<Entry>) -> Vec<u64> {
        let Some(line) = self.projects.get_mut(project) else { return Vec::new() };
        let gone = remove(&mut line.waiting);
        let bytes: usize = gone.iter().filter_map(|entry| entry.kept.as_ref()).map(|kept| kept.size()).sum();
        line.bytes -= bytes;
        self.bytes -= bytes;
        if line.waiting.is_empty() {
            self.projects.remove(project);
        }
        gone.into_iter().map(|entry| entry.sequence).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use fanfare_core::clock::Timestamp;

    use super::*;
    use crate::connect::bare::Came;

    fn message(bytes: usize) -> Held {
        let [subject, reply, headers] = [Bytes::new(), Bytes::new(), Bytes::new()];
        let body = vec![b'x'; bytes - size_of::<Held>()].into();
        Held::of(Timestamp::EPOCH, &Came { subject, reply, headers, body })
    }

    fn arrive(index: &mut Index, project: &str, sequence: u64, bytes: usize) {
        index.arrive(project, sequence, bytes, || message(bytes));
    }

    fn sequences(index: &Index, project: &str) -> Vec<u64> {
        index.first(project, 99).iter().map(|(sequence, _)| *sequence).collect()
    }

    fn kept(index: &Index, project: &str) -> Vec<u64> {
        let first = index.first(project, 99).into_iter();
        first.filter_map(|(sequence, kept)| kept.map(|_| sequence)).collect()
    }

    #[test]
    fn each_projects_messages_are_in_order_and_nothing_is_kept_of_what_has_left() {
        let mut index = Index::default();
        assert!(!index.has_news());
        for (project, sequence) in [("one", 1), ("two", 2), ("one", 3), ("one", 5)] {
            arrive(&mut index, project, sequence, 100);
        }
        assert!(index.has_news());
        let mut waiting: Vec<_> = index.waiting().iter().map(|of| (of.project.to_string(), of.count)).collect();
        waiting.sort();
        assert_eq!(waiting, [("one".to_owned(), 3), ("two".to_owned(), 1)]);
        assert!(!index.has_news());
        assert_eq!(sequences(&index, "one"), [1, 3, 5]);
        assert_eq!(index.leave_up_to("one", 4), [1, 3]);
        index.leave("two", 2);
        assert_eq!(sequences(&index, "one"), [5]);
        assert_eq!(index.bytes, 100);
        assert_eq!(index.leave_up_to("one", 9), [5]);
        assert!(index.projects.is_empty());
        assert_eq!(index.bytes, 0);
    }

    #[test]
    fn the_first_messages_of_each_project_are_kept_and_no_project_takes_the_others_room() {
        const QUARTER: usize = OF_PROJECT / 4;
        let mut index = Index::default();
        for sequence in 1..=10 {
            arrive(&mut index, "hog", sequence, QUARTER);
        }
        arrive(&mut index, "one", 11, 100);
        assert_eq!((kept(&index, "hog"), kept(&index, "one")), (vec![1, 2, 3, 4], vec![11]));
        assert!(index.is_behind("hog") && !index.has_room("hog") && !index.is_behind("one"));
        assert!(index.missing("hog", 4, 99).is_empty());
        assert_eq!(index.missing("hog", 7, 2), [5, 6]);
        index.leave_up_to("hog", 2);
        index.keep("hog", 5, &message(QUARTER));
        index.keep("hog", 2, &message(QUARTER));
        arrive(&mut index, "hog", 12, QUARTER);
        index.keep("hog", 6, &message(QUARTER));
        index.keep("hog", 7, &message(QUARTER));
        assert_eq!(kept(&index, "hog"), [3, 4, 5, 6]);
        assert_eq!(sequences(&index, "hog"), [3, 4, 5, 6, 7, 8, 9, 10, 12]);
        for number in 0..20 {
            arrive(&mut index, &format!("p-{number}"), 20 + number, OF_PROJECT);
        }
        assert!(index.bytes <= IN_ALL);
    }
}
