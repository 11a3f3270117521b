//! Accepted events, by partition.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The line and the position of each that is not handed out any more: erased, or unreadable.
    gone: BTreeSet<(usize, u64)>,
}

impl Events {
    pub(crate) fn new(partitions: u16) -> Self {
        Self {
            lines: (0..partitions.max(1)).map(|_| Line::default()).collect(),
            known: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    pub(crate) fn append(&mut self, event: Event) -> Appended {
        let id = (event.header.project.clone(), event.header.id.clone());
        if let Some((_, _, known)) = self.find(&id.0, &id.1) {
            return if known.content == event.content { Appended::Duplicate } else { Appended::Conflict };
        }
        let at = self.line_of(&event);
        self.known.insert(id, (at, self.lines[at].events.len()));
        self.lines[at].events.push(event);
        Appended::Accepted
    }

    fn line_of(&self, event: &Event) -> usize {
        let key = event.header.subject.as_ref().map_or("", |subject| subject.as_str());
        let named = event.header.project.as_str().bytes().chain(key.bytes());
        let sum = named.fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
        sum % self.lines.len()
    }

    /// Whether `max` or more of one project wait in the line of one of these.
    pub(crate) fn is_crowded(&self, events: &[Event], max: u64) -> bool {
        events.iter().any(|event| {
            let line = &self.lines[self.line_of(event)];
            let waiting = line.events.iter().skip(usize::try_from(line.passed).unwrap_or(usize::MAX));
            waiting.filter(|waiting| waiting.header.project == event.header.project).count() as u64 >= max
        })
    }

    fn find(&self, project: &ProjectId, id: &EventId) -> Option<(usize, u64, &Event)> {
        let (line, index) = *self.known.get(&(project.clone(), id.clone()))?;
        Some((line, index as u64 + 1, self.lines[line].events.get(index)?))
    }

    pub(crate) fn get(&self, project: &ProjectId, id: &EventId) -> Option<&Event> {
        self.find(project, id)
            .filter(|(line, position, _)| !self.gone.contains(&(*line, *position)))
            .map(|found| found.2)
    }

    /// Erases an event, or makes it unreadable: it is not handed out any more, and its id stays used.
    pub(crate) fn erase(&mut self, project: &ProjectId, id: &EventId) {
        if let Some((line, position, _)) = self.find(project, id) {
            self.gone.insert((line, position));
        }
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

    /// The events after a position, and how far it was looked; empty if there are none.
    pub(crate) fn read(&mut self, partition: u16, after: u64, max: usize) -> (Vec<LoggedEvent>, u64) {
        let at = usize::from(partition);
        let line = &mut self.lines[at];
        let from = usize::try_from(after).unwrap_or(usize::MAX).min(line.events.len());
        let (mut read, mut reached) = (Vec::new(), after);
        for (position, event) in (after + 1..).zip(&line.events[from..]) {
            if read.len() == max {
                break;
            }
            reached = position;
            if !self.gone.contains(&(at, position)) {
                let redelivered = position <= line.handed_out;
                read.push(LoggedEvent { position: Position(position), event: event.clone(), redelivered });
            }
        }
        line.handed_out = line.handed_out.max(reached);
        if read.is_empty() {
            self.pass_gone(at);
        }
        (read, reached)
    }

    /// Back is not a direction.
    pub(crate) fn advance(&mut self, partition: u16, position: Position) {
        let at = usize::from(partition);
        let line = &mut self.lines[at];
        line.passed = line.passed.max(position.0.min(line.events.len() as u64));
        self.pass_gone(at);
    }

    /// Nobody says of those that are gone that they are done with.
    fn pass_gone(&mut self, at: usize) {
        let line = &mut self.lines[at];
        while self.gone.contains(&(at, line.passed + 1)) {
            line.passed += 1;
        }
    }
}
