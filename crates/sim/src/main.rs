//! The simulator by hand: `cargo xtask sim --seeds N`, or `--replay SEED` to see what happens in one world.
#![allow(clippy::print_stdout, reason = "it is a command")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use fanfare_sim::simulate;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    if let Some(seed) = number("--replay") {
        let report = simulate(seed);
        println!("{report}");
        return if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (from, seeds) = (number("--from").unwrap_or(0), number("--seeds").unwrap_or(10_000));
    let threads = number("--threads").unwrap_or(2);
    let (next, broken, posts) = (AtomicU64::new(from), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    let report = simulate(seed);
                    posts.fetch_add(report.posts() as u64, Ordering::Relaxed);
                    if !report.violations.is_empty() {
                        broken.fetch_add(1, Ordering::Relaxed);
                        let first = &report.violations[0];
                        println!("seed {seed}: {} broken, first {first}", report.violations.len());
                    }
                }
            });
        }
    });
    let (broken, posts) = (broken.into_inner(), posts.into_inner());
    println!("{seeds} seeds, {posts} requests, {broken} broken");
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
