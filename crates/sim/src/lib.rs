//! The simulator.

mod client;
mod model;
mod stage;

#[cfg(test)]
mod tests;
