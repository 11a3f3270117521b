//! `docs/operate.md` has a section for every alert and a line for every metric, and none for others.

use std::collections::BTreeSet;

use crate::files::{rules, text};

#[test]
fn every_alert_has_a_section_in_the_runbook_and_every_section_an_alert() {
    let page = text("docs/operate.md");
    let sections: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("### Fanfare")).collect();
    let rules = rules();
    let alerts: BTreeSet<&str> =
        rules.iter().filter_map(|rule| rule["alert"].as_str()?.strip_prefix("Fanfare")).collect();
    assert_eq!(sections, alerts);
    // A heading's anchor is its text in lower case.
    assert!(alerts.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric())));
}

#[test]
fn every_metric_is_explained_once() {
    let page = text("docs/operate.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let mut explained: Vec<&str> = rows.map(|(name, _)| name).filter(|name| is_metric(name)).collect();
    explained.sort_unstable();
    let contract = text("crates/telemetry/tests/metrics.txt");
    let metrics: Vec<&str> = contract.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(explained, metrics);
}

fn is_metric(name: &str) -> bool {
    name.starts_with("fanfare_") || name.starts_with("process_")
}
