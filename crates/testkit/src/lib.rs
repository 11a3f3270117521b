//! What tests share: a manual clock, receivers that misbehave, a process runner, and the conformance suite that every
//! engine passes.

pub mod clock;

pub use clock::ManualClock;
