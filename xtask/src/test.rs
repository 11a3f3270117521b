//! `cargo xtask test`: the tools, the clients, the binary, then every test of the workspace.

use crate::run::{cargo, root, run, target};
use crate::{say, tools};

/// Runs every test, or those whose name holds the filter.
///
/// # Errors
/// When something the tests need cannot be had, or a test fails.
pub(crate) fn test(filter: &[&str]) -> Result<(), String> {
    let tools = tools::ready()?;
    let samples = ["--package", "fanfare-receiver-example", "--package", "fanfare-publisher-example"];
    run(cargo().args(["build", "--locked", "--package", "fanfare"]).args(samples))?;
    let binary = target().join("debug").join(format!("fanfare{}", std::env::consts::EXE_SUFFIX));
    let mut tests = cargo();
    // All targets but benches, which only measure; documentation tests come with it.
    tests.args(["test", "--workspace", "--locked"]);
    tests.env("FANFARE_BIN", binary).env("FANFARE_ROOT", root()).env("FANFARE_TEST_PYTHON", &tools.python);
    tests.env("FANFARE_NATS_SERVER", &tools.nats).env("FANFARE_REDIS_SERVER", &tools.redis);
    tests.env("FANFARE_PROMETHEUS", &tools.prometheus).env("FANFARE_PROMTOOL", &tools.promtool);
    tests.args(filter);
    run(&mut tests)?;
    say("every test passed");
    Ok(())
}
