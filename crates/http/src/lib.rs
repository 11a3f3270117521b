//! The HTTP edge that ingest, the console and the admin listener share: a listener with bounds that drains on shutdown,
//! problem details, authentication by API key.

pub mod auth;
pub mod problem;
pub mod server;

pub use auth::Caller;
pub use problem::Problem;
