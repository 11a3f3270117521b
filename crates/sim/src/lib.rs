//! The simulator: delivery and fan-out as they are, in small worlds where a seed decides everything.
//!
//! A world has servers (the model engine, which passes the conformance suite), some processes that run the real services
//! over them, receivers, and owners. Time is virtual. The seed decides what is published when, how receivers behave,
//! which process dies, freezes or loses an answer at which step, and in which order everything that could happen at one
//! moment does happen. Afterwards all is made well again, and when everything has ended the invariants are checked on what
//! happened. A seed that breaks one is printed with its trace, and does the same again.
//!
//! Bugs are planted by a [`Doctor`], which changes the ports of each process.

mod client;
mod doctor;
mod invariants;
mod model;
mod outage;
mod plan;
mod receiver;
mod skies;
mod stage;
mod trace;
mod world;

use std::fmt;
use std::sync::Arc;

use fanfare_telemetry::Metrics;

use invariants::Outcome;
use trace::{Fact, Trace};
use world::World;

pub use doctor::{Doctor, Ports};
pub use invariants::Violation;
pub use outage::{Outage, Weathered};
pub use plan::Plan;

thread_local! {
    /// Made once: what they count is not looked at.
    static METRICS: Metrics = Metrics::new("sim");
}

/// What came of a seed.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What was decided beforehand.
    pub plan: Plan,
    /// What is broken.
    pub violations: Vec<Violation>,
    /// What happened.
    trace: Trace,
}

impl Report {
    /// How many POSTs were made.
    pub fn posts(&self) -> usize {
        self.trace.0.iter().filter(|(_, fact)| matches!(fact, Fact::Sent(_))).count()
    }

    /// Everything that happened, one line each.
    pub fn events(&self) -> String {
        self.trace.to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}\n{:#?}\n{}", self.seed, self.plan, self.trace)?;
        for violation in &self.violations {
            writeln!(f, "BROKEN {violation}")?;
        }
        writeln!(f, "again with: cargo xtask sim --replay {}", self.seed)
    }
}

/// Runs the world of a seed.
pub fn simulate(seed: u64) -> Report {
    simulate_with(seed, Arc::new(|ports| ports))
}

/// Runs the world of a seed with ports that were changed.
pub fn simulate_with(seed: u64, doctor: Arc<Doctor>) -> Report {
    let plan = Plan::of(seed);
    let world = World::new(plan.clone(), doctor, METRICS.with(Metrics::clone));
    world.play();
    let webhooks = (0..plan.webhooks.len()).map(|number| world.exists(number)).collect();
    let (journal, open) = world.servers.read(|data, _| (data.journal.all().to_vec(), data.copies.open()));
    let outcome = Outcome { plan, trace: world.take_trace(), journal, open, webhooks };
    let violations = invariants::check(&outcome);
    Report { seed, plan: outcome.plan, violations, trace: outcome.trace }
}

#[cfg(test)]
mod tests;
