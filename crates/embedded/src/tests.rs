//! The engine's tests: the conformance suite on ordinary and on tiny windows, and what only this engine promises.

mod conformance;
mod harness;
