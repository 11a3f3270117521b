//! What each webhook was at which revision of the configuration, so that an event shows why it did not go to a webhook as
//! that webhook was then, and a delivery shows where it went although its webhook is gone.
//!
//! The versions come from a watch of the configuration. A watch may tell several quick changes as their last, so a version
//! may be missing; what is told of an event fanned out in between is then by the version before.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Timestamp};
use fanfare_core::ids::WebhookId;
use fanfare_core::ports::config_store::{Change, Changes, ConfigStore, Group, Key, Record, Revision};
use fanfare_core::webhook::Webhook;
use fanfare_runtime::Shutdown;
use fanfare_runtime::tasks::report;
use rusqlite::{OptionalExtension as _, Row, Transaction, params};
use serde_json::{Value, json};

use crate::columns::{self, from_count, to_json};
use crate::database::Database;
use crate::error::HistoryError;

/// `until` of a version that is current.
pub(crate) const CURRENT: i64 = i64::MAX;
/// The most changes that one transaction notes.
const STEP: usize = 1000;
/// How long to wait before a broken watch is made anew.
const PAUSE: Duration = Duration::from_secs(1);

/// A webhook's appearance in the configuration, or its disappearance.
struct Noted {
    webhook: WebhookId,
    revision: Revision,
    record: Option<Webhook>,
}

/// Follows the configuration until shutdown; a watch that breaks is made anew, and tells everything again.
pub(crate) async fn run(
    database: Arc<Database>,
    store: Arc<dyn ConfigStore>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<(), HistoryError> {
    loop {
        let error = match follow(&database, &*store, &*clock, &shutdown).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retryable() => error,
            Err(error) => return Err(error),
        };
        tracing::warn!(error = %report(&error), "the read model cannot follow the configuration for now; trying again");
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = clock.sleep(PAUSE) => {}
        }
    }
}

async fn follow(
    database: &Arc<Database>,
    store: &dyn ConfigStore,
    clock: &dyn Clock,
    shutdown: &Shutdown,
) -> Result<(), HistoryError> {
    let mut watch = store.watch(Group::Config).await?;
    let mut whole = true;
    loop {
        let changes = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            changes = watch.next() => changes?,
        };
        let (up_to, mut noted) = webhooks_in(changes);
        if whole {
            noted.extend(gone(database, &noted, up_to).await?);
            whole = false;
        }
        note_all(database, noted, clock.now()).await?;
    }
}

fn webhooks_in(changes: Changes) -> (Revision, Vec<Noted>) {
    let of_webhook = |change: Change| match (change.key, change.record) {
        (Key::Webhook(webhook), Some(Record::Webhook(record))) => {
            Some(Noted { webhook, revision: change.revision, record: Some(record) })
        }
        (Key::Webhook(webhook), None) => Some(Noted { webhook, revision: change.revision, record: None }),
        // A webhook's key has a webhook's record: whoever decodes one goes by the key.
        (
            Key::Webhook(_) | Key::Project(_) | Key::ApiKey(_) | Key::EventType(..) | Key::Health(_) | Key::KeyUse(_),
            _,
        ) => None,
    };
    (changes.up_to, changes.changes.into_iter().filter_map(of_webhook).collect())
}

/// The webhooks that were there when the configuration was last followed and are not in the whole of it now.
async fn gone(database: &Arc<Database>, whole: &[Noted], up_to: Revision) -> Result<Vec<Noted>, HistoryError> {
    let current: Vec<WebhookId> = database
        .read("read the webhooks' versions", |transaction| {
            transaction
                .prepare("SELECT webhook FROM webhook_versions WHERE until = ?1")?
                .query_map([CURRENT], |row| columns::webhook_id(row, 0))?
                .collect()
        })
        .await?;
    let told: HashSet<WebhookId> = whole.iter().map(|noted| noted.webhook).collect();
    let gone = current.into_iter().filter(|webhook| !told.contains(webhook));
    Ok(gone.map(|webhook| Noted { webhook, revision: up_to, record: None }).collect())
}

async fn note_all(database: &Arc<Database>, noted: Vec<Noted>, now: Timestamp) -> Result<(), HistoryError> {
    let mut noted = noted.into_iter().peekable();
    while noted.peek().is_some() {
        let step: Vec<Noted> = noted.by_ref().take(STEP).collect();
        database
            .write("note the webhooks' versions", move |transaction| {
                step.iter().try_for_each(|noted| note(transaction, noted, now))
            })
            .await?;
    }
    Ok(())
}

/// Ends the version that was current, and begins another unless the webhook is gone. What is known already changes nothing.
fn note(transaction: &Transaction<'_>, noted: &Noted, now: Timestamp) -> rusqlite::Result<()> {
    let revision = from_count(noted.revision.0);
    let newest: Option<(i64, i64)> = transaction
        .prepare_cached(
            "SELECT revision, until FROM webhook_versions WHERE webhook = ?1 ORDER BY revision DESC LIMIT 1",
        )?
        .query_row([noted.webhook.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((newest, until)) = newest {
        if newest >= revision {
            return Ok(());
        }
        if until == CURRENT {
            transaction
                .prepare_cached(
                    "UPDATE webhook_versions SET until = ?3, superseded_at = ?4 WHERE webhook = ?1 AND revision = ?2",
                )?
                .execute(params![noted.webhook.as_bytes(), newest, revision, now.as_millis()])?;
        }
    }
    if let Some(webhook) = &noted.record {
        transaction
            .prepare_cached(
                "INSERT INTO webhook_versions (webhook, revision, until, project, url, record)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                webhook.id.as_bytes(),
                revision,
                CURRENT,
                webhook.project.as_str(),
                webhook.url.as_str(),
                to_json(&without_secrets(webhook)?)?,
            ])?;
    }
    Ok(())
}

/// The record without what matching does not need: above all without anything sealed, which a copy would keep past its
/// deletion. The fields stay, empty, so that the record can be read as a webhook and matched by the one rule there is.
fn without_secrets(webhook: &Webhook) -> rusqlite::Result<Value> {
    let mut record =
        serde_json::to_value(webhook).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    for (field, empty) in
        [("secret", json!("")), ("secret_last4", json!("")), ("headers", json!([])), ("description", Value::Null)]
    {
        record[field] = empty;
    }
    Ok(record)
}

/// Reads a webhook, for matching alone, from the column `record`.
pub(crate) fn record(row: &Row<'_>, column: usize) -> rusqlite::Result<Webhook> {
    columns::json(row, column)
}

/// The webhook's URL as it is now, or as it last was; empty if the webhook has never been heard of.
pub(crate) fn url(transaction: &Transaction<'_>, webhook: WebhookId) -> rusqlite::Result<String> {
    let found = transaction
        .prepare_cached("SELECT url FROM webhook_versions WHERE webhook = ?1 ORDER BY revision DESC LIMIT 1")?
        .query_row([webhook.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or_default())
}
