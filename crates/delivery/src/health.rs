//! Changes of the health record: by compare-and-set, journaled when they are made.
//!
//! A conflict means that somebody else decided at the same time: the record is read again and the decision made anew. The
//! record is changed first and journaled after; a crash between the two leaves the read model behind until the next
//! change, while every worker has the gate as it is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::clock::{Monotonic, Timestamp};
use fanfare_core::health::{Gate, GateReason, Health, PauseReason, Recovered};
use fanfare_core::ids::WebhookId;
use fanfare_core::journal::{HealthChanged, JournalEntry};
use fanfare_core::ports::config_store::{Changed, Expected, Group, Key, Record, Revision, Versioned};
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_runtime::tasks::report;
use parking_lot::Mutex;

use crate::context::{Context, Work};
use crate::operational::{self, Telling, Transition};

/// What this process is noting now, and when it noted failures last.
#[derive(Debug, Default)]
pub(crate) struct HealthNotes(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    /// Webhooks that a pass is making a note of, with what came last meanwhile: failing or not. One at a time for each, so
    /// that a failure's note cannot overtake that of the success which followed it.
    under_way: HashMap<WebhookId, bool>,
    /// When a failure was noted last. A receiver that answers now so and now so must not keep the store busy, so a failure
    /// is noted at most once a second; successes need no such bound, as each follows a noted failure.
    failures: HashMap<WebhookId, Monotonic>,
}

impl Notes {
    fn may_note_failure(&mut self, webhook: WebhookId, now: Monotonic) -> bool {
        const AT_MOST_EVERY: Duration = Duration::from_secs(1);
        const SWEEP_AT: usize = 1024;
        if self.failures.get(&webhook).is_some_and(|last| now.since(*last) < AT_MOST_EVERY) {
            return false;
        }
        if self.failures.len() >= SWEEP_AT {
            self.failures.retain(|_, last| now.since(*last) < AT_MOST_EVERY);
        }
        self.failures.insert(webhook, now);
        true
    }
}

/// Notes in the health record that an attempt failed or succeeded, where that changes it. It is no more than a note: where
/// it cannot be made, the next attempt makes it.
pub(crate) async fn note(context: &Context, webhook: WebhookId, outcome: OutcomeClass) {
    let mut fails = outcome != OutcomeClass::Success;
    {
        let mut notes = context.health.0.lock();
        if let Some(latest) = notes.under_way.get_mut(&webhook) {
            *latest = fails;
            return;
        }
        if !has_to_note(context, &mut notes, webhook, fails) {
            return;
        }
        notes.under_way.insert(webhook, fails);
    }
    loop {
        if let Err(error) = make_note(context, webhook, fails).await {
            tracing::warn!(%webhook, error = %report(&error), "could not note a webhook's health");
        }
        let mut notes = context.health.0.lock();
        let latest = notes.under_way.get(&webhook).copied().unwrap_or(fails);
        if latest == fails || !has_to_note(context, &mut notes, webhook, latest) {
            notes.under_way.remove(&webhook);
            return;
        }
        fails = latest;
    }
}

fn has_to_note(context: &Context, notes: &mut Notes, webhook: WebhookId, fails: bool) -> bool {
    let failing = context.registry.health(webhook).is_some_and(|served| served.health.failing_since.is_some());
    failing != fails && (!fails || notes.may_note_failure(webhook, context.clock.monotonic()))
}

async fn make_note(context: &Context, webhook: WebhookId, fails: bool) -> StoreResult<()> {
    let now = context.clock.now();
    let changed = change(context, webhook, |health| {
        let failing_since = fails.then(|| health.failing_since.unwrap_or(now));
        (failing_since != health.failing_since).then(|| Health { failing_since, ..health.clone() })
    });
    changed.await.map(drop)
}

/// Pauses a webhook whose receiver answered 410, and waits until this process sees it. True when that is done; false when
/// the lease ran out before the store took it: then the delivery is sent again, and pauses the webhook if still gone.
pub(crate) async fn raise_gone(context: &Context, work: &Work) -> bool {
    let (webhook, telling) = (work.webhook(), Telling::about(&work.lease.delivery.header));
    loop {
        match pause(context, webhook, PauseReason::Gone, telling).await {
            Ok(()) => return true,
            Err(error) => tracing::warn!(%webhook, error = %report(&error), "could not pause a webhook"),
        }
        context.clock.sleep(Duration::from_millis(500)).await;
        if !work.hold.is_ours(context.clock.monotonic()) {
            return false;
        }
    }
}

