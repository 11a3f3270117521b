//! The life of one leased delivery, in the one order there is:
//!
//! 1. claim it; 2. end it if it has expired or its webhook is gone; 3. put it behind its webhook's gate if one is up;
//! 4. put it behind a gate raised for it if its lane has no room; 5. sign and POST; 6. leave the lane to the next; 7. settle.
//!
//! Whatever happens between two of these, dying included, the delivery stands in the queue as it was, and is leased again
//! when the lease has run out.

use std::sync::Arc;
use std::time::Duration;

use fanfare_core::attempt::{Attempt, OutcomeClass};
use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::concurrency::Answered;
use fanfare_core::delivery::{DueReason, End, Next, Place, Settlement};
use fanfare_core::egress::EgressPolicy;
use fanfare_core::health::GateReason;
use fanfare_core::ids::AttemptId;
use fanfare_core::ports::StoreResult;
use fanfare_core::ports::config_store::Group;
use fanfare_core::request::RequestParts;
use fanfare_core::retry_after;
use fanfare_egress::{Answer, Outgoing};
use fanfare_runtime::registry::ServedWebhook;
use fanfare_runtime::tasks::report;
use rand::RngExt as _;
use tokio::sync::OwnedSemaphorePermit;
use ulid::Ulid;

use crate::claim::{self, WhenBusy};
use crate::context::{Context, Origin, Seat, Slot, Work};
use crate::decide::{self, Attempted};
use crate::gates::pacing::Turn;
use crate::operational::Telling;
use crate::settle::settle;
use crate::{health, operational};

/// How long a delivery whose webhook cannot be looked up is kept before it is given back, the first time.
const LOOK_UP_AGAIN: Duration = Duration::from_millis(500);
/// The most that this grows to, doubling each time. What is given back too often goes into quarantine, and a store that is
/// away for some minutes is not the delivery's fault.
const LOOK_UP_AGAIN_MOST: Duration = Duration::from_secs(60);

/// How long a delivery is put off for which no gate could be raised.
const PUT_OFF: Duration = Duration::from_secs(1);

/// How a delivery comes to its pass.
#[derive(Debug)]
pub(crate) enum Way {
    /// Through its lane: it may be sent. The slot is given up before the seat: a lane that holds nothing is forgotten, and with it
    /// how many requests it makes.
    Lane {
        /// Its place among the requests made at once.
        slot: Slot,
        /// Its place among those the lane holds.
        seat: Seat,
    },
    /// By its gate's owner, who makes one request at a time to see whether the webhook works again.
    Probe,
    /// Past its lane: it is not to be sent now.
    Aside,
}

/// What a delivery from behind a gate has until it is sent.
struct Leave {
    /// Its turn, which it waits for.
    turn: Option<Turn>,
    /// Its place among those that have not been sent: whoever waits for them looks for what could be overtaken.
    unsent: Option<OwnedSemaphorePermit>,
}

/// What came of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// Its class.
    pub(crate) outcome: OutcomeClass,
    /// When the receiver wants to be asked again at the earliest, if it says so.
    pub(crate) retry_after: Option<Timestamp>,
    /// Whether its project is told of what follows from it.
    pub(crate) telling: Telling,
}

