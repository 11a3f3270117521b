//! Works one partition of the intake off: the projects take turns, each with a batch at a time, as their quotas allow.
//!
//! A batch, in this order:
//!
//! 1. A project's first messages are read.
//! 2. What is an event is appended to the event log, by its id; a message without one gets one that follows from its place.
//! 3. What is none, or another event under a known id, is kept among the rejected, by its place.
//! 4. The messages are removed.
//!
//! After a crash between any two, or when this process was frozen and another has taken over, the batch is taken in again: the
//! log answers `duplicate`, rejections are recognised, and nothing is removed that is not kept.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::event::Event;
use fanfare_core::ids::ProjectId;
use fanfare_core::ports::config_store::Group;
use fanfare_core::ports::event_log::Appended;
use fanfare_core::ports::intake::{IntakePartition, Published, Rejection, Waiting};
use fanfare_core::ports::{StoreErrorKind, StoreResult};
use fanfare_http::Problem;
use fanfare_runtime::tasks::report;

use super::line::Line;
use super::{CROWDED, Direct, PAUSE, judge};
use crate::answer;
use crate::strict::{self, Places};

/// The most messages of one turn: few enough that others wait some milliseconds, enough to share what a batch costs.
const TURN: u32 = 64;

/// Works the partition off until shutdown, or until it has gone to another process.
///
/// # Errors
/// When the store fails for good: nobody else would work the partition off while this process has it.
pub(super) async fn run(direct: Arc<Direct>, partition: Arc<dyn IntakePartition>) -> StoreResult<()> {
    let mut line = Line::default();
    loop {
        let turn = tokio::select! {
            biased;
            () = direct.shutdown.cancelled() => return Ok(()),
            turn = take_turn(&direct, &*partition, &mut line) => turn,
        };
        match turn {
            Ok(()) => {}
            Err(error) if error.is_retryable() => {
                tracing::warn!(error = %report(&error), "could not take published events in; trying again");
                direct.pause(PAUSE).await;
            }
            Err(error) if error.kind == StoreErrorKind::Lost => {
                if !direct.shutdown.is_cancelled() {
                    tracing::info!("a partition of the intake has gone to another process");
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

/// One project's turn, or a wait for there to be one.
async fn take_turn(direct: &Direct, partition: &dyn IntakePartition, line: &mut Line) -> StoreResult<()> {
    line.join(partition.waiting().await?, direct.clock.monotonic());
    let Some(Waiting { project, count }) = line.next() else {
        // Everybody who has something waiting has been put off.
        let time = async {
            match line.next_time() {
                Some(time) => direct.clock.sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        return tokio::select! {
            arrived = partition.arrival() => arrived,
            () = time => Ok(()),
        };
    };
    if direct.log.backlog().await? > direct.max_backlog {
        // What waits here is kept; it goes on when fan-out has caught up.
        direct.pause(PAUSE).await;
        return Ok(());
    }
    let most = u32::try_from(count).unwrap_or(u32::MAX).clamp(1, TURN);
    match direct.tokens(&project, most) {
        Ok(tokens) => {
            if !direct.take_in(partition, &project, tokens).await? {
                line.put_off(project, direct.clock.monotonic().after(CROWDED));
            }
            Ok(())
        }
        Err(wait) => {
            line.put_off(project, direct.clock.monotonic().after(wait));
            Ok(())
        }
    }
}

impl Direct {
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.clock.sleep(time) => {}
        }
    }

    /// How many of a project's messages may be looked at now, or how long it has to wait for the first. What turns out to be no
    /// event counts as well: looking at it costs as much.
    fn tokens(&self, project: &str, most: u32) -> Result<u32, Duration> {
        // What is no project's name has no bucket; its messages are rejected.
        let Ok(project) = ProjectId::new(project) else { return Ok(most) };
        let quotas = self.registry.project(&project).map(|served| served.project.quotas).unwrap_or_default();
        self.quota
            .take_up_to(&project, quotas, most, self.clock.monotonic())
            .map_err(|over| Duration::from_secs(over.retry_after.into()))
    }

    /// See the [module](self) for the order. False: the project has to wait, and nothing was done.
    async fn take_in(&self, partition: &dyn IntakePartition, project: &str, max: u32) -> StoreResult<bool> {
        let messages = partition.read(project, usize::try_from(max).unwrap_or(usize::MAX)).await?;
        let Some(last) = messages.last().map(|message| message.position) else { return Ok(true) };
        let (accepted, mut rejected) = self.judge(messages).await?;
        let (messages, events): (Vec<Published>, Vec<Event>) = accepted.into_iter().unzip();
        if self.events_line.is_full(&events).await? {
            return Ok(false);
        }
        let ids: Vec<_> = events.iter().map(|event| event.header.id.clone()).collect();
        let appended = if events.is_empty() { Vec::new() } else { self.log.append(events).await? };
        for ((message, id), appended) in messages.into_iter().zip(ids).zip(appended) {
            match appended {
                Appended::Accepted => self.counters.accepted.inc(),
                Appended::Duplicate => self.counters.duplicate.inc(),
                Appended::Conflict => rejected.push((message, answer::conflict(&id, "$.id".to_owned()))),
            }
        }
        if !rejected.is_empty() {
            let (messages, problems): (Vec<Published>, Vec<Problem>) = rejected.into_iter().unzip();
            let rejections: Vec<Rejection> = messages
                .into_iter()
                .zip(&problems)
                .map(|(message, problem)| judge::rejection(message, problem))
                .collect();
            tracing::debug!(project, count = rejections.len(), reason = rejections[0].reason, "messages were rejected");
            partition.reject(rejections).await?;
            // Only now, so that what is counted can be looked at, and what has to be tried again is not counted twice.
            problems.iter().for_each(|problem| self.counters.refused(problem, 1));
        }
        partition.done(project, last).await.map(|()| true)
    }

    /// Refuses what a strict project does not accept.
    fn refuses(&self, event: &Event) -> Result<(), Problem> {
        let served = self.registry.project(&event.header.project);
        if served.is_none_or(|served| !served.project.strict_event_types) {
            return Ok(());
        }
        let places = Places { event_type: judge::TYPE.to_owned(), data: "$.data".to_owned() };
        strict::judge(&self.registry, event, &places)
    }

    /// Tells events from what is none.
    async fn judge(
        &self,
        messages: Vec<Published>,
    ) -> StoreResult<(Vec<(Published, Event)>, Vec<(Published, Problem)>)> {
        let (mut accepted, mut rejected) = (Vec::with_capacity(messages.len()), Vec::new());
        let mut refreshed = false;
        for message in messages {
            let judged = match judge::project(&message) {
                Ok(project) => {
                    if self.registry.project(&project).is_none() && !refreshed {
                        // It may have been made a moment ago.
                        self.registry.refresh(&*self.store, Group::Config).await?;
                        refreshed = true;
                    }
                    if self.registry.project(&project).is_some() {
                        let judged = judge::event(&message, &project);
                        if let Ok(event) = &judged
                            && self.refuses(event).is_err()
                            && !refreshed
                        {
                            // Its type may have been added a moment ago, or its schema relaxed.
                            self.registry.refresh(&*self.store, Group::Config).await?;
                            refreshed = true;
                        }
                        judged.and_then(|event| self.refuses(&event).map(|()| event))
                    } else {
                        Err(judge::unknown(&project))
                    }
                }
                Err(problem) => Err(problem),
            };
            match judged {
                Ok(event) => accepted.push((message, event)),
                Err(problem) => rejected.push((message, problem)),
            }
        }
        Ok((accepted, rejected))
    }
}
