//! The servers that the distributed engine needs: `nats-server` and `redis-server`.
//!
//! The PATH comes first. On Debian as root, Redis is installed by apt; NATS, which stable Debian has only in a version that
//! is too old, is unpacked from the testing suite under `target/tools/nats`, never over the system's.

use std::path::{Path, PathBuf};

use crate::run::target;
use crate::tools::{Need, debian, is_at_least, is_debian_root};

/// Schedules exist since 2.12; leaks in them were mended in 2.14.
const LEAST_NATS: (u32, u32) = (2, 14);

/// Redis, which apt brings in a version that will do.
pub(super) const REDIS: Need =
    Need { program: "redis-server", version: &["--version"], least: (7, 0), packages: &["redis-server"] };

/// A `nats-server` that is new enough: the one on the PATH, or one of our own.
///
/// # Errors
/// What to install where it cannot be had.
pub(super) fn nats() -> Result<PathBuf, String> {
    let on_path = PathBuf::from("nats-server");
    let own = target().join("tools/nats/root/usr/sbin/nats-server");
    if let Some(found) = [on_path, own.clone()].into_iter().find(|program| is_new_enough(program)) {
        return Ok(found);
    }
    if !is_debian_root() {
        return Err(format!(
            "the tests need nats-server {}.{} or later on the PATH; see https://github.com/nats-io/nats-server/releases",
            LEAST_NATS.0, LEAST_NATS.1
        ));
    }
    debian::unpack(&target().join("tools/nats"), "testing", "nats-server")?;
    if is_new_enough(&own) {
        Ok(own)
    } else {
        Err(format!("{} is not nats-server {}.{} or later", own.display(), LEAST_NATS.0, LEAST_NATS.1))
    }
}

fn is_new_enough(program: &Path) -> bool {
    is_at_least(program, &["--version"], LEAST_NATS)
}