/// Makes one pass. Returns what came of the request, if one was made.
pub(crate) async fn run(context: &Arc<Context>, mut work: Work, way: Way) -> Option<Sent> {
    if !work.hold.is_ours(context.clock.monotonic()) {
        note_lost(context, &work);
        return None;
    }
    // Before claiming, since a claim would keep the next owner of the gate from it until it has run out.
    if is_held(context, &work, matches!(way, Way::Probe)) {
        context.give_back(work).await;
        return None;
    }
    let leave = Leave { turn: work.turn.take(), unsent: work.unsent.take() };
    let when_busy = match work.origin {
        // What has expired is sent by nobody any more, so nothing overtakes it; but whoever is sending it yet may tell its end.
        Origin::Gate if !is_expired(context, &work) => WhenBusy::TakeOver,
        Origin::Gate | Origin::Queue => WhenBusy::LetGo,
    };
    let (work, claimed_until) = claim::claim(context, work, when_busy).await?;
    let webhook = checked(context, &work, &way).await?;
    match way {
        Way::Lane { slot, seat } => {
            let sent = send(context, &work, &webhook, claimed_until, leave, Some((slot, seat))).await;
            let id = work.webhook();
            // It is settled: it holds nothing any more while the webhook's health is noted.
            drop(work);
            if let Some(sent) = sent {
                health::note(context, id, sent.outcome).await;
                if sent.outcome != OutcomeClass::Success {
                    health::pause_if_failing_too_long(context, id, sent.telling).await;
                }
            }
            sent
        }
        Way::Probe => send(context, &work, &webhook, claimed_until, leave, None).await,
        Way::Aside => {
            let place = behind_congestion(context, &work).await;
            conclude(context, &work, Next::Move(place)).await;
            None
        }
    }
}

/// Whether a delivery from behind a gate has to stay there: what was leased before the gate came to hold everything.
fn is_held(context: &Context, work: &Work, is_probe: bool) -> bool {
    match (work.origin, context.registry.gate(work.webhook())) {
        (Origin::Gate, Some(GateReason::Paused)) => true,
        (Origin::Gate, Some(GateReason::BreakerOpen)) => !is_probe,
        (Origin::Gate, Some(GateReason::Releasing | GateReason::Congested | GateReason::RateLimit) | None)
        | (Origin::Queue, _) => false,
    }
}

fn is_expired(context: &Context, work: &Work) -> bool {
    work.lease.delivery.header.expires_at.is_some_and(|expiry| context.clock.now() >= expiry)
}

/// The checks between the claim and the request: expired, its webhook gone, a gate up. Returns the webhook if the delivery may
/// go on; what had to be done with it otherwise is done.
async fn checked(context: &Context, work: &Work, way: &Way) -> Option<Arc<ServedWebhook>> {
    if is_expired(context, work) {
        conclude(context, work, Next::End { end: End::Expired }).await;
        return None;
    }
    let webhook = match webhook(context, work).await {
        Ok(Some(webhook)) => webhook,
        Ok(None) => {
            conclude(context, work, Next::End { end: End::Discarded }).await;
            return None;
        }
        Err(error) => {
            let webhook = work.webhook();
            tracing::warn!(%webhook, error = %report(&error), "could not look a webhook up; its delivery is tried again");
            // Given back with its claim, which would keep everybody from it for long after the store is back. Not at once: it
            // would be leased and asked about again without a pause.
            tokio::select! {
                biased;
                () = context.shutdown.cancelled() => {}
                () = context.clock.sleep(look_up_again(work.lease.redeliveries)) => {}
            }
            context.give_up(work).await;
            return None;
        }
    };
    if is_held(context, work, matches!(way, Way::Probe)) {
        // It keeps its place; with the lease goes the claim.
        context.give_up(work).await;
        return None;
    }
    match (context.registry.gate(work.webhook()), work.origin) {
        (Some(reason), Origin::Queue) => {
            operational::tell_again(context, work).await;
            conclude(context, work, Next::Move(Place::Gated { reason })).await;
            None
        }
        (Some(_), Origin::Gate) | (None, Origin::Queue | Origin::Gate) => Some(webhook),
    }
}

/// Where a delivery goes that its lane has no room for: behind the webhook's gate, once that is up. While it cannot be raised
/// the delivery is put off, so that it does not come straight back.
async fn behind_congestion(context: &Context, work: &Work) -> Place {
    match health::raise_congested(context, work.webhook()).await {
        Ok(reason) => Place::Gated { reason },
        Err(error) => {
            let webhook = work.webhook();
            tracing::warn!(%webhook, error = %report(&error), "could not raise a gate; its delivery is put off");
            let (at, expiry) = (context.clock.now().after(PUT_OFF), work.lease.delivery.header.expires_at);
            Place::Due { at: expiry.map_or(at, |expiry| expiry.min(at)), reason: DueReason::Congested }
        }
    }
}

