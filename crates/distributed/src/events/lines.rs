//! How many events of a project wait to be fanned out in a partition: asked of the server now and then, and kept up in between by
//! what this process appends.
//!
//! What is known is never less than what this process has appended and nobody has passed, so nothing has to be asked while that is
//! below the bound. What other processes append is seen when an eighth of the bound has been appended here.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::event::Event;
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::StoreResult;
use parking_lot::Mutex;

use super::position;
use crate::Distributed;
use crate::store::BatchRequest;

const DOING: &str = "count what waits of a project";

/// For how long a line that is at its bound is not asked of again.
const AT_BOUND: Duration = Duration::from_millis(10);
/// The most lines that are known; they are forgotten all at once, which costs a question for each.
const MOST: usize = 16 * 1024;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<(u16, ProjectId), Line>>);

#[derive(Clone, Copy, Debug)]
struct Line {
    count: u64,
    /// How many of them were appended here since the server was asked.
    since: u64,
    asked: Option<Monotonic>,
}

/// What is known of a line.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    HasRoom,
    Crowded,
    NotEnough,
}

impl Lines {
    /// This process has appended one there.
    pub(super) fn grew(&self, partition: u16, project: &ProjectId) {
        if let Some(line) = self.0.lock().get_mut(&(partition, project.clone())) {
            line.count += 1;
            line.since += 1;
        }
    }

    fn known(&self, line: &(u16, ProjectId), max: u64, now: Monotonic) -> Known {
        let mut lines = self.0.lock();
        let Some(line) = lines.get(line) else {
            if lines.len() >= MOST {
                lines.clear();
            }
            lines.insert(line.clone(), Line { count: 0, since: 0, asked: None });
            return Known::HasRoom;
        };
        if line.count < max {
            return if line.since < (max / 8).max(1) { Known::HasRoom } else { Known::NotEnough };
        }
        let lately = line.asked.is_some_and(|asked| now.since(asked) < AT_BOUND);
        if lately { Known::Crowded } else { Known::NotEnough }
    }

    fn counted(&self, line: (u16, ProjectId), count: u64, now: Monotonic) {
        self.0.lock().insert(line, Line { count, since: 0, asked: Some(now) });
    }
}

pub(super) async fn is_crowded(engine: &Distributed, events: &[Event], max: u64) -> StoreResult<bool> {
    let (shared, lines) = (&engine.shared, &engine.shared.events.lines);
    let of = |event: &Event| (super::append::partition(engine, event), event.header.project.clone());
    for line in events.iter().map(of).collect::<BTreeSet<_>>() {
        match lines.known(&line, max, shared.clock.monotonic()) {
            Known::HasRoom => continue,
            Known::Crowded => return Ok(true),
            Known::NotEnough => {}
        }
        let count = ask(engine, line.0, &line.1).await?;
        lines.counted(line, count, shared.clock.monotonic());
        if count >= max {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn ask(engine: &Distributed, partition: u16, project: &ProjectId) -> StoreResult<u64> {
    let names = &engine.shared.names;
    let after = position::of(engine, DOING, partition).await?;
    let subject = names.partition_of_project(partition, project);
    let request = BatchRequest { from: Some(after + 1), next: Some(&subject), last_of: &[], batch: 1 };
    let first = engine.shared.store.batch(DOING, &names.events(), &request).await?.pop();
    Ok(first.map_or(0, |first| first.count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_asked_when_what_is_known_is_not_enough() {
        let (lines, line, now) = (Lines::default(), (3, ProjectId::new("shop").unwrap()), Monotonic::default());
        let known = |now| lines.known(&line, 16, now);
        assert_eq!(known(now), Known::HasRoom);
        lines.grew(3, &line.1);
        assert_eq!(known(now), Known::HasRoom);
        lines.grew(3, &line.1);
        assert_eq!(known(now), Known::NotEnough);
        lines.counted(line.clone(), 15, now);
        assert_eq!(known(now), Known::HasRoom);
        lines.grew(3, &line.1);
        assert_eq!(known(now), Known::Crowded);
        assert_eq!(known(now.after(AT_BOUND)), Known::NotEnough);
    }
}
