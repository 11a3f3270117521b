//! Leasing: what is there is taken by one request; if nothing is, one delivery is waited for.
//!
//! The server counts a lease from when it sends the message, this process from when it knew that it had none: before the
//! server in any case. Requests end by themselves, so that no message arrives that nobody asked for any more.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{PullConsumer, pull};
use fanfare_core::clock::Monotonic;
use fanfare_core::delivery::{Delivery, QuarantineReason};
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::delivery_queue::Lease;
use fanfare_runtime::tasks::report;
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::leases::{Held, Leased};
use super::{encode, quarantine};
use crate::Distributed;
use crate::error::{corrupt, nats_error, unavailable};
use crate::store::{Stored, timestamp};
use crate::streams::WORKERS;

const DOING: &str = "lease deliveries";
/// How long one request waits at the server.
const WAIT: Duration = Duration::from_secs(5);
/// How often a waiting process notes that it has got nothing so far.
const TICK: Duration = Duration::from_millis(250);

/// The request that is under way and what has come of it. Kept when a wait is given up.
#[derive(Default)]
pub(super) struct Puller {
    consumer: Option<PullConsumer>,
    request: Option<Request>,
    taken: Vec<Taken>,
    /// Of that, what may be handed out.
    ready: Vec<Ready>,
    /// And what is to go into quarantine.
    spoiled: Vec<Spoiled>,
    /// Whether the last request found nothing there.
    found_nothing: bool,
}

struct Request {
    messages: pull::Batch,
    /// When nothing of it had come yet.
    empty_at: Monotonic,
    /// Until then the server ends it; if not, it has never heard of it, or has forgotten it.
    ends: Monotonic,
}

struct Taken {
    message: Message,
    until: Monotonic,
}

/// A copy for quarantine.
struct Spoiled {
    taken: Taken,
    reason: QuarantineReason,
}

/// A delivery that has been leased, before it is handed out.
struct Ready {
    delivery: Delivery,
    ready_at: fanfare_core::clock::Timestamp,
    redeliveries: u32,
    answer: String,
    until: Monotonic,
}

pub(super) async fn lease(engine: &Distributed, max: usize) -> StoreResult<Vec<Lease>> {
    let max = max.max(1);
    let mut puller = engine.shared.queue.puller.lock().await;
    loop {
        puller.sort(engine);
        let spoiled = std::mem::take(&mut puller.spoiled);
        // Dropped while this is under way, they come again when their leases run out.
        join_all(spoiled.iter().map(|spoiled| set_aside(engine, spoiled))).await;
        if puller.request.is_none() && !puller.ready.is_empty() {
            let leases = puller.hand_out(engine, max);
            if !leases.is_empty() {
                return Ok(leases);
            }
        }
        puller.pull(engine, max).await?;
    }
}

impl Puller {
    /// Makes a request if none is under way, and takes in what comes of it, until it ends.
    async fn pull(&mut self, engine: &Distributed, max: usize) -> StoreResult<()> {
        let (clock, lease) = (&engine.shared.clock, engine.shared.config.lease.get());
        let request = match &mut self.request {
            Some(request) => request,
            none => {
                let consumer = match &self.consumer {
                    Some(consumer) => consumer,
                    None => self.consumer.insert(consumer(engine).await?),
                };
                let empty_at = clock.monotonic();
                let timeout = engine.shared.config.nats.timeout.get();
                let (messages, stands) = if self.found_nothing {
                    (consumer.batch().max_messages(1).expires(WAIT).messages().await, WAIT + timeout)
                } else {
                    (consumer.fetch().max_messages(max).messages().await, timeout)
                };
                let messages = messages.map_err(|error| unavailable(DOING, error.to_string()))?;
                none.insert(Request { messages, empty_at, ends: empty_at.after(stands) })
            }
        };
        loop {
            let come = tokio::select! {
                biased;
                come = request.messages.next() => come,
                () = clock.sleep(TICK) => {
                    request.empty_at = clock.monotonic();
                    if request.empty_at < request.ends {
                        continue;
                    }
                    // A connection that broke has taken it along.
                    None
                }
            };
            match come {
                Some(Ok(message)) => self.taken.push(Taken { message, until: request.empty_at.after(lease) }),
                Some(Err(error)) => {
                    self.request = None;
                    return Err(unavailable(DOING, error.to_string()));
                }
                None => {
                    // Whoever has waited for one looks next whether there are more.
                    self.found_nothing = self.taken.is_empty() && self.ready.is_empty() && !self.found_nothing;
                    self.request = None;
                    return Ok(());
                }
            }
        }
    }

