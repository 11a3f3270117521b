//! What is wrong with a record that is not of the kind its key says.

use fanfare_core::ports::config_store::Key;
use fanfare_core::ports::{StoreError, StoreErrorKind};

/// A record under the key of another kind of record.
pub(crate) fn mismatch(key: &Key) -> StoreError {
    let what = format!("the record under {key} is of another kind");
    StoreError::new(StoreErrorKind::Corrupt, "read a configuration record", what)
}