/// Pauses a webhook, whatever other gate it has up, and waits until this process sees it; one that is paused stays as it is.
///
/// # Errors
/// When the store does not take it.
async fn pause(context: &Context, webhook: WebhookId, by: PauseReason, telling: Telling) -> StoreResult<()> {
    let since = context.clock.now();
    let changed = change(context, webhook, |health| match &health.gate {
        Some(Gate::Paused { .. }) => None,
        Some(Gate::Releasing { .. } | Gate::Congested { .. } | Gate::BreakerOpen { .. }) | None => {
            let failing_since = Some(health.failing_since.unwrap_or(since));
            Some(Health { gate: Some(Gate::Paused { by, since }), failing_since, ..health.clone() })
        }
    })
    .await?;
    if let Some(Changes { after: paused, .. }) = changed {
        tracing::info!(%webhook, reason = ?by, "paused a webhook");
        operational::tell(context, telling, Transition::Paused, &paused, since).await;
    }
    Ok(())
}

/// Pauses a webhook that has failed without a break for as long as `delivery.pause_after` says. Where that cannot be done,
/// the next failure does it.
pub(crate) async fn pause_if_failing_too_long(context: &Context, webhook: WebhookId, telling: Telling) {
    let since = context.registry.health(webhook).and_then(|served| served.health.failing_since);
    let longest = context.config.pause_after.get();
    if since.is_none_or(|since| context.clock.now().since(since) < longest) {
        return;
    }
    if let Err(error) = pause(context, webhook, PauseReason::Failing, telling).await {
        tracing::warn!(%webhook, error = %report(&error), "could not pause a webhook");
    }
}

/// Opens a webhook's breaker, and waits until this process sees it; a gate that holds everything stays as it is. Where it
/// cannot be opened, as many failures again try it again.
pub(crate) async fn open_breaker(context: &Context, webhook: WebhookId, telling: Telling) {
    let since = context.clock.now();
    let probing = context.config.probing();
    let opened = change(context, webhook, |health| match &health.gate {
        Some(Gate::Paused { .. } | Gate::BreakerOpen { .. }) => None,
        Some(Gate::Releasing { .. } | Gate::Congested { .. }) | None => {
            let from = health.recovered.map_or(0, |last| probing.begins_again(last.probes, since.since(last.at)));
            let first = context.chance.draw(|rng| probing.interval(from, rng));
            let gate = Gate::BreakerOpen { since, probes: 0, from, next_probe: since.after(first) };
            let failing_since = Some(health.failing_since.unwrap_or(since));
            Some(Health { gate: Some(gate), failing_since, ..health.clone() })
        }
    });
    match opened.await {
        Ok(Some(Changes { after: failing, .. })) => {
            tracing::info!(%webhook, "a webhook's breaker has opened: it is probed until it works again");
            operational::tell(context, telling, Transition::Failing, &failing, since).await;
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%webhook, error = %report(&error), "could not open a webhook's breaker"),
    }
}

/// A probe has failed: says when the next one is made, no sooner than the receiver asks for.
///
/// # Errors
/// When the store does not take it.
pub(crate) async fn probe_failed(
    context: &Context,
    webhook: WebhookId,
    retry_after: Option<Timestamp>,
    telling: Telling,
) -> StoreResult<()> {
    let now = context.clock.now();
    change(context, webhook, |health| match &health.gate {
        Some(Gate::BreakerOpen { since, probes, from, .. }) => {
            let (since, probes, from) = (*since, probes.saturating_add(1), *from);
            let made = from.saturating_add(probes);
            let interval = context.chance.draw(|rng| context.config.probing().interval(made, rng));
            let next_probe = now.after(interval).max(retry_after.unwrap_or(now));
            Some(Health { gate: Some(Gate::BreakerOpen { since, probes, from, next_probe }), ..health.clone() })
        }
        Some(Gate::Paused { .. } | Gate::Releasing { .. } | Gate::Congested { .. }) | None => None,
    })
    .await?;
    pause_if_failing_too_long(context, webhook, telling).await;
    Ok(())
}

/// A probe has succeeded: what stands behind the gate is worked off, one request at a time at first.
///
/// # Errors
/// When the store does not take it.
pub(crate) async fn close_breaker(context: &Arc<Context>, webhook: WebhookId, telling: Telling) -> StoreResult<()> {
    context.lanes.lock().recovering(webhook);
    // Whatever the receiver asked for before: it has just taken one.
    context.go_on(webhook);
    context.breakers.forget(webhook);
    let since = context.clock.now();
    let changed = change(context, webhook, |health| match &health.gate {
        Some(Gate::BreakerOpen { probes, from, .. }) => {
            let gate = Some(Gate::Releasing { since, rate: None });
            let recovered = Some(Recovered { at: since, probes: from.saturating_add(*probes) });
            Some(Health { gate, failing_since: None, recovered, ..health.clone() })
        }
        Some(Gate::Paused { .. } | Gate::Releasing { .. } | Gate::Congested { .. }) | None => None,
    })
    .await?;
    if let Some(Changes { before: failed, .. }) = changed {
        tracing::info!(%webhook, "a webhook works again: its breaker has closed");
        operational::tell(context, telling, Transition::Recovered, &failed, since).await;
    }
    Ok(())
}