    /// Tells what may be handed out from what may not.
    fn sort(&mut self, engine: &Distributed) {
        for taken in self.taken.drain(..) {
            let read = read(&taken);
            if read.as_ref().is_ok_and(|read| read.redeliveries > 0) {
                engine.shared.metrics.nats_redeliveries.with_label_values(&["deliveries"]).inc();
            }
            let reason = match read {
                Ok(read) if read.redeliveries < engine.shared.config.quarantine_after => {
                    self.ready.push(read);
                    continue;
                }
                Ok(_) => QuarantineReason::LeasedTooOften,
                Err(error) => {
                    tracing::error!(subject = %taken.message.subject, error = %report(&error), "a delivery cannot be read");
                    QuarantineReason::Unreadable
                }
            };
            self.spoiled.push(Spoiled { taken, reason });
        }
    }

    /// Hands out what has not run out since, oldest first. Nothing is awaited here: what is taken is returned.
    fn hand_out(&mut self, engine: &Distributed, max: usize) -> Vec<Lease> {
        let shared = &engine.shared;
        let now = shared.clock.monotonic();
        let before = self.ready.len();
        self.ready.retain(|ready| ready.until > now);
        // This process was frozen, or too slow: others have them.
        shared.metrics.delivery_leases_lost.inc_by((before - self.ready.len()) as u64);
        // Several schedules that fall due together come in any order.
        self.ready.sort_by_key(|ready| ready.ready_at);
        let rest = self.ready.split_off(max.min(self.ready.len()));
        let ready = std::mem::replace(&mut self.ready, rest);
        let mut leases = shared.queue.leases.lock();
        let grant = |ready: Ready| {
            let Ready { delivery, ready_at, redeliveries, answer, until } = ready;
            let token = leases.grant(Leased { until, held: Held::Ready { answer } }, now);
            Lease { token, delivery, until, ready_at, redeliveries, fence: None }
        };
        ready.into_iter().map(grant).collect()
    }
}

/// Puts a copy into quarantine, then removes it. Where that fails its lease runs out, and it comes again.
async fn set_aside(engine: &Distributed, Spoiled { taken, reason }: &Spoiled) {
    if let Err(error) = try_to_set_aside(engine, &taken.message, *reason).await {
        let subject = &taken.message.subject;
        tracing::error!(%subject, error = %report(&error), "a delivery could not be put into quarantine; it comes again");
    }
}

async fn try_to_set_aside(engine: &Distributed, message: &Message, reason: QuarantineReason) -> StoreResult<()> {
    let info = message.info().map_err(|error| corrupt(DOING, error))?;
    let answer = message.reply.as_ref().ok_or_else(|| corrupt(DOING, "a message without an answer's subject"))?;
    let copy = Stored {
        sequence: info.stream_sequence,
        at: timestamp(DOING, info.published)?,
        subject: message.subject.to_string(),
        headers: message.headers.clone().unwrap_or_default(),
        payload: message.payload.clone(),
        more: 0,
    };
    quarantine::put(engine, &copy, reason).await?;
    engine.shared.store.confirm(DOING, answer, "+ACK").await
}

fn read(taken: &Taken) -> StoreResult<Ready> {
    let message = &taken.message;
    let info = message.info().map_err(|error| corrupt(DOING, error))?;
    let answer = message.reply.as_ref().ok_or_else(|| corrupt(DOING, "a message without an answer's subject"))?;
    let place = encode::place(DOING, message.headers.as_ref())?;
    Ok(Ready {
        delivery: encode::delivery(DOING, message.headers.as_ref(), message.payload.clone())?,
        ready_at: encode::ready_at(place, timestamp(DOING, info.published)?),
        redeliveries: u32::try_from(info.delivered - 1).unwrap_or(0),
        answer: answer.to_string(),
        until: taken.until,
    })
}

async fn consumer(engine: &Distributed) -> StoreResult<PullConsumer> {
    let (context, stream) = (&engine.shared.store.context, engine.shared.names.deliveries());
    context.get_consumer_from_stream(WORKERS, stream).await.map_err(|error| nats_error(DOING, error))
}
