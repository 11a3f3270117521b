//! Works one partition of the intake off: the projects take turns, some at once, each with a batch at a time, as their quotas
//! allow. A project has one turn at a time, so its messages are taken in in order.
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
use fanfare_core::project::Quotas;
use fanfare_http::Problem;
use fanfare_runtime::tasks::report;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::line::Line;
use super::{CROWDED, Direct, PACE, PAUSE, judge};
use crate::answer;
use crate::strict::{self, Places};

/// The most messages of one turn: few enough that others wait some milliseconds, enough to share what a batch costs.
const TURN: u32 = 64;

/// So many projects have their turn at once: what one has to wait for at the store holds up none of the others.
const AT_ONCE: usize = 8;

/// Works the partition off until shutdown, or until it has gone to another process.
///
/// # Errors
/// When the store fails for good: nobody else would work the partition off while this process has it.
pub(super) async fn run(direct: Arc<Direct>, partition: Arc<dyn IntakePartition>) -> StoreResult<()> {
    let (mut line, mut turns) = (Line::new(), FuturesUnordered::new());
    loop {
        let now = direct.clock.monotonic();
        while turns.len() < AT_ONCE
            && let Some(waiting) = line.next(now)
        {
            turns.push(turn(&direct, &*partition, waiting));
        }
        // Turns go on while news is waited for, and the other way round.
        let failed = tokio::select! {
            biased;
            () = direct.shutdown.cancelled() => return Ok(()),
            Some((project, turn)) = turns.next() => end(&direct, &mut line, &project, turn).err(),
            news = news(&direct, &*partition, &line) => news.map(|all| line.join(all, direct.clock.monotonic())).err(),
        };
        let Some(error) = failed else { continue };
        if error.kind == StoreErrorKind::Lost {
            if !direct.shutdown.is_cancelled() {
                tracing::info!("a partition of the intake has gone to another process");
            }
            return Ok(());
        }
        if !error.is_retryable() {
            return Err(error);
        }
        let now = direct.clock.monotonic();
        if line.hold(now, now.after(PAUSE)) {
            tracing::warn!(error = %report(&error), "could not take published events in; trying again");
        }
    }
}

/// Waits until somebody may join the line: all who have something waiting.
async fn news(direct: &Direct, partition: &dyn IntakePartition, line: &Line) -> StoreResult<Vec<Waiting>> {
    let now = direct.clock.monotonic();
    let time = async {
        match line.next_time(now) {
            Some(time) => direct.clock.sleep_until(time).await,
            None => std::future::pending().await,
        }
    };
    if !line.is_stale() {
        tokio::select! {
            arrived = partition.arrival() => arrived?,
            () = time => {}
        }
    }
    partition.waiting().await
}

/// What became of a turn.
enum Turn {
    /// The project may join the line again at once.
    Over,
    /// It may do so after this time.
    PutOff(Duration),
    /// Too much waits to be fanned out. What waits here is kept; it goes on when fan-out has caught up.
    Full,
}

/// A project's turn: as many messages as its quota allows.
async fn turn(
    direct: &Direct,
    partition: &dyn IntakePartition,
    Waiting { project, count }: Waiting,
) -> (Arc<str>, StoreResult<Turn>) {
    let turn = async {
        if direct.log.backlog_above(direct.max_backlog).await?.is_some() {
            return Ok(Turn::Full);
        }
        let wanted = u32::try_from(count).unwrap_or(u32::MAX).clamp(1, TURN);
        let tokens = match direct.tokens(&project, wanted) {
            Ok(tokens) => tokens,
            Err(wait) => return Ok(Turn::PutOff(wait.max(PACE))),
        };
        if !direct.take_in(partition, &project, tokens).await? {
            direct.give_back(&project, tokens);
            return Ok(Turn::PutOff(CROWDED));
        }
        Ok(if tokens < wanted { Turn::PutOff(PACE) } else { Turn::Over })
    };
    let turn = turn.await;
    (project, turn)
}

fn end(direct: &Direct, line: &mut Line, project: &Arc<str>, turn: StoreResult<Turn>) -> StoreResult<()> {
    let now = direct.clock.monotonic();
    let until = match &turn {
        Ok(Turn::PutOff(time)) => Some(now.after(*time)),
        Ok(Turn::Over | Turn::Full) | Err(_) => None,
    };
    line.ended(project, until);
    if let Turn::Full = turn? {
        line.hold(now, now.after(PAUSE));
    }
    Ok(())
}

impl Direct {
    /// How many of a project's messages may be looked at now, or how long it has to wait for the first. What turns out to be no
    /// event counts as well: looking at it costs as much.
    fn tokens(&self, project: &str, most: u32) -> Result<u32, Duration> {
        // What is no project's name has no bucket; its messages are rejected.
        let Some((project, quotas)) = self.quotas(project) else { return Ok(most) };
        self.quota.take_up_to(&project, quotas, most, self.clock.monotonic())
    }

    /// Nothing came of a turn that had these.
    fn give_back(&self, project: &str, tokens: u32) {
        if let Some((project, quotas)) = self.quotas(project) {
            self.quota.give_back(&project, quotas, tokens, self.clock.monotonic());
        }
    }

    fn quotas(&self, project: &str) -> Option<(ProjectId, Quotas)> {
        let project = ProjectId::new(project).ok()?;
        let quotas = self.registry.project(&project).map(|served| served.project.quotas).unwrap_or_default();
        Some((project, quotas))
    }

    /// See the [module](self) for the order. False: the project has to wait, and nothing was done.
    async fn take_in(&self, partition: &dyn IntakePartition, project: &str, max: u32) -> StoreResult<bool> {
        let messages = partition.read(project, usize::try_from(max).unwrap_or(usize::MAX)).await?;
        let Some(last) = messages.last().map(|message| message.position) else { return Ok(true) };
        let (accepted, mut rejected) = self.judge(messages).await?;
        let (messages, events): (Vec<Published>, Vec<Event>) = accepted.into_iter().unzip();
        if self.events_line.is_long(&events).await? {
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
