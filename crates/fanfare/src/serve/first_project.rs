//! The first project and its first key: what a new installation needs before anybody can call it.
//!
//! Both are records like any other, under fixed keys, so that doing this again, after a crash too, changes nothing that is
//! already right.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use fanfare_core::api_key::{ApiKey, KeyHash, KeyText, Scope};
use fanfare_core::clock::Clock;
use fanfare_core::ids::{ApiKeyId, ProjectId};
use fanfare_core::ports::config_store::{Changed, Expected, Group, Key, Record, Versioned};
use fanfare_core::ports::{ConfigStore, StoreError};
use fanfare_core::project::{FIRST_PROJECT as PROJECT, Project};

use super::private_file;
use crate::config::{AllowList, Config, SecretText};
use crate::report::Report;

/// The name of the file in the data directory that a generated key goes to when there is no terminal to show it on.
pub(super) const KEY_FILE: &str = "api-key";
const KEY_ID: ApiKeyId = ApiKeyId::FIRST;
const KEY_NAME: &str = "first key";

/// Makes the first project and its first key, or brings them up to the configuration.
///
/// # Errors
/// When the store does not answer, or a generated key can be shown nowhere.
pub(super) async fn ensure(
    config: &Config,
    store: &Arc<dyn ConfigStore>,
    clock: &Arc<dyn Clock>,
) -> Result<(), Report> {
    let shown = if std::io::stderr().is_terminal() { Shown::OnTerminal } else { Shown::InFile };
    ensure_with(config, store, clock, shown).await
}

/// Where a generated key is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    OnTerminal,
    InFile,
}

async fn ensure_with(
    config: &Config,
    store: &Arc<dyn ConfigStore>,
    clock: &Arc<dyn Clock>,
    shown: Shown,
) -> Result<(), Report> {
    let failed = |error| Report::because("cannot set the first project up", &error);
    let project = ProjectId::new(PROJECT).expect("the name is a valid project id");
    ensure_project(&project, &config.egress_allow, &**store, &**clock).await.map_err(failed)?;
    match config.api_key.expose() {
        Some(text) => {
            let changed = ensure_key(&project, text, &**store, &**clock).await.map_err(failed)?;
            if changed {
                tracing::info!(key = %KEY_ID, "the first project's key is the one that api_key gives");
                forget_generated(&config.data_dir)?;
            }
            Ok(())
        }
        // Also when the first key has been deleted since: whoever did that has another one.
        None if has_a_manager(&project, &**store).await.map_err(failed)? => Ok(()),
        None => {
            // Shown before it is stored: a key that was shown and does not work is replaced at the next start, one that works
            // and was not shown locks its owner out.
            let text = generate_key();
            show(text.expose().unwrap_or_default(), &config.data_dir, shown)?;
            ensure_key(&project, text.expose().unwrap_or_default(), &**store, &**clock).await.map_err(failed)?;
            Ok(())
        }
    }
}

/// A new key's text.
pub(crate) fn generate_key() -> SecretText {
    SecretText::new(KeyText::generate(&mut rand::rng()).expose().to_owned())
}

/// Whether the project has its first key, or any that may manage: one with which others can be made.
async fn has_a_manager(project: &ProjectId, store: &dyn ConfigStore) -> Result<bool, StoreError> {
    let all = store.watch(Group::Config).await?.next().await?;
    let is_one = |key: &ApiKey| key.project == *project && (key.id == KEY_ID || key.scopes.contains(&Scope::Manage));
    Ok(all.changes.iter().any(|change| matches!(&change.record, Some(Record::ApiKey(key)) if is_one(key))))
}

/// The project, allowing what the configuration allows. Where that says nothing, what was set through the API stays; what an
/// earlier configuration said does not.
async fn ensure_project(
    id: &ProjectId,
    allow: &AllowList,
    store: &dyn ConfigStore,
    clock: &dyn Clock,
) -> Result<(), StoreError> {
    loop {
        let (record, expected) = match store.get(&Key::Project(id.clone())).await? {
            Some(Versioned { record: Record::Project(found), .. }) if is_as_configured(&found, allow) => return Ok(()),
            Some(Versioned { revision, record: Record::Project(found) }) => {
                tracing::info!(project = %id, allow = ?allow.networks(), "the project's egress exceptions have changed");
                let egress_allow = allow.networks().to_vec();
                (Project { egress_allow, egress_set_by_api: false, ..found }, Expected::At(revision))
            }
            Some(_) | None => {
                let egress_allow = allow.networks().to_vec();
                let made = Project { egress_allow, ..Project::new(id.clone(), clock.now()) };
                (made, Expected::Absent)
            }
        };
        match store.put(Record::Project(record), expected).await? {
            Changed::Done(_) => return Ok(()),
            // Another process was faster: what it wrote is looked at anew.
            Changed::Conflict => {}
        }
    }
}

fn is_as_configured(project: &Project, allow: &AllowList) -> bool {
    if project.egress_set_by_api {
        return allow.networks().is_empty();
    }
    project.egress_allow == allow.networks()
}

/// The first key with this text; whether it was another one before.
async fn ensure_key(
    project: &ProjectId,
    text: &str,
    store: &dyn ConfigStore,
    clock: &dyn Clock,
) -> Result<bool, StoreError> {
    let hash = KeyHash::of(text);
    loop {
        let expected = match store.get(&Key::ApiKey(KEY_ID)).await? {
            Some(Versioned { record: Record::ApiKey(found), .. }) if found.hash.matches(&hash) => return Ok(false),
            Some(Versioned { revision, .. }) => Expected::At(revision),
            None => Expected::Absent,
        };
        let key = ApiKey {
            id: KEY_ID,
            project: project.clone(),
            name: KEY_NAME.to_owned(),
            hash,
            scopes: vec![Scope::Publish, Scope::Read, Scope::Manage],
            created_at: clock.now(),
        };
        match store.put(Record::ApiKey(key), expected).await? {
            Changed::Done(_) => return Ok(true),
            // Another process was faster: what it wrote is looked at anew.
            Changed::Conflict => {}
        }
    }
}

/// On a terminal, once; else in a private file that the log names.
fn show(key: &str, data_dir: &Path, shown: Shown) -> Result<(), Report> {
    match shown {
        Shown::OnTerminal => {
            let text = format!("\n  The API key of project `{PROJECT}`, shown this once:\n\n      {key}\n\n");
            let written = std::io::stderr().write_all(text.as_bytes());
            written.map_err(|error| Report::because("cannot show the generated API key", &error))
        }
        Shown::InFile => {
            let path = data_dir.join(KEY_FILE);
            private_file::write(&path, &format!("{key}\n"))?;
            tracing::info!(file = %path.display(), project = PROJECT, "made an API key: it is in this file");
            Ok(())
        }
    }
}

/// The file of a key that no longer works would mislead whoever finds it.
fn forget_generated(data_dir: &Path) -> Result<(), Report> {
    let path = data_dir.join(KEY_FILE);
    match std::fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            Err(Report::because(format_args!("cannot remove {}, whose key is replaced", path.display()), &error))
        }
    }
}

#[cfg(test)]
mod tests;
