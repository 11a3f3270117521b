//! `fanfare init`: makes what a new installation on NATS and Redis has to keep secret, once, and writes down what its servers
//! have to be told of it.
//!
//! Each folder is for one kind of reader, so that in containers each can be a volume of its own:
//!
//! - `services`: for Fanfare's services. The key that seals secrets at rest, the nkey for NATS, the password for Redis.
//! - `keys`: for people and programs that call Fanfare. The first project's API key and the operator's key, which the console
//!   and ingest read, and an nkey for the producers of each project.
//! - `nats`, `redis`: for the servers. Public keys and hashes, nothing secret. Written anew whenever they are not as they have
//!   to be, as after an upgrade.
//! - `grafana`: the password of its first user.
//!
//! A secret that is there is never replaced, so doing this again, after a crash too, completes what is missing.

mod accounts;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanfare_core::api_key::KeyText;
use fanfare_core::ids::ProjectId;
use fanfare_core::seal::SealingKey;
use nkeys::KeyPair;
use rand::Rng as _;

use crate::cli::InitArgs;
use crate::report::Report;
use crate::serve::private_file;

const SERVICES_NKEY: &str = "services/nats.nk";
const REDIS_PASSWORD: &str = "services/redis-password";

/// A secret that is made once.
struct Secret {
    /// Where, below the directory.
    path: String,
    kind: Kind,
    /// What it is for, as the one who runs the installation is told.
    meaning: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Sealing,
    ApiKey,
    Password,
    Nkey,
}

impl Kind {
    fn make(self) -> Result<String, Report> {
        let mut rng = rand::rng();
        match self {
            Kind::Sealing => Ok(SealingKey::generate(&mut rng).1),
            Kind::ApiKey => Ok(KeyText::generate(&mut rng).expose().to_owned()),
            Kind::Password => {
                let mut bytes = [0; 32];
                rng.fill_bytes(&mut bytes);
                Ok(URL_SAFE_NO_PAD.encode(bytes))
            }
            Kind::Nkey => KeyPair::new_user().seed().map_err(|error| Report::because("cannot make an nkey", &error)),
        }
    }
}

/// Makes what is missing, or prints a secret that is there.
///
/// # Errors
/// When a file cannot be read or written, or is not what it has to be.
pub(crate) fn init(args: &InitArgs) -> Result<(), Report> {
    let secrets = secrets(&args.producers);
    if let Some(name) = &args.print {
        return print(&args.directory, name, &secrets);
    }
    for secret in &secrets {
        make(&args.directory, secret)?;
    }
    let told = accounts::told(&args.directory, &args.producers)?;
    for (path, text) in told {
        write_if_other(&args.directory.join(path), &text)?;
    }
    Ok(())
}

fn secrets(producers: &[ProjectId]) -> Vec<Secret> {
    let secret = |path: &str, kind, meaning: &str| Secret { path: path.to_owned(), kind, meaning: meaning.to_owned() };
    let mut secrets = vec![
        secret(
            "services/encryption-key",
            Kind::Sealing,
            "seals secrets at rest: keep a copy elsewhere, without it they are lost",
        ),
        secret(SERVICES_NKEY, Kind::Nkey, "by which the services log in at NATS"),
        secret(REDIS_PASSWORD, Kind::Password, "by which the services log in at Redis"),
        secret("keys/api-key", Kind::ApiKey, "the first project's API key"),
        secret("keys/admin-key", Kind::ApiKey, "the operator's key, which makes projects and keys"),
        secret("grafana/admin-password", Kind::Password, "of Grafana's user admin"),
    ];
    secrets.extend(producers.iter().map(|project| Secret {
        path: producer_nkey(project),
        kind: Kind::Nkey,
        meaning: format!("by which producers of project {project} log in at NATS"),
    }));
    secrets
}

fn producer_nkey(project: &ProjectId) -> String {
    format!("keys/{project}.nk")
}

fn make(directory: &Path, secret: &Secret) -> Result<(), Report> {
    let path = directory.join(&secret.path);
    let done = if private_file::read(&path)?.is_some() {
        "kept"
    } else {
        make_parent(&path)?;
        private_file::write(&path, &format!("{}\n", secret.kind.make()?))?;
        "made"
    };
    say(&format!("{done} {}: {}", path.display(), secret.meaning))
}

/// Without a secret in it, but written whole or not at all all the same.
fn write_if_other(path: &Path, text: &str) -> Result<(), Report> {
    if private_file::read(path)?.as_deref() == Some(text) {
        return Ok(());
    }
    make_parent(path)?;
    private_file::write(path, text)?;
    say(&format!("wrote {}", path.display()))
}

fn make_parent(path: &Path) -> Result<(), Report> {
    let parent = path.parent().unwrap_or(path);
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(|error| {
        Report::because(format_args!("cannot make {}", parent.display()), &error)
            .advise("name a directory that this user may write")
    })
}

fn print(directory: &Path, name: &str, secrets: &[Secret]) -> Result<(), Report> {
    let known = secrets.iter().map(|secret| secret.path.as_str());
    // A producer's key is printed whether or not it is named again.
    let is_producers = name
        .strip_prefix("keys/")
        .and_then(|file| file.strip_suffix(".nk"))
        .is_some_and(|project| ProjectId::new(project).is_ok());
    if !is_producers && !known.clone().any(|path| path == name) {
        let all: Vec<&str> = known.collect();
        return Err(Report::usage(format!("there is no secret {name}"))
            .advise(format!("there are {}, and keys/<project>.nk for producers", all.join(", "))));
    }
    say(secret_in(directory, name)?.trim())
}

/// A secret that has been made.
fn secret_in(directory: &Path, name: &str) -> Result<String, Report> {
    let path = directory.join(name);
    private_file::read(&path)?.ok_or_else(|| {
        Report::new(format!("{} is not there", path.display())).advise("make it: fanfare init, without --print")
    })
}

fn say(line: &str) -> Result<(), Report> {
    let written = writeln!(std::io::stdout(), "{line}");
    written.map_err(|error| Report::because("cannot write to the standard output", &error))
}

#[cfg(test)]
mod tests;