/// Counts a lease that is found to be over before its renewal found so.
pub(crate) fn note_lost(context: &Context, work: &Work) {
    if work.hold.lose() {
        context.metrics.delivery_leases_lost.inc();
    }
}

fn look_up_again(redeliveries: u32) -> Duration {
    LOOK_UP_AGAIN.saturating_mul(1 << redeliveries.min(10)).min(LOOK_UP_AGAIN_MOST)
}

/// The webhook, if there still is one. The registry may not have heard yet of one that fan-out knows already, so a missing
/// one is looked for in what the registry will have when it has caught up.
async fn webhook(context: &Context, work: &Work) -> StoreResult<Option<Arc<ServedWebhook>>> {
    if let Some(webhook) = context.registry.webhook(work.webhook()) {
        return Ok(Some(webhook));
    }
    context.registry.refresh(&*context.store, Group::Config).await?;
    Ok(context.registry.webhook(work.webhook()))
}

/// Settles without an attempt.
pub(crate) async fn conclude(context: &Context, work: &Work, next: Next) {
    finish(context, work, None, next).await;
}

/// Settles, and counts what has ended.
async fn finish(context: &Context, work: &Work, attempt: Option<Attempt>, next: Next) {
    let at = context.clock.now();
    if !settle(context, work, Settlement { attempt, next, at }).await {
        return;
    }
    let end = match next {
        Next::Move(_) => return,
        Next::End { end: End::Delivered } => "delivered",
        Next::End { end: End::Exhausted } => "exhausted",
        Next::End { end: End::Expired } => "expired",
        Next::End { end: End::Discarded } => "discarded",
    };
    context.metrics.delivery_ended.with_label_values(&[end]).inc();
}

