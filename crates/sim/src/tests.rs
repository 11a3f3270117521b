//! The model engine is held to what every engine promises.

mod conformance;
