//! Filters and the data they are asked about.

use fanfare_core::filter::{Filter, FilterData};
use fanfare_core::normalise::normalise;
use serde_json::Value;

use crate::halves;

/// A filter, `---`, data. A filter prints and reads the same, and answers the same when it was stored.
pub(crate) fn filter(bytes: &[u8]) -> bool {
    let (json, data) = halves(bytes);
    let Ok(json) = serde_json::from_slice::<Value>(json) else { return false };
    let filter = match Filter::parse(json.clone(), "$") {
        Ok(filter) => filter,
        Err(error) => {
            assert!(error.path.starts_with('$'), "{error}");
            return false;
        }
    };
    assert_eq!(filter.as_json(), &json);
    let printed = serde_json::to_vec(&filter).expect("it can be stored");
    let again: Filter = serde_json::from_slice(&printed).expect("what is stored can be read");
    assert_eq!(again, filter);

    // Data is normalised before it is asked about; what is not has no promise but that asking does not fail.
    let _ = filter.matches(&FilterData::new(data));
    if let Ok(normal) = normalise(data, "$") {
        let asked = FilterData::new(&normal);
        let failing = filter.failing(&asked);
        assert_eq!(filter.matches(&asked), failing.is_none());
        assert_eq!(again.failing(&FilterData::new(&normal)), failing, "the stored filter answers otherwise");
    }
    assert!(!filter.matches(&FilterData::new(b"{")), "what is not JSON meets nothing");
    true
}
