//! Pushing: what is not known yet is published, then noted as known, then journaled.

use std::collections::HashSet;
use std::time::Duration;

use fanfare_core::clock::Monotonic;
use fanfare_core::delivery::Place;
use fanfare_core::journal::JournalEntry;
use fanfare_core::ports::dedup::Standing;
use fanfare_core::ports::delivery_queue::Push;
use fanfare_core::ports::{Dedup, StoreError, StoreErrorKind, StoreResult};
use fanfare_runtime::tasks::report;
use futures_util::future::join_all;

use super::{cut, encode};
use crate::store::BatchRequest;
use crate::{Distributed, journal};

const DOING: &str = "push deliveries";
/// How long what was seen of the streams' size is good.
const FRESH: Duration = Duration::from_secs(1);
/// How many deliveries are looked for by one request.
const LOOKED_FOR: usize = 100;

/// Whether the streams are over their bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct HighWater {
    reached: bool,
    at: Monotonic,
}

/// In this order:
///
/// 1. What may have been pushed before, and Redis knows to be in the queue, or ended, or stands ready, is left out.
/// 2. The rest is published; what JetStream has seen before is no news.
/// 3. At once, since neither needs the other: Redis notes what does not stand ready, and the journal tells of it. Most deliveries
///    are known to Redis soon after, by their claim, and until then they are found where they stand, at the cost of a question
///    for those alone that are pushed again.
///
/// After a crash in between, the whole is pushed again: published deliveries are recognised by Redis, by their place or by their
/// message id, and the journal may tell twice.
pub(super) async fn push(engine: &Distributed, pushes: Vec<Push>, entries: &[JournalEntry]) -> StoreResult<usize> {
    let mut new = 0;
    let pushes = unknown(engine, pushes).await?;
    if !pushes.is_empty() {
        room(engine).await?;
        let now = engine.shared.clock.now();
        let drafts = pushes.iter().map(|push| {
            let delivery = &push.delivery;
            encode::draft(&engine.shared.names, &delivery.header, delivery.body.clone(), push.place, now)
        });
        let answers = engine.shared.store.publish_all(DOING, drafts.collect()).await?;
        new = answers.iter().filter(|answer| !answer.duplicate).count();
        cut(engine, "after the deliveries")?;
    }
    let told = async {
        cut(engine, "before the journal")?;
        if entries.is_empty() { Ok(()) } else { journal::append(engine, DOING, entries).await }
    };
    let ((), told) = tokio::join!(note(engine, &pushes), told);
    told.map(|()| new)
}

/// What neither Redis knows nor stands ready, each once. Without Redis all of it: message ids recognise what was pushed lately.
async fn unknown(engine: &Distributed, mut pushes: Vec<Push>) -> StoreResult<Vec<Push>> {
    let mut seen = HashSet::new();
    pushes.retain(|push| seen.insert(push.delivery.header.id));
    let repeated = pushes.iter().filter(|push| push.repeated);
    let ids: Vec<_> = repeated.map(|push| push.delivery.header.id).collect();
    match engine.standing(&ids).await {
        Ok(standing) => {
            let known = ids.into_iter().zip(standing).filter(|(_, standing)| *standing != Standing::Unknown);
            let known: HashSet<_> = known.map(|(id, _)| id).collect();
            pushes.retain(|push| !known.contains(&push.delivery.header.id));
            let ready = ready(engine, &pushes).await?;
            pushes.retain(|push| !ready.contains(&subject(engine, push)));
        }
        Err(error) => tracing::debug!(error = %report(&error), "pushing without asking what is known"),
    }
    Ok(pushes)
}

fn subject(engine: &Distributed, push: &Push) -> String {
    engine.shared.names.ready(push.delivery.header.webhook, push.delivery.header.id)
}

/// The subjects of those that may have been pushed before and stand ready, leased or not.
async fn ready(engine: &Distributed, pushes: &[Push]) -> StoreResult<HashSet<String>> {
    let (store, stream) = (&engine.shared.store, engine.shared.names.deliveries());
    let subjects: Vec<String> = pushes.iter().filter(|push| push.repeated).map(|push| subject(engine, push)).collect();
    let mut found = HashSet::new();
    for chunk in subjects.chunks(LOOKED_FOR) {
        let last_of: Vec<&str> = chunk.iter().map(String::as_str).collect();
        let request = BatchRequest { from: None, next: None, last_of: &last_of, batch: last_of.len() };
        found.extend(store.batch(DOING, &stream, &request).await?.into_iter().map(|stored| stored.subject));
    }
    Ok(found)
}

/// Notes the deliveries that do not stand ready as live, so that they are not pushed to another place as well.
async fn note(engine: &Distributed, pushes: &[Push]) {
    let pushes: Vec<&Push> = pushes.iter().filter(|push| push.place != Place::Ready).collect();
    for chunk in pushes.chunks(256) {
        let noted = chunk.iter().map(|push| engine.raise(DOING, push.delivery.header.id, push.delivery.header.hop));
        if let Some(error) = join_all(noted).await.into_iter().find_map(Result::err) {
            tracing::debug!(error = %report(&error), "pushed deliveries were not noted");
        }
    }
}

/// Refuses while the streams are over their bound: a full store would keep schedules from firing.
async fn room(engine: &Distributed) -> StoreResult<()> {
    let (shared, most) = (&engine.shared, engine.shared.config.delivery_high_water_bytes);
    if most == 0 {
        return Ok(());
    }
    let now = shared.clock.monotonic();
    let seen = shared.queue.high_water.lock().filter(|seen| now.since(seen.at) < FRESH);
    let reached = match seen {
        Some(seen) => seen.reached,
        None => {
            let mut bytes = 0;
            for name in [shared.names.deliveries(), shared.names.gated()] {
                bytes += shared.store.state(DOING, &name).await?.bytes;
            }
            let reached = bytes >= most;
            *shared.queue.high_water.lock() = Some(HighWater { reached, at: now });
            reached
        }
    };
    if reached {
        let why =
            format!("deliveries have reached delivery_high_water_bytes ({most}); some have to be worked off first");
        return Err(StoreError::new(StoreErrorKind::Full, DOING, why));
    }
    Ok(())
}
