//! What NATS and Redis are told of the accounts: public keys and hashes, in the files that their configurations take in.

use std::path::Path;

use fanfare_core::ids::ProjectId;
use nkeys::KeyPair;
use sha2::{Digest as _, Sha256};

use super::{REDIS_PASSWORD, SERVICES_NKEY, producer_nkey, secret_in};
use crate::report::Report;

/// What the services' Redis user may do, as docs/servers.md has it.
pub(super) const REDIS_RIGHTS: &str = "~fanfare:* +eval +evalsha +get +set +pttl +ping";

/// The files, below the directory, with their texts.
///
/// # Errors
/// When a secret that they are derived from is not there, or is none.
pub(super) fn told(directory: &Path, producers: &[ProjectId]) -> Result<Vec<(String, String)>, Report> {
    let mut files = vec![("nats/services.conf".to_owned(), nats_user(directory, SERVICES_NKEY)?)];
    for project in producers {
        files.push((format!("nats/producer-{project}.conf"), nats_user(directory, &producer_nkey(project))?));
    }
    files.push(("redis/users.acl".to_owned(), redis_users(secret_in(directory, REDIS_PASSWORD)?.trim())));
    Ok(files)
}

/// What stands for the user in NATS' configuration, which includes it.
fn nats_user(directory: &Path, nkey: &str) -> Result<String, Report> {
    let path = directory.join(nkey);
    let pair = KeyPair::from_seed(secret_in(directory, nkey)?.trim()).map_err(|error| {
        Report::because(format_args!("{} does not hold an nkey's seed", path.display()), &error)
            .advise("restore it, or remove it and have a new one made")
    })?;
    Ok(format!("nkey: {}\n", pair.public_key()))
}

/// Whoever has not logged in may ask whether Redis is there, which its health check does, and nothing else.
fn redis_users(password: &str) -> String {
    let hash: String = Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("user default on nopass -@all +ping\nuser fanfare on #{hash} {REDIS_RIGHTS}\n")
}