/// Raises a webhook's gate because its lane has no room, and waits until this process sees it; one that is up already stays as
/// it is. Returns why it is up.
///
/// Whoever meets a full lane comes here, many at once: one asks the store, the others then see what it has done.
///
/// # Errors
/// When the store does not take it.
pub(crate) async fn raise_congested(context: &Context, webhook: WebhookId) -> StoreResult<GateReason> {
    let _one = context.raising.lock().await;
    if let Some(reason) = context.registry.gate(webhook) {
        return Ok(reason);
    }
    let since = context.clock.now();
    let mut reason = GateReason::Congested;
    let changed = change(context, webhook, |health| match &health.gate {
        Some(gate) => {
            reason = gate.reason();
            None
        }
        None => {
            reason = GateReason::Congested;
            Some(Health { gate: Some(Gate::Congested { since }), ..health.clone() })
        }
    })
    .await?;
    if changed.is_some() {
        tracing::info!(%webhook, "more has come for a webhook than it takes: the rest waits behind its gate");
    }
    Ok(reason)
}

/// Lowers a gate that has been worked off. False if it is up for another reason by now.
pub(crate) async fn lower(context: &Context, webhook: WebhookId) -> StoreResult<bool> {
    let mut is_down = true;
    change(context, webhook, |health| match &health.gate {
        Some(Gate::Paused { .. } | Gate::BreakerOpen { .. }) => {
            is_down = false;
            None
        }
        Some(Gate::Releasing { .. } | Gate::Congested { .. }) => {
            is_down = true;
            Some(Health { gate: None, ..health.clone() })
        }
        None => {
            is_down = true;
            None
        }
    })
    .await?;
    Ok(is_down)
}

/// Waits until the registry has a change that was just made. Not for long: it is only to be sure that what this process does
/// next goes by it, and a watch that is broken catches up later.
async fn see(context: &Context, revision: Revision) {
    tokio::select! {
        biased;
        () = context.registry.caught_up(Group::State, revision) => {}
        () = context.clock.sleep(Duration::from_secs(1)) => {}
        () = context.shutdown.cancelled() => {}
    }
}

/// A change that was made.
struct Changes {
    before: Health,
    after: Health,
}

/// Changes a record as `decide` says, reading it anew for each try. Returns the change, if one was made, when this process
/// sees it.
async fn change(
    context: &Context,
    webhook: WebhookId,
    mut decide: impl FnMut(&Health) -> Option<Health> + Send,
) -> StoreResult<Option<Changes>> {
    const TRIES: usize = 16;
    let key = Key::Health(webhook);
    for _ in 0..TRIES {
        let (health, expected) = match context.store.get(&key).await? {
            Some(Versioned { record: Record::Health(health), revision }) => (health, Expected::At(revision)),
            Some(Versioned {
                record:
                    Record::Webhook(_) | Record::Project(_) | Record::ApiKey(_) | Record::EventType(_) | Record::KeyUse(_),
                ..
            }) => {
                let what = format!("the record under {key} is of another kind");
                return Err(StoreError::new(StoreErrorKind::Corrupt, "read a health record", what));
            }
            None => match context.registry.webhook(webhook) {
                Some(served) => (Health::new(webhook, served.webhook.project.clone()), Expected::Absent),
                // Of a webhook that was deleted meanwhile, no record is left behind.
                None => return Ok(None),
            },
        };
        let Some(changed) = decide(&health) else { return Ok(None) };
        match context.store.put(Record::Health(changed.clone()), expected).await? {
            Changed::Done(revision) => {
                let changes = Changes { before: health, after: changed };
                tell(context, &changes).await;
                see(context, revision).await;
                return Ok(Some(changes));
            }
            Changed::Conflict => {}
        }
    }
    Err(StoreError::new(StoreErrorKind::Unavailable, "change a health record", "others kept changing it"))
}

/// Counts a change and tells the journal of it; that a further probe has failed is not told.
async fn tell(context: &Context, Changes { before, after }: &Changes) {
    let reason = |health: &Health| health.gate.as_ref().map(Gate::reason);
    let since = |health: &Health| health.gate.as_ref().map(Gate::since);
    let told = |health: &Health| (reason(health), since(health), health.failing_since);
    if told(before) == told(after) {
        return;
    }
    if reason(before) != reason(after) {
        let reason = reason(after).map_or("none", GateReason::as_str);
        context.metrics.gate_changes.with_label_values(&[reason]).inc();
    }
    let entry = JournalEntry::HealthChanged(HealthChanged { health: after.clone(), at: context.clock.now() });
    if let Err(error) = context.journal.append(vec![entry]).await {
        let webhook = after.webhook;
        tracing::warn!(%webhook, error = %report(&error), "could not journal a change of a webhook's health");
    }
}
