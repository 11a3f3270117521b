//! Prometheus and its `promtool`, which check and evaluate the rules of `deploy/prometheus`.
//!
//! The PATH comes first. On Debian as root the package is unpacked under `target/tools/prometheus`.

use std::path::{Path, PathBuf};

use crate::run::target;
use crate::tools::{debian, is_at_least, is_debian_root};

/// What stable Debian has. Older ones lack nothing that the rules need, but nobody has tried.
const LEAST: (u32, u32) = (2, 42);

/// `prometheus` and `promtool` that are new enough: those on the PATH, or our own.
///
/// # Errors
/// What to install where they cannot be had.
pub(super) fn prometheus() -> Result<(PathBuf, PathBuf), String> {
    let own = target().join("tools/prometheus/root/usr/bin");
    let pair = |folder: &Path| (folder.join("prometheus"), folder.join("promtool"));
    let places = [pair(Path::new("")), pair(&own)];
    let new_enough = |(server, tool): &(PathBuf, PathBuf)| is_new_enough(server) && is_new_enough(tool);
    if let Some(found) = places.into_iter().find(new_enough) {
        return Ok(found);
    }
    if !is_debian_root() {
        return Err(format!(
            "the tests need prometheus and promtool {}.{} or later on the PATH; see https://prometheus.io/download",
            LEAST.0, LEAST.1
        ));
    }
    debian::unpack(&target().join("tools/prometheus"), &debian::release()?, "prometheus")?;
    Some(pair(&own))
        .filter(new_enough)
        .ok_or_else(|| format!("{} has no prometheus {}.{} or later", own.display(), LEAST.0, LEAST.1))
}

fn is_new_enough(program: &Path) -> bool {
    is_at_least(program, &["--version"], LEAST)
}
