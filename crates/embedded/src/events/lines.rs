//! How many events of each project wait to be fanned out: counted as they are appended and passed.

use std::collections::{HashMap, VecDeque};

use fanfare_core::event::Event;
use fanfare_core::ids::ProjectId;
use rusqlite::Connection;

/// The counts, and whose the events behind the position are, in order.
#[derive(Debug, Default)]
pub(super) struct Lines {
    waiting: HashMap<ProjectId, u64>,
    runs: VecDeque<Run>,
}

/// Events in a row of the same project; positions have no gaps.
#[derive(Debug)]
struct Run {
    project: ProjectId,
    first: i64,
    last: i64,
}

impl Lines {
    /// As they are in the file.
    pub(super) fn load(connection: &Connection, passed: i64) -> rusqlite::Result<Self> {
        let mut lines = Self::default();
        let mut statement =
            connection.prepare("SELECT position, project FROM events WHERE position > ?1 ORDER BY position")?;
        let mut rows = statement.query([passed])?;
        while let Some(row) = rows.next()? {
            // What has no project's name is nobody's, and counts for nobody.
            if let Ok(project) = ProjectId::new(row.get::<_, String>(1)?) {
                lines.add(row.get(0)?, &project);
            }
        }
        Ok(lines)
    }

    pub(super) fn add(&mut self, position: i64, project: &ProjectId) {
        match self.runs.back_mut() {
            Some(run) if run.project == *project && run.last + 1 == position => run.last = position,
            Some(_) | None => self.runs.push_back(Run { project: project.clone(), first: position, last: position }),
        }
        match self.waiting.get_mut(project) {
            Some(count) => *count += 1,
            None => {
                self.waiting.insert(project.clone(), 1);
            }
        }
    }

    /// Everything up to here is done with.
    pub(super) fn pass(&mut self, position: i64) {
        while let Some(run) = self.runs.front_mut() {
            if run.first > position {
                return;
            }
            let last = run.last.min(position);
            let passed = u64::try_from(last - run.first + 1).unwrap_or(0);
            if let Some(count) = self.waiting.get_mut(&run.project) {
                *count = count.saturating_sub(passed);
                if *count == 0 {
                    self.waiting.remove(&run.project);
                }
            }
            if last < run.last {
                run.first = last + 1;
                return;
            }
            self.runs.pop_front();
        }
    }

    /// Whether so many, or more, wait of one of these events' projects.
    pub(super) fn is_crowded(&self, events: &[Event], max: u64) -> bool {
        let mut projects: Vec<&ProjectId> = events.iter().map(|event| &event.header.project).collect();
        projects.dedup();
        projects.iter().any(|project| self.waiting.get(*project).is_some_and(|count| *count >= max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_of_what_has_been_passed() {
        let (one, two) = (ProjectId::new("one").unwrap(), ProjectId::new("two").unwrap());
        let mut lines = Lines::default();
        for (position, project) in [(1, &one), (2, &one), (3, &two), (4, &one), (5, &one)] {
            lines.add(position, project);
        }
        assert_eq!((lines.waiting[&one], lines.waiting[&two], lines.runs.len()), (4, 1, 3));
        lines.pass(1);
        assert_eq!(lines.waiting[&one], 3);
        lines.pass(4);
        lines.pass(4);
        assert_eq!((lines.waiting.get(&one), lines.waiting.get(&two)), (Some(&1), None));
        lines.pass(9);
        assert!(lines.waiting.is_empty() && lines.runs.is_empty());
    }
}
