//! How many events of a project wait to be fanned out in a partition.
//!
//! Of what this process has appended it knows where it stands, and so, by the partition's position, how much of it waits. What
//! others have appended is asked of the server, which walks over the log for it: so only if the log has gone on beyond the
//! position by as much as the bound. Nothing is asked while what is known here is far below the bound: what others append is seen
//! when an eighth of it has been appended here.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
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
const AT_BOUND: Duration = Duration::from_millis(4);
/// It is not counted again before that many times as long as counting it took: the server does something else as well.
const TIMES: u32 = 20;
/// The most lines that are known; they are forgotten all at once, which costs a question for each.
const MOST: usize = 16 * 1024;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Mutex<HashMap<(u16, ProjectId), Line>>,
    /// Where the last event stands that this process has appended.
    end: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Line {
    /// Where those stand that were appended here, and that no position had passed when it was asked last.
    ours: VecDeque<u64>,
    /// How many there were of others when it was counted.
    theirs: u64,
    /// How many were appended here since the position was asked.
    since: u64,
    asked: Option<Monotonic>,
    /// Until then it is not counted again.
    counted_until: Option<Monotonic>,
}

/// What is known of a line.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    HasRoom,
    Crowded,
    NotEnough,
}

impl Line {
    fn count(&self) -> u64 {
        self.ours.len() as u64 + self.theirs
    }

    /// The position has come this far, and the log's end, as far as is known here, was there.
    fn passed(&mut self, position: u64, end: u64, max: u64, now: Monotonic) {
        while self.ours.front().is_some_and(|first| *first <= position) {
            self.ours.pop_front();
        }
        if end.saturating_sub(position) < max {
            // Were all that stands there of this line, it would have room.
            self.theirs = 0;
        }
        (self.since, self.asked) = (0, Some(now));
    }

    fn counted(&mut self, count: u64, began: Monotonic, now: Monotonic) {
        self.theirs = count.saturating_sub(self.ours.len() as u64);
        self.counted_until = Some(now.after(now.since(began) * TIMES));
    }
}

impl Lines {
    /// This process has appended one there, under that sequence.
    pub(super) fn grew(&self, partition: u16, project: &ProjectId, sequence: u64) {
        self.end.fetch_max(sequence, Ordering::Relaxed);
        if let Some(line) = self.lines.lock().get_mut(&(partition, project.clone())) {
            line.ours.push_back(sequence);
            line.since += 1;
        }
    }

    fn known(&self, line: &(u16, ProjectId), max: u64, now: Monotonic) -> Known {
        let mut lines = self.lines.lock();
        let Some(line) = lines.get(line) else {
            if lines.len() >= MOST {
                lines.clear();
            }
            lines.insert(line.clone(), Line::default());
            return Known::HasRoom;
        };
        if line.count() < max {
            return if line.since < (max / 8).max(1) { Known::HasRoom } else { Known::NotEnough };
        }
        let lately = line.asked.is_some_and(|asked| now.since(asked) < AT_BOUND);
        if lately { Known::Crowded } else { Known::NotEnough }
    }

    /// Notes a change of a line, and says what may be in it since.
    fn change<T>(&self, line: &(u16, ProjectId), change: impl FnOnce(&mut Line) -> T) -> T {
        change(self.lines.lock().entry(line.clone()).or_default())
    }
}

pub(super) async fn is_crowded(engine: &Distributed, events: &[Event], max: u64) -> StoreResult<bool> {
    let lines = &engine.shared.events.lines;
    let of = |event: &Event| (super::append::partition(engine, event), event.header.project.clone());
    for line in events.iter().map(of).collect::<BTreeSet<_>>() {
        let is_crowded = match lines.known(&line, max, engine.shared.clock.monotonic()) {
            Known::HasRoom => false,
            Known::Crowded => true,
            Known::NotEnough => ask(engine, &line, max).await? >= max,
        };
        if is_crowded {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many wait in a line, as far as it matters.
async fn ask(engine: &Distributed, line: &(u16, ProjectId), max: u64) -> StoreResult<u64> {
    let (clock, lines) = (&engine.shared.clock, &engine.shared.events.lines);
    // Before the position: what is appended meanwhile is looked at the next time.
    let end = lines.end.load(Ordering::Relaxed);
    let position = position::of(engine, DOING, line.0).await?;
    let began = clock.monotonic();
    let (count, is_counted) = lines.change(line, |line| {
        line.passed(position, end, max, began);
        (line.count(), line.counted_until.is_some_and(|until| began < until))
    });
    if end.saturating_sub(position) < max || is_counted {
        return Ok(count);
    }
    let (names, subject) = (&engine.shared.names, engine.shared.names.partition_of_project(line.0, &line.1));
    let request = BatchRequest { from: Some(position + 1), next: Some(&subject), last_of: &[], batch: 1 };
    let first = engine.shared.store.batch(DOING, &names.events(), &request).await?.pop();
    let count = first.map_or(0, |first| first.count());
    lines.change(line, |line| line.counted(count, began, clock.monotonic()));
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> (u16, ProjectId) {
        (3, ProjectId::new("shop").unwrap())
    }

    #[test]
    fn the_server_is_asked_when_what_is_known_is_not_enough() {
        let (lines, line, now) = (Lines::default(), line(), Monotonic::default());
        let known = |now| lines.known(&line, 16, now);
        assert_eq!(known(now), Known::HasRoom);
        lines.grew(3, &line.1, 7);
        assert_eq!(known(now), Known::HasRoom);
        lines.grew(3, &line.1, 8);
        assert_eq!(known(now), Known::NotEnough);
        lines.change(&line, |line| {
            line.passed(0, 100, 16, now);
            line.counted(15, now, now);
        });
        assert_eq!(known(now), Known::HasRoom);
        lines.grew(3, &line.1, 9);
        assert_eq!(known(now), Known::Crowded);
        assert_eq!(known(now.after(AT_BOUND)), Known::NotEnough);
    }

    #[test]
    fn what_was_appended_here_is_known_by_the_position_and_what_others_did_for_as_long_as_the_log_is_far_ahead() {
        let (mut line, now) = (Line::default(), Monotonic::default());
        line.ours.extend([10, 12, 14]);
        line.passed(9, 90, 16, now);
        line.counted(20, now, now.after(Duration::from_millis(5)));
        assert_eq!((line.count(), line.counted_until), (20, Some(now.after(Duration::from_millis(105)))));
        line.passed(12, 90, 16, now);
        assert_eq!(line.count(), 18);
        line.passed(13, 28, 16, now);
        assert_eq!(line.count(), 1);
    }
}
