//! What the holder of a partition knows: the sequences that wait, by project, in order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fanfare_core::ports::intake::Waiting;

/// The messages of one partition. The stream's own bounds bound it.
#[derive(Debug, Default)]
pub(super) struct Index {
    projects: HashMap<Arc<str>, VecDeque<u64>>,
    /// How many have arrived in all, and how many had when the holder asked last.
    arrived: u64,
    told: u64,
}

impl Index {
    pub(super) fn arrive(&mut self, project: &str, sequence: u64) {
        self.arrived += 1;
        if let Some(waiting) = self.projects.get_mut(project) {
            waiting.push_back(sequence);
        } else {
            self.projects.insert(project.into(), VecDeque::from([sequence]));
        }
    }

    /// What waits now, of which the holder is told.
    pub(super) fn waiting(&mut self) -> Vec<Waiting> {
        self.told = self.arrived;
        let of = |(project, waiting): (&Arc<str>, &VecDeque<u64>)| Waiting {
            project: Arc::clone(project),
            count: waiting.len(),
        };
        self.projects.iter().map(of).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.projects.is_empty()
    }

    /// Whether something has arrived since the holder was told.
    pub(super) fn has_news(&self) -> bool {
        self.arrived > self.told
    }

    /// A project's first sequences.
    pub(super) fn first(&self, project: &str, max: usize) -> Vec<u64> {
        self.projects.get(project).map_or_else(Vec::new, |waiting| waiting.iter().take(max).copied().collect())
    }

    /// A project's sequences up to this one.
    pub(super) fn up_to(&self, project: &str, sequence: u64) -> Vec<u64> {
        let waiting = self.projects.get(project).into_iter().flatten();
        waiting.copied().take_while(|waiting| *waiting <= sequence).collect()
    }

    /// One is not there any more.
    pub(super) fn leave(&mut self, project: &str, sequence: u64) {
        self.change(project, |waiting| waiting.retain(|waiting| *waiting != sequence));
    }

    /// None of the project's up to this one is.
    pub(super) fn leave_up_to(&mut self, project: &str, sequence: u64) {
        self.change(project, |waiting| {
            // There may be a hundred thousand behind them.
            let gone = waiting.partition_point(|waiting| *waiting <= sequence);
            waiting.drain(..gone);
        });
    }

    fn change(&mut self, project: &str, change: impl FnOnce(&mut VecDeque<u64>)) {
        if let Some(waiting) = self.projects.get_mut(project) {
            change(waiting);
            if waiting.is_empty() {
                self.projects.remove(project);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_projects_messages_are_in_order_and_nothing_is_kept_of_what_has_left() {
        let mut index = Index::default();
        assert!(!index.has_news());
        for (project, sequence) in [("one", 1), ("two", 2), ("one", 3), ("one", 5)] {
            index.arrive(project, sequence);
        }
        assert!(index.has_news());
        let mut waiting: Vec<_> = index.waiting().iter().map(|of| (of.project.to_string(), of.count)).collect();
        waiting.sort();
        assert_eq!(waiting, [("one".to_owned(), 3), ("two".to_owned(), 1)]);
        assert!(!index.has_news());
        assert_eq!(index.first("one", 2), [1, 3]);
        assert_eq!(index.up_to("one", 4), [1, 3]);
        index.leave_up_to("one", 3);
        index.leave("two", 2);
        assert_eq!(index.first("one", 9), [5]);
        index.leave_up_to("one", 9);
        assert!(index.projects.is_empty());
    }
}
