//! What the scenarios about receivers that are ill or far behind gave.
#![allow(clippy::print_stdout, reason = "printing is what this file is for")]

use super::{load, mib, millis, verdict};
use crate::backlog::{self, Backlog};
use crate::isolation::{self, Illness, Isolation, Part};
use crate::numbers::Spread;
use crate::options::Options;

/// Prints what ill receivers did to well ones.
pub(crate) fn print_isolation(options: &Options, results: &Isolation) {
    let (rate, webhooks) = (options.rate_or(isolation::RATE), isolation::WEBHOOKS);
    let ill = webhooks / 10 * Illness::ALL.len();
    println!(
        "{:?} engine: {webhooks} webhooks, {rate} events/s to one after the other; what the same {} well ones get, from \
         acceptance to receipt",
        options.engine,
        webhooks - ill,
    );
    println!("load average while it ran: {}\n", load());
    let parts = [("all are well", &results.all_well), ("some are ill", &results.some_ill)];
    println!("{:<16} {:>10} {:>10} {:>10} {:>14} {:>12}", "", "p50", "p99", "most", "deliveries/s", "not received");
    for (name, part) in parts {
        let [middle, high, most] = times(part.well);
        let missing = part.accepted - part.well.count;
        println!("{name:<16} {middle:>10} {high:>10} {most:>10} {:>14.1} {missing:>12}", part.per_second);
    }
    println!("\n{:<16} {:>10} {:>14} {:>10}   requests/s to the ill", "", "memory", "cores in use", "told to wait");
    for (name, part) in parts {
        let to_the_ill = Illness::ALL.iter().zip(part.to_the_ill);
        let to_the_ill: Vec<_> = to_the_ill.map(|(illness, count)| format!("{} {count:.1}", illness.name())).collect();
        let (memory, to_the_ill) = (mib(part.memory), to_the_ill.join(", "));
        println!("{name:<16} {memory:>10} {:>14.2} {:>12}   {to_the_ill}", part.processor, part.held_back);
    }
    let Isolation { all_well, some_ill } = results;
    println!("\nverdicts");
    for (name, of) in [("p50", middle as fn(&Part) -> u64), ("p99", high)] {
        let most = of(all_well) * 6 / 5 + 10_000;
        let wanted = format!("{}, which is 1.2 times and 10 ms more than without the ill", millis(most));
        verdict(&format!("{name} of the well"), of(some_ill) <= most, &wanted);
    }
    let unchanged = some_ill.per_second >= all_well.per_second * 0.99;
    verdict("deliveries/s of the well", unchanged, &format!("{:.1}, as without", all_well.per_second));
    let all_received = parts.iter().all(|(_, part)| part.well.count == part.accepted);
    verdict("received", all_received, "all that was accepted for the well");
}

fn middle(part: &Part) -> u64 {
    part.well.middle
}

fn high(part: &Part) -> u64 {
    part.well.high
}

/// Prints what a backlog did to a well receiver.
pub(crate) fn print_backlog(options: &Options, results: &Backlog) {
    println!(
        "{:?} engine: {} deliveries for a receiver that takes {} ms, published in {:.1} s; beside it a well one at {} events/s, \
         from acceptance to receipt",
        options.engine,
        results.deliveries,
        backlog::SLOW.as_millis(),
        results.published_in.as_secs_f64(),
        options.rate_or(backlog::RATE),
    );
    println!("load average while it ran: {}\n", load());
    println!("{:<28} {:>8} {:>10} {:>10} {:>10}", "", "events", "p50", "p99", "most");
    let names =
        ["alone", "the first 2 s", "while the backlog grows", "while it stands", "while it is worked off quickly"];
    for (name, spread) in names.into_iter().zip(results.well) {
        let [middle, high, most] = times(spread);
        println!("{name:<28} {:>8} {middle:>10} {high:>10} {most:>10}", spread.count);
    }
    println!("\n{:<28} {:>8}", "received while it was slow", results.slowly);
    println!(
        "{:<28} {:>8}   in {:.1} s once it was quick",
        "received in all",
        results.received,
        results.drained_in.as_secs_f64()
    );
    println!("{:<28} {:>8}", "duplicates", results.duplicates);
    let [backlog, well] = results.held_back;
    println!("{:<28} {backlog:>8}   of the well one's: {well}", "told to wait");
    println!("{:<28} {:>8}", "peak memory", mib(results.peak_memory));
    let [alone, first, later @ ..] = results.well;
    println!("\nverdicts");
    verdict("p99 in the first 2 s", first.high <= 250_000, "250 ms");
    let most = alone.high + 20_000;
    for (name, spread) in names.into_iter().skip(2).zip(later) {
        verdict(&format!("p99 {name}"), spread.high <= most, &format!("{}, 20 ms more than alone", millis(most)));
    }
    let received = results.received == results.deliveries
        && results.well.iter().map(|spread| spread.count).sum::<usize>() == results.well_published;
    verdict("received", received, "all");
    verdict("duplicates", results.duplicates == 0, "none");
}

fn times(spread: Spread) -> [String; 3] {
    [spread.middle, spread.high, spread.most].map(millis)
}
