//! Webhooks: made, read, changed, activated, tested, deleted.

pub(crate) mod activate;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod fields;
pub(crate) mod headers;
pub(crate) mod health;
pub(crate) mod read;
pub(crate) mod rotate;
pub(crate) mod rules;
pub(crate) mod secret;
pub(crate) mod stored;
pub(crate) mod target;
pub(crate) mod test;
pub(crate) mod update;
pub(crate) mod view;
pub(crate) mod warnings;
