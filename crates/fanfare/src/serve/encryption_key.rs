//! The encryption key: from the configuration, else from a key file in the data directory, made at the first start.

use std::path::Path;
use std::sync::Arc;

use fanfare_core::ports::ConfigStore;
use fanfare_core::ports::config_store::{Group, Record};
use fanfare_core::seal::SealingKey;
use fanfare_core::webhook::Webhook;

use super::private_file;
use crate::config::Config;
use crate::report::Report;

/// The name of the key file in the data directory.
pub(super) const FILE: &str = "encryption.key";

/// The key that everything sealed is opened with.
///
/// A missing file is made only while nothing is sealed yet: a new key beside old data would open none of it, and would hide
/// that the right one is lost.
///
/// # Errors
/// When the file is not private, not a key, or missing although webhooks are stored; and when the key is not the one that
/// these were stored with, before anything is written with it.
pub(super) async fn load(config: &Config, store: &Arc<dyn ConfigStore>) -> Result<SealingKey, Report> {
    let stored = a_webhook(store).await?;
    let key = read_or_make(config, stored.is_some())?;
    let Some(webhook) = stored else { return Ok(key) };
    match key.open(&webhook.secret, &Webhook::secret_context(webhook.id)) {
        Ok(_) => Ok(key),
        Err(error) => {
            let used = match config.encryption_key.expose() {
                Some(_) => "encryption_key (FANFARE_ENCRYPTION_KEY)".to_owned(),
                None => config.data_dir.join(FILE).display().to_string(),
            };
            Err(Report::because(format_args!("{used} is not the key that the webhooks were stored with"), &error)
                .advise("restore that key: the file from a backup, or FANFARE_ENCRYPTION_KEY as it was; nothing was changed"))
        }
    }
}

fn read_or_make(config: &Config, holds_webhooks: bool) -> Result<SealingKey, Report> {
    if let Some(text) = config.encryption_key.expose() {
        return SealingKey::parse(text).map_err(|error| Report::because("encryption_key", &error));
    }
    let path = config.data_dir.join(FILE);
    if let Some(text) = private_file::read(&path)? {
        return SealingKey::parse(text.trim()).map_err(|error| {
            Report::because(format_args!("{} does not hold an encryption key", path.display()), &error)
                .advise("restore it from a backup, or set FANFARE_ENCRYPTION_KEY")
        });
    }
    if holds_webhooks {
        return Err(Report::new(format!("{} is missing, and webhooks were stored with it", path.display()))
            .advise("restore it from a backup, or set FANFARE_ENCRYPTION_KEY to the key that was in it"));
    }
    make(&path)
}

/// The file is durable before the key seals anything.
fn make(path: &Path) -> Result<SealingKey, Report> {
    let (key, text) = SealingKey::generate(&mut rand::rng());
    private_file::write(path, &format!("{text}\n"))?;
    tracing::info!(file = %path.display(), key = key.id(), "made an encryption key: keep a copy, without it secrets are lost");
    Ok(key)
}

/// Any webhook, if one is stored.
async fn a_webhook(store: &Arc<dyn ConfigStore>) -> Result<Option<Webhook>, Report> {
    let failed = |error| Report::because("cannot read the configuration records", &error);
    let mut watch = store.watch(Group::Config).await.map_err(failed)?;
    let all = watch.next().await.map_err(failed)?;
    Ok(all.changes.into_iter().find_map(|change| match change.record {
        Some(Record::Webhook(webhook)) => Some(webhook),
        Some(_) | None => None,
    }))
}

#[cfg(test)]
mod tests;
