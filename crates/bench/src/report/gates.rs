//! What the scenarios about lanes and gates gave.
#![allow(clippy::print_stdout, reason = "printing is what this file is for")]

use super::{mib, millis, verdict};
use crate::adaptive;
use crate::limit::{self, Limit};
use crate::options::Options;
use crate::outage::{self, Outage};
use crate::series::Second;
use crate::takeover::Takeover;

/// A lane's most requests at once, unless it is configured.
const LANE: usize = 32;

/// Prints how a lane followed what its receiver serves.
pub(crate) fn print_adaptive(options: &Options, parts: &[adaptive::Part]) {
    println!(
        "{:?} engine: a receiver that takes {} ms and answers 429 to more at once than it serves; {} events/s\n",
        options.engine,
        adaptive::TAKES.as_millis(),
        options.rate_or(adaptive::RATE),
    );
    println!("{:>6} {:>8} {:>10} {:>8} {:>8}", "second", "serves", "at once", "taken", "429");
    for (serves, seconds) in parts {
        for (number, second) in seconds.iter().enumerate() {
            let Second { at_once, taken, too_many, .. } = second;
            println!("{number:>6} {serves:>8} {at_once:>10} {taken:>8} {too_many:>8}");
        }
    }
    println!("\nverdicts, from second {} of each part on", adaptive::SETTLED);
    for (serves, seconds) in parts {
        let settled = &seconds[adaptive::SETTLED.min(seconds.len())..];
        let band = serves * 3 / 4..=serves * 5 / 4;
        let within = settled.iter().filter(|second| band.contains(&second.at_once)).count();
        let wanted =
            format!("{} to {} at least 9 of 10 seconds; {within} of {} were", band.start(), band.end(), settled.len());
        verdict(&format!("at once where it serves {serves}"), within * 10 >= settled.len() * 9, &wanted);
        let sum = |of: fn(&Second) -> usize| settled.iter().map(of).sum::<usize>();
        let (requests, too_many) = (sum(|second| second.requests), sum(|second| second.too_many));
        let wanted = format!("under 2 % of requests; {too_many} of {requests} were");
        verdict(&format!("429s where it serves {serves}"), too_many * 50 < requests, &wanted);
    }
}

/// Prints what came of an outage.
pub(crate) fn print_outage(options: &Options, results: &Outage) {
    println!(
        "{:?} engine: a receiver that is down for {} s, comes back, then comes and goes; {} events/s all the time\n",
        options.engine,
        options.duration_or(outage::SECONDS).as_secs(),
        outage::rate(options),
    );
    println!("{:>6} {:>6} {:>8} {:>10} {:>8} {:>8}", "", "second", "until", "requests", "taken", "at once");
    let [before, down, up, flaps @ ..] = results.stretches.as_slice() else { return };
    print_series("up", &before.seconds, 10);
    print_series("down", &down.seconds, 10);
    // The first half minute in full.
    let (first, later) = up.seconds.split_at(up.seconds.len().min(30));
    print_series("up", first, 1);
    print_series("… up", later, 10);
    for flap in flaps {
        print_series(if flap.up { "up" } else { "down" }, &flap.seconds, 5);
    }
    println!("\n{:<36} {}", "after its return, the first request", after(up.first_request));
    println!("{:<36} {}", "… and the first that it took", after(up.first_taken));
    let caught_up =
        results.caught_up_in.map_or_else(|| "never".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()));
    println!("{:<36} {caught_up}", "everything so far was received after");
    println!(
        "{:<36} {} of {}, {} of them more than once",
        "received", results.received, results.published, results.twice
    );
    println!("{:<36} {}", "peak memory", mib(results.peak_memory));

    println!("\nverdicts");
    let late = &down.seconds[down.seconds.len().min(10)..];
    let (requests, at_once) = (requests(late), most_at_once(late));
    let wanted = format!("at most one a second and one at once; {requests} in {} s, {at_once} at once", late.len());
    verdict("probes only, after 10 s of outage", requests <= late.len() && at_once <= 1, &wanted);
    let all = results.received == results.published && results.twice == 0;
    verdict("received", all, "everything, nothing twice");
    let usual = outage::rate(options) as usize;
    let full = up.seconds.iter().position(|second| second.taken >= usual);
    let wanted = format!("{usual}/s within 30 s of its return; after {} s", full.map_or(-1, usize::cast_signed));
    verdict("back at full speed", full.is_some_and(|full| full <= 30), &wanted);
    let stampede = flaps.iter().map(|flap| most_at_once(&flap.seconds)).max().unwrap_or(0);
    let wanted = format!("never more than {LANE} at once; {stampede} at the most");
    verdict("no stampede when it comes and goes", stampede <= LANE, &wanted);
}

fn print_series(name: &str, seconds: &[Second], step: usize) {
    for (index, some) in seconds.chunks(step).enumerate() {
        let begin = index * step;
        let taken: usize = some.iter().map(|second| second.taken).sum();
        let (end, requests, at_once) = (begin + some.len(), requests(some), most_at_once(some));
        println!("{name:>6} {begin:>6} {end:>8} {requests:>10} {taken:>8} {at_once:>8}");
    }
}

fn requests(seconds: &[Second]) -> usize {
    seconds.iter().map(|second| second.requests).sum()
}

fn most_at_once(seconds: &[Second]) -> usize {
    seconds.iter().map(|second| second.at_once).max().unwrap_or(0)
}

fn after(micros: Option<u64>) -> String {
    micros.map_or_else(|| "never".to_owned(), |micros| format!("after {}", millis(micros)))
}

/// Prints what came of killing gates' owners.
pub(crate) fn print_takeover(options: &Options, results: &Takeover) {
    println!(
        "{:?} engine: {} deliveries behind a gate, worked off one at a time; its owner killed {} times\n",
        options.engine,
        results.deliveries,
        results.gaps.len(),
    );
    let gaps: Vec<_> = results.gaps.iter().map(|gap| millis(*gap)).collect();
    println!("{:<28} {}", "nothing was received for", gaps.join(", "));
    println!("{:<28} {}", "received", results.received);
    println!("{:<28} {}", "duplicates", results.duplicates);
    println!("{:<28} {}", "overtaken by later ones", results.overtaken);
    println!("\nverdicts");
    verdict("takeover", results.gaps.iter().all(|gap| *gap < 10_000_000), "under 10 s each time");
    verdict("received", results.received == results.deliveries, "all");
    verdict(
        "duplicates",
        results.duplicates <= 2 * results.gaps.len(),
        "at most one sent and one being settled for each kill",
    );
    verdict("order", results.overtaken == 0, "that of publication");
}

/// Prints what a rate limit let through.
pub(crate) fn print_limit(options: &Options, results: &Limit) {
    let (count, burst) = (limit::COUNT, limit::BURST);
    println!(
        "{:?} engine: {} deliveries for a webhook with a limit of {count}/s and {burst} at once\n",
        options.engine, results.deliveries,
    );
    println!("{:<28} {}, {} more than once", "received", results.received, results.duplicates);
    println!("{:<28} {}", "the most in any second", results.most);
    println!("{:<28} {}", "from the first to the last", millis(results.took));
    println!("\nverdicts");
    verdict("in any second", results.most <= count + burst, &format!("never more than {}", count + burst));
    let all = results.received == results.deliveries && results.duplicates == 0;
    verdict("received", all, "all, nothing twice");
    let seconds = (results.deliveries.saturating_sub(burst) / count) as u64;
    let wanted = format!("within a tenth of the {seconds} s that the limit makes it take");
    verdict("at that rate", results.took <= seconds * 1_100_000 + 1_000_000, &wanted);
}
