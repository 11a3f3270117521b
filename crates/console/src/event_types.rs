//! Event types: the catalogue's, which are everybody's and stay as they are, and the project's own.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod fields;
pub(crate) mod read;
pub(crate) mod stored;
pub(crate) mod update;
pub(crate) mod view;
