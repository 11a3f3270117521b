//! What has to arrive and what has: the demo's verdict is made here, from what the receivers saw, and from nothing else.

use std::collections::HashMap;

use fanfare_core::clock::Monotonic;
use uuid::Uuid;

use super::cast::{DemoEvent, RECEIVERS, TESTED};
use super::receiver::Arrival;
use super::verify::idempotency_key;

/// What one receiver has got of one event.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    /// POSTs.
    pub(super) attempts: u32,
    /// POSTs answered with 2xx.
    pub(super) successes: u32,
    /// POSTs whose signatures verified.
    pub(super) verified: u32,
    /// When the first POST arrived.
    pub(super) first_at: Option<Monotonic>,
    /// When the first success did.
    pub(super) success_at: Option<Monotonic>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Ledger {
    events: Vec<DemoEvent>,
    published_at: Vec<Option<Monotonic>>,
    // By receiver and event; `None` where the webhook does not subscribe to the event.
    cells: Vec<Vec<Option<Cell>>>,
    by_key: HashMap<String, (usize, usize)>,
    tests: Vec<Arrival>,
    strays: Vec<String>,
}

impl Ledger {
    /// Nothing has arrived yet.
    pub(super) fn new(events: Vec<DemoEvent>) -> Self {
        let cell = |part: &super::cast::Part, event: &DemoEvent| part.gets(&event.event_type).then(Cell::default);
        let cells = RECEIVERS.iter().map(|part| events.iter().map(|event| cell(part, event)).collect()).collect();
        let published_at = vec![None; events.len()];
        Self { events, published_at, cells, by_key: HashMap::new(), tests: Vec::new(), strays: Vec::new() }
    }

    /// The events.
    pub(super) fn events(&self) -> &[DemoEvent] {
        &self.events
    }

    /// A receiver's webhook is known: so are the idempotency keys of its deliveries.
    pub(super) fn webhook(&mut self, receiver: usize, webhook: &Uuid) {
        for (at, event) in self.events.iter().enumerate() {
            self.by_key.insert(idempotency_key(webhook, &event.id), (receiver, at));
        }
    }

    /// An event is about to be published.
    pub(super) fn publishing(&mut self, event: usize, at: Monotonic) {
        self.published_at[event] = Some(at);
    }

    /// Notes a POST; which event it was of, if it is one of the demo's.
    pub(super) fn arrived(&mut self, arrival: &Arrival) -> Option<usize> {
        if arrival.test {
            self.tests.push(arrival.clone());
            return None;
        }
        let (receiver, event) = *self.by_key.get(&arrival.key)?;
        let expected = self.events[event].event_type == arrival.event && receiver == arrival.receiver;
        let Some(cell) = self.cells[receiver][event].as_mut().filter(|_| expected) else {
            let (name, event) = (RECEIVERS[arrival.receiver].name, &arrival.event);
            self.strays.push(format!("{name} got {event}, which was not for it"));
            return None;
        };
        cell.attempts += 1;
        cell.verified += u32::from(arrival.verified.is_ok());
        cell.first_at.get_or_insert(arrival.at);
        if (200..300).contains(&arrival.status) {
            cell.successes += 1;
            cell.success_at.get_or_insert(arrival.at);
        }
        Some(event)
    }

    /// When the first of the events was about to be published.
    pub(super) fn first_published(&self) -> Option<Monotonic> {
        self.published_at.iter().flatten().min().copied()
    }

    /// How long after its event was sent to the API something happened.
    pub(super) fn since_published(&self, event: usize, at: Monotonic) -> Option<std::time::Duration> {
        self.published_at[event].map(|published| at.since(published))
    }

    /// What a receiver has got of an event; `None` where nothing is to be got.
    pub(super) fn cell(&self, receiver: usize, event: usize) -> Option<&Cell> {
        self.cells[receiver][event].as_ref()
    }

    /// What a receiver has got in all: expected deliveries, and the sums over its cells.
    pub(super) fn totals(&self, receiver: usize) -> (usize, Cell) {
        let cells: Vec<&Cell> = self.cells[receiver].iter().flatten().collect();
        let sum = cells.iter().fold(Cell::default(), |sum, cell| Cell {
            attempts: sum.attempts + cell.attempts,
            successes: sum.successes + u32::from(cell.successes > 0),
            verified: sum.verified + cell.verified,
            ..sum
        });
        (cells.len(), sum)
    }

    /// How many deliveries there have to be.
    pub(super) fn expected(&self) -> usize {
        self.cells.iter().flatten().flatten().count()
    }

    /// How many POSTs the receivers have got for the demo's events.
    pub(super) fn attempts(&self) -> u32 {
        self.cells.iter().flatten().flatten().map(|cell| cell.attempts).sum()
    }

    /// Whether every delivery has succeeded.
    pub(super) fn is_complete(&self) -> bool {
        self.cells.iter().flatten().flatten().all(|cell| cell.successes > 0)
    }

    /// Whether the test payload has arrived.
    pub(super) fn is_tested(&self) -> bool {
        self.tests.iter().any(|arrival| arrival.receiver == TESTED)
    }

    /// Everything that is not as it has to be: nothing, if each delivery succeeded exactly once, after as many attempts as
    /// its receiver makes necessary, and every single POST verified.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = self.strays.clone();
        for (part, cells) in RECEIVERS.iter().zip(&self.cells) {
            for (event, cell) in self.events.iter().zip(cells) {
                let Some(cell) = cell else { continue };
                let (name, event) = (part.name, &event.event_type);
                if cell.successes == 0 {
                    complaints.push(format!("{name} has not got {event} ({} attempts)", cell.attempts));
                } else if cell.successes > 1 {
                    complaints.push(format!("{name} got {event} {} times", cell.successes));
                } else if cell.attempts != part.attempts {
                    complaints.push(format!("{name} got {event} in {} attempts, not {}", cell.attempts, part.attempts));
                }
                if cell.verified != cell.attempts {
                    let wrong = cell.attempts - cell.verified;
                    complaints.push(format!("{name} could not verify {wrong} of {} POSTs of {event}", cell.attempts));
                }
            }
        }
        let tests = self.tests.iter().filter(|arrival| arrival.receiver == TESTED && arrival.verified.is_ok()).count();
        if tests != 1 || self.tests.len() != 1 {
            let name = RECEIVERS[TESTED].name;
            complaints
                .push(format!("of one test payload for {name}, {} arrived and {tests} verified", self.tests.len()));
        }
        complaints
    }
}

#[cfg(test)]
mod tests;
