//! The examples of `docs/filters.md` do what the guide says they do.

use serde_json::Value;

use crate::failing;

const GUIDE: &str = include_str!("../../../../docs/filters.md");

/// The guide's blocks of JSON, each with what the guide calls it.
fn blocks() -> Vec<(&'static str, Value)> {
    let block = |fence: &'static str| {
        let (name, rest) = fence.split_once('\n').unwrap();
        let (json, _) = rest.split_once("```").unwrap();
        (name, serde_json::from_str(json).unwrap_or_else(|error| panic!("{name}: {error}: {json}")))
    };
    let blocks: Vec<_> = GUIDE.split("```json ").skip(1).map(block).collect();
    assert_eq!(blocks.len(), GUIDE.matches("```json").count(), "each block says what it is");
    blocks
}

#[test]
fn every_example_does_what_the_guide_says() {
    let mut filter = None;
    let (mut matching, mut missing) = (0, 0);
    for (name, json) in blocks() {
        let failed = |json| failing(filter.as_ref().expect("a filter comes first"), &json);
        match name.split_once(' ') {
            None if name == "filter" => filter = Some(json),
            None if name == "matches" => {
                matching += 1;
                assert_eq!(failed(json), None);
            }
            Some(("misses", condition)) => {
                missing += 1;
                assert_eq!(failed(json).as_deref(), Some(condition));
            }
            _ => panic!("{name} is nothing that an example is called"),
        }
    }
    assert!(matching >= 5 && missing >= 5, "{matching} match and {missing} do not");
}
