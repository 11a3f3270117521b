//! The encryption key: from the configuration, else from a key file in the data directory, made at the first start.

use std::path::Path;
use std::sync::Arc;

use fanfare_core::ports::ConfigStore;
use fanfare_core::ports::config_store::{Group, Key};
use fanfare_core::seal::SealingKey;

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
/// When the file is not private, not a key, or missing although webhooks are stored.
pub(super) async fn load(config: &Config, store: &Arc<dyn ConfigStore>) -> Result<SealingKey, Report> {
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
    if holds_webhooks(store).await? {
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

async fn holds_webhooks(store: &Arc<dyn ConfigStore>) -> Result<bool, Report> {
    let failed = |error| Report::because("cannot read the configuration records", &error);
    let mut watch = store.watch(Group::Config).await.map_err(failed)?;
    let all = watch.next().await.map_err(failed)?;
    Ok(all.changes.iter().any(|change| matches!(change.key, Key::Webhook(_)) && change.record.is_some()))
}

#[cfg(test)]
mod tests;
