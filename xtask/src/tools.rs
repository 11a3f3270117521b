//! What the tests need besides Rust: Node and Python with the pinned client libraries, Go, the servers of the distributed
//! engine, and Prometheus.
//!
//! The PATH comes first. What is missing is installed by apt on Debian as root; elsewhere it is said what to install. The
//! client libraries are pinned by the lock files under `tests/clients` and installed under `target/tools`.

mod containers;
mod debian;
mod prometheus;
mod servers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{output, root, run, target};
use crate::say;

pub(crate) use containers::{ContainerTools, containers};

/// Where the tools are.
pub(crate) struct Tools {
    /// A Python with the pinned clients.
    pub(crate) python: PathBuf,
    /// `nats-server`.
    pub(crate) nats: PathBuf,
    /// `redis-server`.
    pub(crate) redis: PathBuf,
    /// `prometheus`.
    pub(crate) prometheus: PathBuf,
    /// `promtool`.
    pub(crate) promtool: PathBuf,
}

/// Gets everything ready.
///
/// # Errors
/// What is missing and how to get it.
pub(crate) fn ready() -> Result<Tools, String> {
    let missing: Vec<Need> = NEEDS.iter().copied().filter(|need| !need.is_met()).collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    // Elsewhere the test lets Go fetch it.
    if is_debian_root() && !GO_NATS.is_met() {
        install(&[GO_NATS])?;
    }
    node_clients()?;
    let redis = PathBuf::from(servers::REDIS.program);
    let (prometheus, promtool) = prometheus::prometheus()?;
    Ok(Tools { python: python_clients()?, nats: servers::nats()?, redis, prometheus, promtool })
}

/// NATS and Redis alone, for the bench.
///
/// # Errors
/// What is missing and how to get it.
pub(crate) fn engine_servers() -> Result<(PathBuf, PathBuf), String> {
    if !servers::REDIS.is_met() {
        install(&[servers::REDIS])?;
    }
    Ok((servers::nats()?, PathBuf::from(servers::REDIS.program)))
}

/// One program that the tests run.
#[derive(Clone, Copy)]
struct Need {
    program: &'static str,
    version: &'static [&'static str],
    /// The least version, major and minor.
    least: (u32, u32),
    /// Debian's packages that bring it.
    packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    // What the Kapso chat adapter needs.
    Need { program: "node", version: &["--version"], least: (20, 19), packages: &["nodejs"] },
    Need { program: "npm", version: &["--version"], least: (9, 0), packages: &["npm"] },
    Need { program: "python3", version: &["--version"], least: (3, 10), packages: &["python3", "python3-venv"] },
    Need { program: "go", version: &["version"], least: (1, 19), packages: &["golang-go"] },
    servers::REDIS,
];

/// Go's client for NATS, which Debian has as a package.
const GO_NATS: Need = Need {
    program: "dpkg-query",
    version: &["--show", "--showformat=${Version}", "golang-github-nats-io-go-nats-dev"],
    least: (1, 13),
    packages: &["golang-github-nats-io-go-nats-dev"],
};

impl Need {
    fn is_met(&self) -> bool {
        is_at_least(self.program.as_ref(), self.version, self.least)
    }
}

/// Whether a program runs, and is of this version, major and minor, or a later one.
fn is_at_least(program: &Path, asked: &[&str], least: (u32, u32)) -> bool {
    output(&program.to_string_lossy(), asked).and_then(|text| version(&text)).is_some_and(|found| found >= least)
}

/// The first `major.minor` in a text such as `v20.20.2`, `Python 3.11.7` or `go version go1.19.8 linux/amd64`.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
        let mut numbers = word.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

/// Whether apt can be asked for what is missing.
fn is_debian_root() -> bool {
    Path::new("/etc/debian_version").exists() && output("id", &["-u"]).as_deref() == Some("0")
}

fn install(missing: &[Need]) -> Result<(), String> {
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    if !is_debian_root() {
        let wanted: Vec<String> = missing
            .iter()
            .map(|need| format!("  {} {}.{} or later", need.program, need.least.0, need.least.1))
            .collect();
        return Err(format!(
            "the tests need these programs on the PATH:\n{}\non Debian: apt-get install {}",
            wanted.join("\n"),
            packages.join(" ")
        ));
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "DPkg::Lock::Timeout=300", "-q", "-y"]);
        apt
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "--no-install-recommends"]).args(&packages))?;
    match missing.iter().find(|need| !need.is_met()) {
        None => Ok(()),
        Some(need) => Err(format!(
            "{} {}.{} or later is needed; what the system's packages bring is older",
            need.program, need.least.0, need.least.1
        )),
    }
}

/// Node's clients, by their lock file, in `target/tools/node`.
fn node_clients() -> Result<(), String> {
    let (from, to) = (root().join("tests/clients/node"), target().join("tools/node"));
    if is_current(&from, &["package.json", "package-lock.json"], &to)? {
        return Ok(());
    }
    run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&to))?;
    mark(&from, &["package.json", "package-lock.json"], &to)
}

/// Python's clients, by their hashed requirements, in a virtual environment of their own.
fn python_clients() -> Result<PathBuf, String> {
    python("python")
}

/// A Python with what the requirements in a folder of `tests/clients` say, each with its hash, in an environment of its own.
fn python(folder: &str) -> Result<PathBuf, String> {
    let (from, to) = (root().join("tests/clients").join(folder), target().join("tools").join(folder));
    let python = to.join("venv/bin/python");
    if is_current(&from, &["requirements.txt"], &to)? && python.exists() {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(to.join("venv")))?;
    let requirements = to.join("requirements.txt");
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"])
        .arg(requirements))?;
    mark(&from, &["requirements.txt"], &to)?;
    Ok(python)
}

/// Whether what the lock files say is installed already; if not, puts them in place.
fn is_current(from: &Path, files: &[&str], to: &Path) -> Result<bool, String> {
    let stamp = to.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| Ok(installed) == contents(from, files)) {
        return Ok(true);
    }
    say(&format!("installing the test clients of {}", from.display()));
    fs::create_dir_all(to).map_err(|error| format!("could not make {}: {error}", to.display()))?;
    for file in files {
        fs::copy(from.join(file), to.join(file))
            .map_err(|error| format!("could not copy {}: {error}", from.join(file).display()))?;
    }
    Ok(false)
}

fn mark(from: &Path, files: &[&str], to: &Path) -> Result<(), String> {
    fs::write(to.join("installed"), contents(from, files)?)
        .map_err(|error| format!("could not write {}: {error}", to.join("installed").display()))
}

fn contents(from: &Path, files: &[&str]) -> Result<String, String> {
    files
        .iter()
        .map(|file| {
            fs::read_to_string(from.join(file))
                .map_err(|error| format!("could not read {}: {error}", from.join(file).display()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(version("v20.20.2"), Some((20, 20)));
        assert_eq!(version("Python 3.11.7"), Some((3, 11)));
        assert_eq!(version("go version go1.19.8 linux/amd64"), Some((1, 19)));
        assert_eq!(version("none"), None);
    }
}
