//! The simulator finds bugs: planted ones, each of which somebody could have written.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::print_stdout, reason = "which seed finds what is worth knowing")]

mod planted;

use std::sync::Arc;

use fanfare_sim::{Doctor, simulate, simulate_with};

use planted::{Bug, Claims, Queue};

/// More worlds than it takes to find any of these.
const SEEDS: u64 = 600;

/// Simulates one world after the other until the bug has broken this rule; the same world without it breaks none.
fn is_found(bug: &str, rule: &str, doctor: &Arc<Doctor>) {
    for seed in 0..SEEDS {
        let report = simulate_with(seed, Arc::clone(doctor));
        if let Some(violation) = report.violations.iter().find(|violation| violation.rule == rule) {
            println!("{bug}: found by seed {seed}: {violation}");
            assert!(simulate(seed).violations.is_empty(), "seed {seed} breaks something without the bug");
            return;
        }
    }
    panic!("{bug}: no world of {SEEDS} broke this: {rule}");
}

fn queue(bug: Bug) -> Arc<Doctor> {
    Arc::new(move |mut ports| {
        ports.queue = Arc::new(Queue { inner: ports.queue, registry: Arc::clone(&ports.registry), bug });
        ports
    })
}

#[test]
fn a_copy_removed_before_its_successor_is_there() {
    is_found("removed first", "nothing is lost", &queue(Bug::RemovesFirst));
}

#[test]
fn a_hop_that_a_put_off_does_not_raise() {
    is_found("hop not raised", "nothing is lost", &queue(Bug::KeepsTheHop));
}

#[test]
fn a_gate_lowered_without_another_look() {
    is_found("not looked again", "nothing is stuck", &queue(Bug::LooksOnlyBehindGatesThatAreUp));
}

#[test]
fn a_lease_that_is_not_checked_before_sending() {
    is_found("lease not checked", "nothing is sent without a lease", &queue(Bug::TrustsItsLeases));
}

#[test]
fn claims_that_nobody_asks() {
    let doctor: Arc<Doctor> = Arc::new(|mut ports| {
        ports.dedup = Arc::new(Claims(ports.dedup));
        ports
    });
    is_found("claims not asked", "nothing succeeds twice", &doctor);
}
