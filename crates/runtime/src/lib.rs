//! What every service needs from its process: the system clock, supervised tasks, and the registry, its own watched copy
//! of the configuration.

pub mod clock;
pub mod registry;
pub mod span;
pub mod tasks;

pub use clock::SystemClock;
pub use registry::Registry;
pub use span::Span;
pub use tasks::{Shutdown, TaskFailure, Tasks};
