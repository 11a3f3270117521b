//! Projects: made, read, changed, deleted, by the admin key alone.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod fields;
pub(crate) mod read;
pub(crate) mod stored;
pub(crate) mod update;
pub(crate) mod view;
