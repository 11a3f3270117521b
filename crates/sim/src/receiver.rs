//! Receivers, and the port that sends to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare_core::attempt::{OutcomeClass, Phases, Snippet};
use fanfare_egress::{Answer, Outgoing, Post};
use fanfare_runtime::Registry;
use http::{HeaderMap, HeaderValue, header};

use crate::plan::Behaviour;
use crate::stage::ProcessId;
use crate::trace::Fact;
use crate::world::World;

/// One process's way out.
pub(crate) struct Wire {
    pub(crate) world: Arc<World>,
    pub(crate) process: ProcessId,
    pub(crate) registry: Arc<Registry>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("process", &self.process).finish_non_exhaustive()
    }
}

/// What a receiver does with one request.
enum Reply {
    Status(u16, Option<u32>),
    Broken,
    None,
}

#[async_trait]
impl Post for Wire {
    async fn post(&self, request: Outgoing<'_>) -> Answer {
        let key = request.headers.get("x-idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
        let sent = self.world.sent(self.process, key, &self.registry);
        let (webhook, post) = (sent.webhook, sent.post);
        self.world.note(Fact::Sent(sent));
        let mut serving = Serving::enter(self.world.serving(webhook), Arc::clone(&self.world), post);
        let (latency, reply) = match self.world.behaviour(webhook) {
            Behaviour::Well(latency) => (latency, Reply::Status(200, None)),
            Behaviour::Status(status) => (Duration::ZERO, Reply::Status(status, None)),
            Behaviour::ComeBackIn(seconds) => (Duration::ZERO, Reply::Status(429, Some(seconds))),
            Behaviour::Hangs => (request.timeout, Reply::None),
            Behaviour::Resets => (Duration::from_millis(3), Reply::Broken),
            Behaviour::Serves(most, latency) if serving.others < most => (latency, Reply::Status(200, None)),
            Behaviour::Serves(..) => (Duration::ZERO, Reply::Status(429, None)),
        };
        let (latency, reply) =
            if latency >= request.timeout { (request.timeout, Reply::None) } else { (latency, reply) };
        self.world.stage.sleep(latency + Duration::from_millis(1)).await;
        serving.answered = true;
        drop(serving);
        let answer = answer(&reply, latency);
        self.world.note(Fact::Answered { post, outcome: answer.outcome });
        answer
    }
}

fn answer(reply: &Reply, took: Duration) -> Answer {
    let mut headers = HeaderMap::new();
    let (outcome, status, error) = match reply {
        Reply::Status(status, retry_after) => {
            if let Some(seconds) = retry_after {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            (OutcomeClass::of_status(*status), Some(*status), None)
        }
        Reply::Broken => (OutcomeClass::Reset, None, Some("the connection broke".to_owned())),
        Reply::None => (OutcomeClass::Timeout, None, Some("no answer in time".to_owned())),
    };
    Answer { outcome, status, error, took, phases: Phases::default(), headers, body: Snippet::default() }
}

/// A request that a receiver is at. It lets go of it when the sender dies, too.
struct Serving {
    count: Arc<AtomicUsize>,
    others: usize,
    world: Arc<World>,
    post: usize,
    answered: bool,
}

impl Serving {
    fn enter(count: Arc<AtomicUsize>, world: Arc<World>, post: usize) -> Self {
        let others = count.fetch_add(1, Ordering::Relaxed);
        Self { count, others, world, post, answered: false }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        if !self.answered {
            self.world.note(Fact::GivenUp { post: self.post });
        }
    }
}
