//! Debian packages unpacked under `target/tools`, never over the system's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::run;

/// What apt checks the suite's signature by.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Downloads a package from a suite of the machine's own mirror, by lists and a cache of our own, and unpacks it under
/// `dir/root`.
///
/// # Errors
/// When apt or dpkg fails.
pub(super) fn unpack(dir: &Path, suite: &str, package: &str) -> Result<(), String> {
    let failed = |what: &str, error: std::io::Error| format!("could not {what} under {}: {error}", dir.display());
    for folder in ["state/lists/partial", "cache/archives/partial", "download"] {
        fs::create_dir_all(dir.join(folder)).map_err(|error| failed("make folders", error))?;
    }
    let list = dir.join("suite.list");
    let line = format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror()?);
    fs::write(&list, line).map_err(|error| failed("write a package list", error))?;
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").arg("-q").current_dir(dir.join("download"));
        for (name, value) in [
            ("Dir::Etc::sourcelist", list.clone()),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::Etc::preferences", PathBuf::from("/dev/null")),
            ("Dir::Etc::preferencesparts", PathBuf::from("/dev/null")),
            ("Dir::State", dir.join("state")),
            ("Dir::Cache", dir.join("cache")),
        ] {
            apt.arg("-o").arg(format!("{name}={}", value.display()));
        }
        // The user that apt downloads as may not write into a checkout.
        apt.args(["-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]);
        apt
    };
    run(apt().arg("update"))?;
    run(apt().args(["download", package]))?;
    let packages = fs::read_dir(dir.join("download")).map_err(|error| failed("look for the package", error))?;
    let package = packages
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .max();
    let package = package.ok_or_else(|| format!("apt-get left no package in {}", dir.join("download").display()))?;
    run(Command::new("dpkg-deb").arg("-x").arg(package).arg(dir.join("root")))
}

/// The name of this machine's release, such as `bookworm`: packages of that suite run here.
///
/// # Errors
/// When `/etc/os-release` does not say it.
pub(super) fn release() -> Result<String, String> {
    let text =
        fs::read_to_string("/etc/os-release").map_err(|error| format!("could not read /etc/os-release: {error}"))?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.map(|name| name.trim_matches('"').to_owned())
        .ok_or_else(|| "no VERSION_CODENAME in /etc/os-release".to_owned())
}

/// The Debian mirror that this machine uses.
fn mirror() -> Result<String, String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(parts.flatten().map(|entry| entry.path()));
    }
    files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "list" || extension == "sources"))
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| mirror_in(&text))
        .ok_or_else(|| "no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d".to_owned())
}

/// The first address in a sources file, of either form, whose path is that of the archive itself.
fn mirror_in(text: &str) -> Option<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace)
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"))
        .map(|word| word.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::mirror_in;

    #[test]
    fn the_mirror_is_found_in_both_forms_of_sources() {
        let old = "# a comment\ndeb [signed-by=/k.gpg] https://mirror.test/debian/ bookworm main\n";
        assert_eq!(mirror_in(old).as_deref(), Some("https://mirror.test/debian"));
        let new = "Types: deb\n# http://old.test/debian\nURIs: http://mirror.test/debian\nSuites: bookworm\n";
        assert_eq!(mirror_in(new).as_deref(), Some("http://mirror.test/debian"));
        assert_eq!(mirror_in("deb http://security.test/debian-security bookworm-security main\n"), None);
    }
}
