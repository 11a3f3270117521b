//! What fuzzers call: for each thing that strangers write and Fanfare reads, a function of any bytes that checks what has to
//! hold whatever they are, and panics where it does not.
//!
//! `fuzz/` has a cargo-fuzz target for each, with seeds; the tests of this crate run the same functions on the seeds and on
//! what a seeded generator makes of them.

mod events;
mod filters;
mod patterns;
mod retry_after;
mod secrets;
mod urls;

/// A function that holds its promises for any bytes, or panics. Says whether they were accepted as what they may be.
pub type Target = fn(&[u8]) -> bool;

/// Every target by the name that its file under `fuzz/fuzz_targets` and its seeds under `fuzz/seeds` have.
pub const TARGETS: [(&str, Target); 9] = [
    ("event", events::one),
    ("batch", events::batch),
    ("binary", events::binary),
    ("normalise", events::normalise),
    ("pattern", patterns::pattern),
    ("filter", filters::filter),
    ("url", urls::url),
    ("retry_after", retry_after::retry_after),
    ("secret", secrets::secret),
];

/// Runs a target by its name; says whether the bytes were accepted.
///
/// # Panics
/// When there is none of that name, or a promise is broken.
pub fn run(name: &str, bytes: &[u8]) -> bool {
    let target = TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| target);
    target.unwrap_or_else(|| panic!("there is no target {name}"))(bytes)
}

/// The two parts of an input, which a line with `---` alone divides; the second is empty if there is none.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    const BETWEEN: &[u8] = b"\n---\n";
    match bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN) {
        Some(at) => (&bytes[..at], &bytes[at + BETWEEN.len()..]),
        None => (bytes, b""),
    }
}
