//! The engine on real servers: the conformance suite, and what is this engine's own.

mod bounds;
mod doors;
mod faults;
mod harness;
mod intake;
mod overdue;
mod owners;
mod redis_cluster;
mod redis_doors;
mod redis_sentinel;
mod sharing;
mod starting;
mod weather;

pub(crate) use faults::Faults;

mod conformance {
    use super::harness::Servers;
    fanfare_testkit::conformance_suite!(Servers, with an intake);
}
