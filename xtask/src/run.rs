//! Running other programs, with a clear word when one fails.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{say, tools};

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.to_path_buf(), Path::to_path_buf)
}

/// Where builds and private tools go.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Cargo itself.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // What the Cargo that runs this says of this package: some build scripts look at it, and half of the dependencies would be
    // built again in turn for `cargo build` and for `cargo xtask`.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a command to its end, showing what it prints.
///
/// # Errors
/// When it cannot be started or fails.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    say(&format!("+ {}", shown(command)));
    let status = command.status().map_err(|error| format!("could not start {}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} failed: {status}", shown(command))) }
}

/// What a command prints on standard output; `None` if it is not there or fails.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// `cargo xtask bench`: builds the product and the bench for release, and runs it.
pub(crate) fn bench(options: &[&str]) -> Result<(), String> {
    run(cargo().args(["build", "--release", "--package", "fanfare", "--package", "fanfare-bench"]))?;
    let binary = target().join("release").join(format!("fanfare{}", std::env::consts::EXE_SUFFIX));
    let bench = target().join("release").join(format!("fanfare-bench{}", std::env::consts::EXE_SUFFIX));
    let mut bench = Command::new(bench);
    bench.args(options).current_dir(root()).env("FANFARE_BIN", binary);
    if options.contains(&"distributed") {
        let (nats, redis) = tools::engine_servers()?;
        bench.env("FANFARE_NATS_SERVER", nats).env("FANFARE_REDIS_SERVER", redis);
    }
    run(&mut bench)
}
