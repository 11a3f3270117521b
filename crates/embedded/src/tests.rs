//! The engine's tests: the conformance suite on ordinary and on tiny windows, and what only this engine promises.

mod closing;
mod conformance;
mod failing;
mod harness;
mod memory;
mod model;
mod opening;
mod retention;
mod time;
mod writing;
