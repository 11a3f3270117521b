//! What `cargo xtask compose` needs: podman, what it stands on, and podman-compose.

use std::path::PathBuf;

use crate::run::output;
use crate::tools::servers;
use crate::tools::{NEEDS, Need, install, is_debian_root, python};

/// Where the tools are.
pub(crate) struct ContainerTools {
    /// A Python with podman-compose.
    pub(crate) python: PathBuf,
    /// `nats-server`, for an image of it.
    pub(crate) nats: PathBuf,
}

/// podman with the parts that Debian packages apart. crun, its other runtime, needs control groups of version 2.
const PODMAN: Need = Need {
    program: "podman",
    version: &["--version"],
    least: (4, 3),
    packages: &["podman", "runc", "netavark", "aardvark-dns", "fuse-overlayfs", "iptables", "curl"],
};

const DEBOOTSTRAP: Need =
    Need { program: "debootstrap", version: &["--version"], least: (1, 0), packages: &["debootstrap"] };

/// Gets them ready.
///
/// # Errors
/// What is missing and how to get it.
pub(crate) fn containers() -> Result<ContainerTools, String> {
    if !is_debian_root() {
        return Err("the images of others are made from Debian's packages, by debootstrap: run this as root on Debian"
            .to_owned());
    }
    let needed = [PODMAN, DEBOOTSTRAP].into_iter().chain(NEEDS.iter().copied().filter(|need| need.program == "node"));
    let missing: Vec<Need> = needed.filter(|need| !need.is_met()).collect();
    if !missing.is_empty() || output("runc", &["--version"]).is_none() {
        install(if missing.is_empty() { &[PODMAN] } else { &missing })?;
    }
    Ok(ContainerTools { python: python("compose")?, nats: servers::nats()? })
}
