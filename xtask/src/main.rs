//! The workspace's chores: `cargo xtask test` gets what the tests need and runs them all, `cargo xtask bench` measures.

mod compose;
mod run;
mod test;
mod tools;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [FILTER]        runs every test, getting by itself what they need
  bench [OPTIONS]      measures throughput, latency and cost on loopback; `bench --help` lists the options
  compose              runs docker-compose.yml for real with podman, on Debian as root; takes minutes
  sim [OPTIONS]        simulates worlds: `--seeds N`, `--from SEED`, `--threads N`; `--replay SEED` shows one
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test", filter @ ..] => test::test(filter),
        ["bench", options @ ..] => run::bench(options),
        ["compose"] => compose::compose(),
        ["sim", options @ ..] => run::run(run::cargo().args(["run", "-q", "-p", "fanfare-sim", "--"]).args(options)),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            say(&message);
            ExitCode::FAILURE
        }
    }
}

/// Tells the person at the terminal.
#[allow(clippy::print_stderr, reason = "a command line tool talks on standard error")]
fn say(message: &str) {
    eprintln!("{message}");
}
