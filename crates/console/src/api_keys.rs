//! API keys: made, read, changed, deleted, by a key of their project that may manage, or by the admin key.
//!
//! A project's own keys may not leave it without one that may manage: nobody but the operator could help it then. The admin
//! key may, since it can make a new one.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod fields;
pub(crate) mod read;
pub(crate) mod stored;
pub(crate) mod update;
pub(crate) mod view;
