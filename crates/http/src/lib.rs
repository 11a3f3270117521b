//! The HTTP edge that ingest, the console and the admin listener share: a listener with bounds that drains on shutdown,
//! problem details, bodies read within bounds, authentication by API key.

pub mod auth;
pub mod body;
pub mod fallback;
pub mod json;
mod no_query;
pub mod openapi;
pub mod problem;
pub mod route;
pub mod server;

pub use auth::{Authenticator, Caller, Principal};
pub use fallback::with_fallbacks;
pub use json::JsonBody;
pub use problem::Problem;
pub use route::{Access, Route, RouteInfo};
