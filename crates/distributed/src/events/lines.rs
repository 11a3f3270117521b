//! How many events of a project wait to be fanned out in a partition.
//!
//! Of what this process has appended it knows where it stands, and so, by the partition's position, how much of it waits. What
//! others have appended is asked of the server, which walks over the log for it: so only if there is as much beyond the position,
//! of whatever project and partition, as would fill the line. Nothing is asked while what is known here is below the bound, until an
//! eighth of the bound has been appended here since it was asked last.

use std::collections::{BTreeSet, HashMap, VecDeque};
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
const AT_BOUND: Duration = Duration::from_millis(3);
/// It is not counted again before that many times as long as counting it took: the server does something else as well.
const TIMES: u32 = 20;
/// The most lines that are known; all that is known is forgotten at once, and asked again.
const MOST: usize = 16 * 1024;
/// Of how many events it is known that they were appended here, whatever line they are in.
const OURS: usize = 16 * 1024;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    lines: HashMap<LineOf, Line>,
    ours: Ours,
}

/// Where the last events stand that this process has appended.
#[derive(Debug, Default)]
struct Ours(BTreeSet<u64>);

/// A partition and a project.
type LineOf = (u16, ProjectId);

#[derive(Clone, Debug, Default)]
struct Line {
    /// Where those stand that were appended here, and that no position had passed when it was asked last.
    ours: VecDeque<u64>,
    /// How many there were of others when it was counted, and where the log ended then.
    theirs: u64,
    counted_to: u64,
    /// How many were appended here since the position was asked.
    since: u64,
    asked: Option<Monotonic>,
    /// Somebody asks at this moment.
    is_asking: bool,
    /// Until then it is not counted again.
    counted_until: Option<Monotonic>,
}

/// What is known of a line.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    HasRoom,
    Crowded,
    /// It has to be asked; whoever is told so does it.
    Ask,
}

impl Line {
    fn count(&self) -> u64 {
        self.ours.len() as u64 + self.theirs
    }

    fn answer(&mut self, max: u64, now: Monotonic) -> Answer {
        let is_crowded = self.count() >= max;
        let is_known = if is_crowded {
            self.asked.is_some_and(|asked| now.since(asked) < AT_BOUND)
        } else {
            self.since < (max / 8).max(1)
        };
        if !is_known && !self.is_asking {
            self.is_asking = true;
            return Answer::Ask;
        }
        if is_crowded { Answer::Crowded } else { Answer::HasRoom }
    }

    /// The position has come this far; beyond it so many were appended by others, of whatever line. Whether that may be enough to
    /// fill this one.
    fn passed(&mut self, position: u64, others: u64, max: u64, now: Monotonic) -> bool {
        while self.ours.front().is_some_and(|first| *first <= position) {
            self.ours.pop_front();
        }
        (self.since, self.asked) = (0, Some(now));
        let may_be_full = self.ours.len() as u64 + others >= max;
        if !may_be_full || position >= self.counted_to {
            self.theirs = 0;
        }
        may_be_full && self.counted_until.is_none_or(|until| now >= until)
    }

    /// So many were counted when the log ended there.
    fn counted(&mut self, count: u64, end: u64, began: Monotonic, now: Monotonic) {
        self.theirs = count.saturating_sub(self.ours.len() as u64);
        self.counted_to = end;
        self.counted_until = Some(now.after(now.since(began) * TIMES));
    }
}

impl Known {
    fn line(&mut self, line: LineOf) -> &mut Line {
        if self.lines.len() >= MOST && !self.lines.contains_key(&line) {
            *self = Self::default();
        }
        self.lines.entry(line).or_default()
    }
}

impl Ours {
    fn add(&mut self, sequence: u64) {
        self.0.insert(sequence);
        if self.0.len() > OURS {
            self.0.pop_first();
        }
    }

    /// Where the log ends, as far as this process knows.
    fn end(&self) -> u64 {
        self.0.last().copied().unwrap_or(u64::MAX)
    }

    /// How many others have appended beyond a position, up to the last that was appended here.
    fn of_others(&self, position: u64) -> u64 {
        let ours = self.0.range(position.saturating_add(1)..).count() as u64;
        self.end().saturating_sub(position).saturating_sub(ours)
    }
}

impl Lines {
    /// This process has appended one there, under that sequence.
    pub(super) fn grew(&self, partition: u16, project: &ProjectId, sequence: u64) {
        let known = &mut *self.0.lock();
        known.ours.add(sequence);
        let line = known.line((partition, project.clone()));
        line.ours.push_back(sequence);
        line.since += 1;
    }

    fn answer(&self, line: &LineOf, max: u64, now: Monotonic) -> Answer {
        self.0.lock().line(line.clone()).answer(max, now)
    }
}

/// Whoever asks of a line; once it is dropped, the next one may.
struct Asking<'l> {
    lines: &'l Lines,
    line: &'l LineOf,
}

