//! What a healthy project felt of a hostile one.
#![allow(clippy::print_stdout, reason = "printing is what this file is for")]

use super::{load, millis, verdict};
use crate::hostile::{self, HEALTHY, HOSTILE_QUOTA, Hostile, Phase};
use crate::numbers::Spread;
use crate::options::Options;

/// Prints what a healthy project felt of a hostile one.
pub(crate) fn print_hostile(options: &Options, results: &Hostile) {
    println!(
        "a healthy project with {HEALTHY} events/s over HTTP and {HEALTHY} straight to NATS, {} s each phase; beside it another one \
         with {} messages/s straight to NATS",
        options.duration_or(hostile::SECONDS).as_secs(),
        options.flood
    );
    println!("load average while it ran: {}\n", load());
    println!(
        "{:<34} {:>18} {:>18} {:>9} {:>9} {:>9} {:>6}",
        "from acceptance to receipt", "HTTP p50, p99", "NATS p50, p99", "flood", "rejected", "waiting", "cores"
    );
    let row = |name: &str, phase: &Phase| {
        let times = |Spread { middle, high, .. }: Spread| format!("{} {}", millis(middle), millis(high));
        println!(
            "{name:<34} {:>18} {:>18} {:>9} {:>9} {:>9} {:>6.2}",
            times(phase.over_http),
            times(phase.straight),
            phase.flood,
            phase.rejected,
            phase.waiting,
            phase.cores.iter().map(|(_, cores)| cores).sum::<f64>()
        );
    };
    row("alone, before", &results.before);
    row("beside what is no event", &results.invalid);
    row(&format!("beside {HOSTILE_QUOTA} events/s, all allowed"), &results.within_quota);
    row(&format!("beside events, {HOSTILE_QUOTA}/s of them allowed"), &results.over_quota);
    row("alone, after", &results.after);

    println!("\ncores of each process");
    let cores = |name: &str, phase: &Phase| {
        let of: Vec<String> = phase.cores.iter().map(|(process, cores)| format!("{process} {cores:.2}")).collect();
        println!("{name:<34} {}", of.join(", "));
    };
    cores("alone, before", &results.before);
    cores("beside what is no event", &results.invalid);
    cores("beside events that are allowed", &results.within_quota);
    cores("beside too many events", &results.over_quota);

    println!("\nverdicts");
    for (way, of) in
        [("HTTP", (|phase| phase.over_http.high) as fn(&Phase) -> u64), ("NATS", |phase| phase.straight.high)]
    {
        let alone = u64::midpoint(of(&results.before), of(&results.after));
        let most = alone * 12 / 10 + 10_000;
        for (name, phase) in [("no events", &results.invalid), ("too many events", &results.over_quota)] {
            verdict(&format!("p99 over {way} beside {name}"), of(phase) <= most, &format!("at most {}", millis(most)));
        }
    }
}
