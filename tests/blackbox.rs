//! Black-box tests of the built binary: its own process, real sockets, receivers on loopback. `cargo xtask test` builds the
//! binary and names it in `FANFARE_BIN`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that meets what it did not expect has failed")]

#[path = "blackbox/bad_input.rs"]
mod bad_input;
#[path = "blackbox/crash.rs"]
mod crash;
#[path = "blackbox/delivery.rs"]
mod delivery;
#[path = "blackbox/lifecycle.rs"]
mod lifecycle;
#[path = "blackbox/publishing.rs"]
mod publishing;
#[path = "blackbox/receivers.rs"]
mod receivers;
#[path = "blackbox/rotation.rs"]
mod rotation;
#[path = "blackbox/samples.rs"]
mod samples;
