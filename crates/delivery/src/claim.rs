//! The claim, before anything else is done with a delivery: is it live, and is it ours?

pub(crate) mod answering;

use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::delivery::{Next, Settlement};
use fanfare_core::ports::StoreError;
use fanfare_core::ports::dedup::Claim;
use fanfare_runtime::tasks::report;

use crate::config::DedupOnUnavailable;
use crate::context::{Context, Work};
use crate::settle::settle;
use answering::News;

/// How long it is waited before a claim is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// The same where somebody else is about to end theirs.
const BUSY: Duration = Duration::from_millis(100);

/// What is done about a delivery that somebody else has claimed at this very hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenBusy {
    /// Neither moved nor acknowledged: the lease runs out.
    LetGo,
    /// An owner of the gate that is gone is displaced. Any other is waited for, in the delivery's place: what comes after it behind
    /// its gate would overtake it otherwise. It has given its partition back and ends what it has begun, or its claim runs out.
    TakeOver,
}

/// Claims a delivery. Returns it with the time until which the claim holds, or nothing if it is not to be worked on any
/// more; what had to be done with it then is done.
pub(crate) async fn claim(context: &Context, work: Work, when_busy: WhenBusy) -> Option<(Work, Monotonic)> {
    let header = &work.lease.delivery.header;
    let fence = work.lease.fence.filter(|_| when_busy == WhenBusy::TakeOver);
    let ttl = context.config.claim_ttl();
    let mut was_busy = false;
    let _storing = context.storing(&work);
    loop {
        let asked = context.clock.monotonic();
        let answer = context.dedup.claim(header.id, header.hop, ttl, fence).await;
        let is_busy = matches!(answer, Ok(Claim::Busy));
        // One that is waited for is one decision, however often it is asked for.
        if !(is_busy && was_busy) {
            count(context, &answer);
        }
        was_busy = is_busy;
        match answer {
            Ok(Claim::Claimed | Claim::TakenOver) => return Some((work, asked.after(ttl))),
            Ok(Claim::Busy) => match when_busy {
                WhenBusy::LetGo => return None,
                WhenBusy::TakeOver => {}
            },
            Ok(Claim::Stale) => {
                if let Err(error) = context.queue.drop_copy(&work.lease).await {
                    tracing::warn!(error = %report(&error), "could not drop an overtaken copy; it will be recognised again");
                }
                return None;
            }
            // Its end is journaled once more: a worker may have died between recording it and journaling it.
            Ok(Claim::Done(end)) => {
                let settlement = Settlement { attempt: None, next: Next::End { end }, at: context.clock.now() };
                settle(context, &work, settlement).await;
                return None;
            }
            Err(error) if error.is_retryable() => match context.config.dedup_on_unavailable {
                // The lease and the settlement's own comparison still hold; it is a duplicate on the wire that is risked.
                DedupOnUnavailable::Deliver => return Some((work, Monotonic(Duration::MAX))),
                DedupOnUnavailable::Wait => {}
            },
            Err(_) => return None,
        }
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => {
                context.give_back(work).await;
                return None;
            }
            () = context.clock.sleep(if is_busy { BUSY } else { ASK_AGAIN }) => {}
        }
        if !work.hold.is_ours(context.clock.monotonic()) {
            return None;
        }
    }
}

/// Counts the answer, and says it when the store of claims goes away or comes back.
fn count(context: &Context, answer: &Result<Claim, StoreError>) {
    let decision = match answer {
        Ok(Claim::Claimed) => "claimed",
        Ok(Claim::TakenOver) => "taken_over",
        Ok(Claim::Busy) => "busy",
        Ok(Claim::Stale) => "stale",
        Ok(Claim::Done(_)) => "done",
        Err(_) => "unavailable",
    };
    context.metrics.dedup_decisions.with_label_values(&[decision]).inc();
    let news = context.claims_answering.note(answer.is_ok(), context.clock.monotonic());
    match (news, answer) {
        (Some(News::Away), Err(error)) => {
            let (error, policy) = (report(error), context.config.dedup_on_unavailable);
            tracing::warn!(%error, ?policy, "claims are not answered; delivery.dedup_on_unavailable says what to do meanwhile");
        }
        (Some(News::Back), _) => tracing::info!("claims are answered again"),
        (Some(News::Away) | None, _) => {}
    }
}