impl Asking<'_> {
    /// Notes what has been heard, by what was appended here; `None` if the line has been forgotten meanwhile.
    fn heard<T>(&self, change: impl FnOnce(&mut Line, &Ours) -> T) -> Option<T> {
        let Known { lines, ours } = &mut *self.lines.0.lock();
        lines.get_mut(self.line).map(|line| change(line, ours))
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.lines.0.lock().lines.get_mut(self.line) {
            line.is_asking = false;
        }
    }
}

pub(super) async fn is_crowded(engine: &Distributed, events: &[Event], max: u64) -> StoreResult<bool> {
    let lines = &engine.shared.events.lines;
    let of = |event: &Event| (super::append::partition(engine, event), event.header.project.clone());
    for line in events.iter().map(of).collect::<BTreeSet<_>>() {
        let is_crowded = match lines.answer(&line, max, engine.shared.clock.monotonic()) {
            Answer::HasRoom => false,
            Answer::Crowded => true,
            Answer::Ask => ask(engine, &Asking { lines, line: &line }, max).await? >= max,
        };
        if is_crowded {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many wait in a line, as far as it matters.
async fn ask(engine: &Distributed, asking: &Asking<'_>, max: u64) -> StoreResult<u64> {
    let (clock, (partition, project)) = (&engine.shared.clock, asking.line);
    let position = position::of(engine, DOING, *partition).await?;
    let began = clock.monotonic();
    let passed =
        |line: &mut Line, ours: &Ours| (line.passed(position, ours.of_others(position), max, began), line.count());
    let (is_to_count, count) = asking.heard(passed).unwrap_or((true, 0));
    if !is_to_count {
        return Ok(count);
    }
    let (names, subject) = (&engine.shared.names, engine.shared.names.partition_of_project(*partition, project));
    let request = BatchRequest { from: Some(position + 1), next: Some(&subject), last_of: &[], batch: 1 };
    let first = engine.shared.store.batch(DOING, &names.events(), &request).await?.pop();
    let count = first.map_or(0, |first| first.count());
    asking.heard(|line, ours| line.counted(count, ours.end(), began, clock.monotonic()));
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> LineOf {
        (3, ProjectId::new("shop").unwrap())
    }

    #[test]
    fn the_server_is_asked_when_what_is_known_is_not_enough_and_once_at_a_time() {
        let (lines, line, now) = (Lines::default(), line(), Monotonic::default());
        let answer = |now| lines.answer(&line, 16, now);
        assert_eq!(answer(now), Answer::HasRoom);
        lines.grew(3, &line.1, 7);
        assert_eq!(answer(now), Answer::HasRoom);
        lines.grew(3, &line.1, 8);
        assert_eq!((answer(now), answer(now)), (Answer::Ask, Answer::HasRoom));
        let asking = Asking { lines: &lines, line: &line };
        assert_eq!(asking.heard(|line, ours| line.passed(0, ours.of_others(0), 16, now)), Some(false));
        asking.heard(|line, _| line.counted(15, 99, now, now));
        drop(asking);
        assert_eq!(answer(now), Answer::HasRoom);
        lines.grew(3, &line.1, 9);
        assert_eq!(answer(now), Answer::Crowded);
        let later = now.after(AT_BOUND);
        assert_eq!((answer(later), answer(later)), (Answer::Ask, Answer::Crowded));
    }

    #[test]
    fn what_others_appended_is_counted_only_where_it_could_fill_the_line() {
        let (lines, shop, now) = (Lines::default(), line(), Monotonic::default());
        lines.answer(&shop, 16, now);
        assert!(lines.0.lock().ours.of_others(0) > 1 << 60, "nothing is known");
        for sequence in [10, 12, 14] {
            lines.grew(3, &shop.1, sequence);
        }
        lines.grew(4, &shop.1, 15);
        assert_eq!([9, 11, 14, 15, 99].map(|position| lines.0.lock().ours.of_others(position)), [2, 1, 0, 0, 0]);
        let mut line = lines.0.lock().lines[&shop].clone();
        assert!(!line.passed(9, 12, 16, now));
        assert!(line.passed(9, 13, 16, now));
        line.counted(20, 30, now, now.after(Duration::from_millis(5)));
        assert_eq!(line.count(), 20);
        assert!(!line.passed(12, 99, 16, now.after(Duration::from_millis(104))));
        assert_eq!(line.count(), 18, "what is ours goes by the position");
        assert!(line.passed(12, 99, 16, now.after(Duration::from_millis(105))));
        assert!(!line.passed(12, 14, 16, now));
        assert_eq!(line.count(), 1);
        line.counted(20, 30, now, now);
        line.passed(30, 99, 16, now);
        assert_eq!(line.count(), 0, "what was counted has been passed");
    }
}
