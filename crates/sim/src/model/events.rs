//! Accepted events, by partition.

use std::collections::BTreeMap;

use fanfare_core::event::Event;
use fanfare_core::ids::{EventId, ProjectId};
use fanfare_core::ports::event_log::{Appended, LoggedEvent, Position};

#[derive(Debug, Default)]
struct Line {
    events: Vec<Event>,
    /// Done with, up to this one.
    passed: u64,
    /// Handed out before, up to this one.
    handed_out: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Events {
    lines: Vec<Line>,
    /// The line and the index of each.
    known: BTreeMap<(ProjectId, EventId), (usize, usize)>,
}

impl Events {
    pub(crate) fn new(partitions: u16) -> Self {
        Self { lines: (0..partitions.max(1)).map(|_| Line::default()).collect(), known: BTreeMap::new() }
    }

    pub(crate) fn append(&mut self, event: Event) -> Appended {
        let id = (event.header.project.clone(), event.header.id.clone());
        if let Some(known) = self.get(&id.0, &id.1) {
            return if known.content == event.content { Appended::Duplicate } else { Appended::Conflict };
        }
        let key = event.header.subject.as_ref().map_or("", |subject| subject.as_str());
        let named = event.header.project.as_str().bytes().chain(key.bytes());
        let sum = named.fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        let at = sum % self.lines.len();
        self.known.insert(id, (at, self.lines[at].events.len()));
        self.lines[at].events.push(event);
        Appended::Accepted
    }

    pub(crate) fn get(&self, project: &ProjectId, id: &EventId) -> Option<&Event> {
        let (line, index) = self.known.get(&(project.clone(), id.clone()))?;
        self.lines[*line].events.get(*index)
    }

    pub(crate) fn changes(&self) -> u64 {
        self.known.len() as u64
    }

    pub(crate) fn backlog(&self) -> u64 {
        self.lines.iter().map(|line| line.events.len() as u64 - line.passed).sum()
    }

    pub(crate) fn passed(&self, partition: u16) -> u64 {
        self.lines[usize::from(partition)].passed
    }

    /// The events after a position; empty if there are none.
    pub(crate) fn read(&mut self, partition: u16, after: u64, max: usize) -> Vec<LoggedEvent> {
        let line = &mut self.lines[usize::from(partition)];
        let from = usize::try_from(after).unwrap_or(usize::MAX).min(line.events.len());
        let read = (after + 1..).zip(line.events[from..].iter().take(max)).map(|(position, event)| LoggedEvent {
            position: Position(position),
            event: event.clone(),
            redelivered: position <= line.handed_out,
        });
        let read: Vec<LoggedEvent> = read.collect();
        line.handed_out = line.handed_out.max(after + read.len() as u64);
        read
    }

    /// Back is not a direction.
    pub(crate) fn advance(&mut self, partition: u16, position: Position) {
        let line = &mut self.lines[usize::from(partition)];
        line.passed = line.passed.max(position.0.min(line.events.len() as u64));
    }
}
