//! Which layout the messages of a stream have: an entry in the stream's metadata, as `user_version` is in a file of SQLite.
//!
//! It rises when a version writes what the one before could not read, or would read wrongly. Whoever finds a layout that is
//! newer than what it knows starts nothing, and changes nothing.

use std::collections::HashMap;

use async_nats::jetstream::stream::Config;

use crate::error::ConnectError;

/// The layout that this version writes, and the newest that it reads.
pub(crate) const LAYOUT: u32 = 1;

/// The entry's name.
pub(crate) const KEY: &str = "fanfare-layout";

/// Refuses a stream of a newer layout. One without the entry was made before there was one, and has the first layout.
pub(super) fn check(found: &Config) -> Result<(), ConnectError> {
    let layout = match found.metadata.get(KEY) {
        None => return Ok(()),
        Some(layout) => layout,
    };
    match layout.parse::<u32>() {
        Ok(known) if known <= LAYOUT => Ok(()),
        // What is no number was not written by a version that is known here.
        Ok(_) | Err(_) => Err(ConnectError::Newer { stream: found.name.clone(), found: layout.clone(), known: LAYOUT }),
    }
}

/// A stream's metadata with the layout of this version in it.
pub(super) fn marked(mut metadata: HashMap<String, String>) -> HashMap<String, String> {
    metadata.insert(KEY.to_owned(), LAYOUT.to_string());
    metadata
}

/// Whether a stream says that it has this version's layout.
pub(super) fn is_marked(found: &Config) -> bool {
    found.metadata.get(KEY).is_some_and(|layout| *layout == LAYOUT.to_string())
}
