//! The engine on real servers: the conformance suite, and what is this engine's own.

mod faults;
mod harness;

pub(crate) use faults::Faults;

mod conformance {
    use super::harness::Servers;
    fanfare_testkit::conformance_suite!(Servers);
}
