//! Every fuzz target, on its seeds and on what a seeded generator makes of them: a bounded run on the stable toolchain.

#![allow(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fanfare_fuzz_entry::{TARGETS, Target};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng};

/// How many inputs each target gets beside its seeds: some seconds for all in a debug build, unless `FANFARE_FUZZ_INPUTS` wants
/// another number.
fn inputs() -> usize {
    std::env::var("FANFARE_FUZZ_INPUTS").map_or(20_000, |number| number.parse().expect("a number of inputs"))
}

/// The longest input that is made.
const LONGEST: usize = 4096;

/// What the grammars are made of, and what has misled parsers before.
const PIECES: [&[u8]; 48] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"\\u0000",
    b"\0",
    b"\n",
    b"\r\n",
    b"\n---\n",
    b" ",
    b"\xff",
    b"\xed\xa0\x80",
    "\u{2028}".as_bytes(),
    "é".as_bytes(),
    b"%",
    b"%00",
    b"%25",
    b"%e2%82%ac",
    b"ce-",
    b"data",
    b"1e999",
    b"-0",
    b"9007199254740993",
    b"0.1",
    b"null",
    b"true",
    b"**",
    b"*",
    b".",
    b"..",
    b"$or",
    b"prefix",
    b"numeric",
    b"https://",
    b"@",
    b"[::ffff:127.0.0.1]",
    b"0x7f.1",
    b"2130706433",
    b"localhost",
    b"GMT",
    b"whsec_",
    b"=",
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = fuzz().join("seeds").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Changes an input in one place.
fn change(input: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut StdRng) {
    let at = rng.random_range(0..=input.len());
    let end = rng.random_range(at..=input.len().min(at + 40));
    match rng.random_range(0..6) {
        0 => input.truncate(at),
        1 => drop(input.drain(at..end)),
        2 => {
            let again = input[at..end].repeat(rng.random_range(1..80));
            input.splice(at..at, again);
        }
        3 => {
            let other = others.choose(rng).unwrap();
            let from = rng.random_range(0..=other.len());
            input.splice(at..end, other[from..].iter().copied());
        }
        4 => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.random_range(0..8)),
        _ => drop(input.splice(at..end, PIECES.choose(rng).unwrap().iter().copied())),
    }
    input.truncate(LONGEST);
}

/// Whether the input is accepted.
fn run(name: &str, target: Target, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(input)))
        .unwrap_or_else(|_| panic!("{name} does not hold for {:?}", String::from_utf8_lossy(input)))
}

#[test]
fn every_target_holds_for_its_seeds_and_what_is_made_of_them() {
    let inputs = inputs();
    for (number, (name, target)) in TARGETS.into_iter().enumerate() {
        let seeds = seeds(name);
        assert!(seeds.iter().any(|seed| run(name, target, seed)), "no seed of {name} is accepted");
        let mut rng = StdRng::seed_from_u64(number as u64);
        let mut accepted = 0;
        for _ in 0..inputs {
            let mut input = seeds.choose(&mut rng).unwrap().clone();
            for _ in 0..rng.random_range(1..5) {
                change(&mut input, &seeds, &mut rng);
            }
            accepted += usize::from(run(name, target, &input));
        }
        println!("{name}: {accepted} of {inputs} accepted");
        assert!(accepted * 100 >= inputs, "{name}: what is made is hardly ever accepted, and little is tested");
    }
}

#[test]
fn every_target_is_a_cargo_fuzz_target_too() {
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let source = std::fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("run(\"{name}\"")), "fuzz_targets/{name}.rs runs something else");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no binary {name}");
    }
    assert_eq!(std::fs::read_dir(fuzz().join("fuzz_targets")).unwrap().count(), TARGETS.len());
}
