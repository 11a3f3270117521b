//! What the bench prints.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this file is for")]

mod gates;
mod hostile;
mod isolation;

use crate::due::{self, Due};
use crate::numbers::Spread;
use crate::options::{Engine, Options};
use crate::pipeline::{self, Results, Throughput};

pub(crate) use gates::{print_adaptive, print_limit, print_outage, print_takeover};
pub(crate) use hostile::print_hostile;
pub(crate) use isolation::{print_backlog, print_isolation};

/// Says what went wrong.
pub(crate) fn complain(message: &str) {
    eprintln!("{message}");
}

/// Prints the table and the verdicts.
pub(crate) fn print(options: &Options, results: &Results) {
    let (what, throughput, cost_wanted) = match options.engine {
        Engine::Embedded => ("the embedded engine, one process", 8000.0_f64, 0.20),
        Engine::Distributed => ("the distributed engine, one process of each service, NATS and Redis", 5000.0, 0.40),
    };
    println!("{what}");
    println!(
        "{} connections, {} bytes, {} s a scenario; sender, receiver and Fanfare on the same {} cores\n",
        options.connections,
        options.bytes,
        options.duration_or(pipeline::SECONDS).as_secs(),
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    println!("{:<28} {:>14} {:>16} {:>12} {:>12}", "scenario", "deliveries/s", "CPU/delivery", "peak memory", "data");
    println!("{:<28} {:>14.0}", "the HTTP client alone", results.alone);
    for scenario in [&results.one, &results.five] {
        row(scenario);
    }
    let latency = &results.latency;
    println!(
        "\nopen loop, {} events at {}/s, every one durable before its 202",
        latency.events,
        options.rate_or(pipeline::RATE)
    );
    println!("{:<28} {:>10} {:>10}", "", "p50", "p99");
    let spreads = [
        ("acceptance to receipt", latency.from_acceptance),
        ("sending to receipt", latency.from_sending),
        ("the disk alone, one sync", latency.sync_alone),
    ];
    for (name, Spread { middle, high, .. }) in spreads {
        println!("{name:<28} {:>10} {:>10}", millis(middle), millis(high));
    }
    println!("{:<28} {:>10}", "peak memory", mib(latency.peak_memory));

    println!("\nverdicts");
    let wanted = throughput.min(results.alone / 4.0);
    let bound = format!("{wanted:.0} ({throughput:.0} or a quarter of the client alone)");
    verdict("deliveries/s", results.one.per_second >= wanted, &bound);
    let cost = results.one.processor_per_delivery.as_secs_f64() * 1000.0;
    verdict("CPU per delivery", cost <= cost_wanted, &format!("{cost_wanted:.2} ms"));
    verdict("p50 from acceptance", latency.from_acceptance.middle < 3000, "under 3 ms");
    verdict("p99 from acceptance", latency.from_acceptance.high < 10_000, "under 10 ms");
    if options.engine == Engine::Distributed {
        return;
    }
    let memory = results.one.peak_memory.max(results.five.peak_memory).max(latency.peak_memory);
    verdict("peak memory", memory <= 150 * 1024 * 1024, "150 MB");
}

/// Prints what came of deliveries that fell due together.
pub(crate) fn print_due(options: &Options, due: &Due) {
    println!(
        "{:?} engine: {} deliveries due within {} s, at the second that the receiver named",
        options.engine,
        due.deliveries,
        options.duration_or(due::WINDOW).as_secs()
    );
    println!("load average while it ran: {}", load());
    println!("{:<28} {:>10} {:>10} {:>10}", "", "p50", "p99", "most");
    let [middle, high, most] = due.late.map(millis);
    println!("{:<28} {middle:>10} {high:>10} {most:>10}", "late by");
    println!("{:<28} {:>10}", "due after that", due.after_window);
    println!("{:<28} {:>10}", "duplicates", due.duplicates);
    if let Some(memory) = due.nats_memory {
        println!("{:<28} {:>10}", "peak memory, nats-server", mib(memory));
    }
    println!("{:<28} {:>10}", "peak memory, all processes", mib(due.peak_memory));
    println!(
        "\n{:<8} {:>10} {:>10} {:>14} {:>14} {:>10}",
        "second", "due", "come", "not fired yet", "fired, waits", "leased"
    );
    for step in &due.steps {
        let [waits, leased, not_fired] = match step.at_server {
            Some((waits, leased)) => [waits, leased, step.due.saturating_sub(step.come + waits + leased)].map(Some),
            None => [None; 3],
        };
        let [waits, leased, not_fired] =
            [waits, leased, not_fired].map(|count| count.map_or_else(|| "-".to_owned(), |count| count.to_string()));
        println!("{:<8} {:>10} {:>10} {not_fired:>14} {waits:>14} {leased:>10}", step.at, step.due, step.come);
    }
    println!("\ncores in use since the line before");
    let names: Vec<_> = due.processes.iter().map(|name| format!("{name:>13}")).collect();
    println!("{:<8}{}", "second", names.concat());
    // The first line is of a moment.
    for step in due.steps.iter().skip(1) {
        let cores: Vec<_> = step.cores.iter().map(|cores| format!("{cores:>13.2}")).collect();
        println!("{:<8}{}", step.at, cores.concat());
    }
    println!("\nverdicts");
    verdict("p99 late", due.late[1] < 2_000_000, "under 2 s");
}

/// What else the machine does, as Linux counts it.
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(2).collect::<Vec<_>>().join(", ")
}

fn row(scenario: &Throughput) {
    println!(
        "{:<28} {:>14.0} {:>13.3} ms {:>12} {:>12}   {} deliveries",
        format!("closed loop, {} webhook(s)", scenario.webhooks),
        scenario.per_second,
        scenario.processor_per_delivery.as_secs_f64() * 1000.0,
        mib(scenario.peak_memory),
        mib(scenario.data_bytes),
        scenario.deliveries,
    );
    let cores: Vec<_> = scenario.cores.iter().map(|(name, cores)| format!("{name} {cores:.2}")).collect();
    println!("{:<28} {}", "  cores in use", cores.join(", "));
}

fn verdict(what: &str, reached: bool, wanted: &str) {
    println!("{} {what}: wanted {wanted}", if reached { "reached " } else { "MISSED  " });
}

#[allow(clippy::cast_precision_loss, reason = "sizes and times stay far below 2^52")]
fn mib(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / 1024.0 / 1024.0)
}

#[allow(clippy::cast_precision_loss, reason = "sizes and times stay far below 2^52")]
fn millis(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1000.0)
}