/// Makes the POST and settles by what comes of it. Returns what came of it, if it was made.
async fn send(
    context: &Arc<Context>,
    work: &Work,
    webhook: &ServedWebhook,
    claimed_until: Monotonic,
    Leave { turn, unsent }: Leave,
    place: Option<(Slot, Seat)>,
) -> Option<Sent> {
    let delivery = &work.lease.delivery;
    let header = &delivery.header;
    let (timeout, telling) = (webhook.webhook.timeout.as_duration(), Telling::about(header));
    if let Some(turn) = turn
        && !turn.come(context, || is_held(context, work, place.is_none())).await
    {
        context.give_up(work).await;
        return None;
    }
    // Right before the request: a process that was frozen since it claimed must not send what another has taken over.
    let monotonic = context.clock.monotonic();
    if !work.hold.is_ours(monotonic) || monotonic.after(timeout) > claimed_until {
        tracing::warn!(delivery = %header.id, "a delivery is not sent: this process was too slow to keep it");
        note_lost(context, work);
        // With it goes the claim: whoever has it now need not wait until that has run out.
        context.give_up(work).await;
        return None;
    }
    drop(unsent);
    let project = context.registry.project(&webhook.webhook.project);
    let policy = project.map_or_else(EgressPolicy::default, |project| project.egress.clone());
    let (started_at, begun) = (context.clock.now(), context.clock.monotonic());
    let number = header.attempts.saturating_add(1);
    let payload = webhook.template.payload(&header.event_type, &delivery.body);
    let headers = webhook.template.headers(&RequestParts {
        payload: &payload,
        key: header.idempotency_key(),
        attempt: number,
        at: started_at,
        test: false,
    });
    let mut logged_headers = webhook.template.masked(&headers);
    context.metrics.delivery_queue_wait.observe(started_at.since(work.lease.ready_at).as_secs_f64());
    let answer = {
        let _in_flight = InFlight::enter(context);
        let (url, body) = (&webhook.webhook.url, payload.body);
        let outgoing = Outgoing { url, policy: &policy, headers, body, timeout };
        outgoing.log_added(&mut logged_headers);
        context.egress.post(outgoing).await
    };
    let outcome = answer.outcome;
    let opens = learn(context, work, &answer, begun, place.is_none());
    // A receiver that is gone, or whose breaker is to open, gets no further request before its gate is seen to be up; any
    // other gets the next at once, however long the store takes to record this one.
    let place = place.filter(|_| opens || outcome == OutcomeClass::Gone);
    let ended_at = context.clock.now();
    count(context, outcome, &answer.took);
    let retry_after = answer.headers.get(http::header::RETRY_AFTER);
    let attempted = Attempted {
        outcome,
        number,
        at: ended_at,
        retry_after: retry_after.and_then(|value| retry_after::parse(value.as_bytes(), ended_at)),
        expires_at: header.expires_at,
        schedule: &webhook.webhook.retry_schedule,
    };
    let next = context.chance.draw(|rng| decide::next(&attempted, rng));
    let retry_after = attempted.retry_after;
    if let Some(until) = retry_after.filter(|_| wants_quiet(&answer)) {
        context.hold_back(work.webhook(), until.since(ended_at));
    }
    if outcome == OutcomeClass::Gone && !health::raise_gone(context, work).await {
        return None;
    }
    if matches!(next, Next::End { end: End::Exhausted }) {
        operational::tell_exhausted(context, work, number, outcome, answer.status, ended_at).await;
    }
    let random = context.chance.draw(|rng| rng.random());
    let id = AttemptId(Ulid::from_parts(u64::try_from(started_at.as_millis()).unwrap_or(0), random));
    finish(context, work, Some(answer.into_attempt(id, number, started_at, logged_headers)), next).await;
    if outcome == OutcomeClass::Success {
        context.metrics.delivery_end_to_end.observe(ended_at.since(header.accepted_at).as_secs_f64());
    }
    if opens {
        health::open_breaker(context, work.webhook(), telling).await;
    }
    drop(place);
    Some(Sent { outcome, retry_after, telling })
}

/// Takes in what an answer says of its receiver. True if its breaker is to open. A probe says nothing of how much it takes at
/// once, and what follows from it its sender decides.
fn learn(context: &Context, work: &Work, answer: &Answer, begun: Monotonic, is_probe: bool) -> bool {
    if is_probe {
        return false;
    }
    let (webhook, ended) = (work.webhook(), context.clock.monotonic());
    {
        let mut lanes = context.lanes.lock();
        let running = lanes.running(webhook);
        let answered = Answered { outcome: answer.outcome, status: answer.status, begun, ended, running };
        lanes.answered(webhook, &answered);
    }
    context.breakers.count(webhook, answer.outcome, ended, &context.config.tripping())
}

/// Whether a `Retry-After` is about the receiver as a whole, not about this delivery: it has too much, or is not available.
fn wants_quiet(answer: &Answer) -> bool {
    answer.outcome == OutcomeClass::RateLimited || answer.status == Some(503)
}

fn count(context: &Context, outcome: OutcomeClass, took: &Duration) {
    let result = if outcome == OutcomeClass::Success { "success" } else { "failure" };
    context.metrics.delivery_attempts.with_label_values(&[outcome.as_str()]).inc();
    context.metrics.delivery_attempt_duration.with_label_values(&[result]).observe(took.as_secs_f64());
}

/// Counts a request while it is being made.
struct InFlight<'c>(&'c Context);

impl<'c> InFlight<'c> {
    fn enter(context: &'c Context) -> Self {
        context.metrics.delivery_in_flight.inc();
        Self(context)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.delivery_in_flight.dec();
    }
}
