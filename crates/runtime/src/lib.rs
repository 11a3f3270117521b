//! What every service needs from its process: the system's clock and randomness, supervised tasks, and the registry, its own watched copy
//! of the configuration.

pub mod chance;
pub mod clock;
pub mod registry;
pub mod span;
pub mod tasks;

pub use chance::Chance;
pub use clock::SystemClock;
pub use registry::Registry;
pub use span::Span;
pub use tasks::{Shutdown, TaskFailure, Tasks};
