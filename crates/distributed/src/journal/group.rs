//! Appending in groups: entries that come while a message is on its way go into the next one together.
//!
//! A process that settles thousands of deliveries a second would otherwise publish, and every reader receive, as many messages.
//! Nobody waits for company: where nothing is on its way an entry goes at once, alone. There is no task for it: of those who
//! wait, one publishes for all. Where one of its messages is refused, all whose entries went with it are told so.

use std::collections::VecDeque;

use bytes::Bytes;
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::MOST;
use crate::error::unavailable;
use crate::message::Draft;
use crate::store::Store;

/// The most bytes of a message of several entries; one entry alone may be larger.
const BYTES: usize = 256 * 1024;
/// The most messages that go together: whoever appends many entries does not wait for the server once for each message.
const AT_ONCE: usize = 16;

/// Entries that wait to be published.
#[derive(Default)]
pub(crate) struct Group {
    /// Held for no await.
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whoever has it publishes.
    turn: tokio::sync::Mutex<()>,
}

/// Some entries of one caller, which go into one message.
struct Waiting {
    lines: Lines,
    told: oneshot::Sender<Result<(), Failed>>,
}

/// Why a message was not taken, for each of those whose entries were in it.
#[derive(Clone)]
struct Failed {
    kind: StoreErrorKind,
    why: String,
}

/// Entries as JSON, each in a line of its own.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: usize,
}

impl Lines {
    /// Whether so many more would still be one message.
    fn has_room(&self, more: &Self) -> bool {
        self.count == 0 || self.count + more.count <= MOST && self.text.len() + more.text.len() < BYTES
    }

    fn add(&mut self, more: &Self) {
        if self.count > 0 {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(&more.text);
        self.count += more.count;
    }

    /// These entries in as few messages as they fit into.
    fn of(entries: Vec<Vec<u8>>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for text in entries {
            let line = Self { text, count: 1 };
            match all.last_mut() {
                Some(last) if last.has_room(&line) => last.add(&line),
                Some(_) | None => all.push(line),
            }
        }
        all
    }
}

impl Group {
    /// Appends entries in order, and waits until they are durable.
    ///
    /// # Errors
    /// When the store did not take them; repeating it may write them twice, which readers stand.
    pub(super) async fn append(
        &self,
        store: &Store,
        subject: &str,
        doing: &'static str,
        entries: Vec<Vec<u8>>,
    ) -> StoreResult<()> {
        let mut answers = Vec::new();
        {
            let mut waiting = self.waiting.lock();
            for lines in Lines::of(entries) {
                let (told, answer) = oneshot::channel();
                waiting.push_back(Waiting { lines, told });
                answers.push(answer);
            }
        }
        for mut answer in answers {
            let told = loop {
                tokio::select! {
                    biased;
                    told = &mut answer => break told,
                    _turn = self.turn.lock() => self.publish(store, subject, doing).await,
                }
            };
            match told {
                Ok(Ok(())) => {}
                Ok(Err(failed)) => return Err(StoreError::new(failed.kind, doing, failed.why)),
                Err(_) => return Err(unavailable(doing, "whoever published these entries with others gave it up")),
            }
        }
        Ok(())
    }

    /// Publishes the first of those that wait, in as few messages as they fit into.
    async fn publish(&self, store: &Store, subject: &str, doing: &'static str) {
        let (mut drafts, mut all_told) = (Vec::new(), Vec::new());
        while drafts.len() < AT_ONCE {
            let (lines, told) = self.take();
            if told.is_empty() {
                break;
            }
            drafts.push(Draft::new(subject.to_owned(), Bytes::from(lines.text)));
            all_told.extend(told);
        }
        if drafts.is_empty() {
            return;
        }
        let published = store.publish_all(doing, drafts).await;
        let answer = published
            .map(drop)
            .map_err(|error| Failed { kind: error.kind, why: fanfare_runtime::tasks::report(&error).to_string() });
        for told in all_told {
            // One that does not wait any more has given up.
            let _ = told.send(answer.clone());
        }
    }

    /// What fits into the next message.
    fn take(&self) -> (Lines, Vec<oneshot::Sender<Result<(), Failed>>>) {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        let mut waiting = self.waiting.lock();
        while let Some(next) = waiting.pop_front_if(|next| lines.has_room(&next.lines)) {
            lines.add(&next.lines);
            told.push(next.told);
        }
        (lines, told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(group: &Group, entries: &[&str]) {
        for lines in Lines::of(entries.iter().map(|entry| entry.as_bytes().to_vec()).collect()) {
            group.waiting.lock().push_back(Waiting { lines, told: oneshot::channel().0 });
        }
    }

    fn taken(group: &Group) -> (String, usize) {
        let (lines, told) = group.take();
        (String::from_utf8(lines.text).unwrap(), told.len())
    }

    #[test]
    fn whoever_waits_goes_together_in_order() {
        let group = Group::default();
        assert_eq!(taken(&group), (String::new(), 0));
        wait(&group, &["a"]);
        wait(&group, &["b", "c"]);
        assert_eq!(taken(&group), ("a\nb\nc".to_owned(), 2));
        assert_eq!(taken(&group), (String::new(), 0));
    }

    #[test]
    fn a_message_has_its_bounds_and_an_entry_beyond_them_is_alone() {
        let group = Group::default();
        let entries = vec!["x"; MOST + 1];
        wait(&group, &entries);
        wait(&group, &["y"]);
        let (text, _) = taken(&group);
        assert_eq!(text.lines().count(), MOST);
        assert_eq!(taken(&group), ("x\ny".to_owned(), 2));
        let large = "z".repeat(2 * BYTES);
        wait(&group, &["a"]);
        wait(&group, &[&large, "b"]);
        assert_eq!(taken(&group), ("a".to_owned(), 1));
        assert_eq!(taken(&group), (large, 1));
        assert_eq!(taken(&group), ("b".to_owned(), 1));
    }
}
