//! The metrics are an interface: dashboards and alerts name them. What a scrape shows at start is held in `metrics.txt`, one
//! line for each metric: its name, its type, and its labels with all their values.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::health::{GateReason, WebhookState};
use fanfare_telemetry::Metrics;
use fanfare_telemetry::metrics::{ATTEMPT_OUTCOMES, GATE_CHANGES, WEBHOOK_STATES};

const GOLDEN: &str = include_str!("metrics.txt");

#[derive(Default)]
struct Metric {
    kind: String,
    help: String,
    labels: BTreeMap<String, BTreeSet<String>>,
    values: Vec<f64>,
}

/// Reads the text form. Names and label values of ours have no escapes, commas or spaces.
fn scraped() -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    for line in Metrics::new("1.2.3").render().lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            help.clone_into(&mut metrics.entry(name.to_owned()).or_default().help);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            kind.clone_into(&mut metrics.get_mut(name).unwrap().kind);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let metric = owner(&mut metrics, name);
            metric.values.push(value.parse().unwrap());
            for pair in labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty()) {
                let (label, value) = pair.split_once('=').unwrap();
                if label != "le" {
                    metric.labels.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
                }
            }
        }
    }
    metrics
}

/// The metric that a series belongs to: a histogram has three kinds of them.
fn owner<'m>(metrics: &'m mut BTreeMap<String, Metric>, series: &str) -> &'m mut Metric {
    let parts = ["_bucket", "_sum", "_count"];
    let histogram = parts.iter().find_map(|part| series.strip_suffix(part)).filter(|name| metrics.contains_key(*name));
    metrics.get_mut(histogram.unwrap_or(series)).unwrap()
}

fn lines(metrics: &BTreeMap<String, Metric>) -> String {
    let line = |(name, metric): (&String, &Metric)| {
        let labels = metric.labels.iter().map(|(label, values)| {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            format!(" {label}={}", values.join("|"))
        });
        format!("{name} {}{}\n", metric.kind, labels.collect::<String>())
    };
    metrics.iter().map(line).collect()
}

#[test]
fn a_scrape_at_start_shows_exactly_what_is_held() {
    let shown = lines(&scraped());
    // The system's view of the process is there on Linux alone.
    let expected: Vec<&str> =
        GOLDEN.lines().filter(|line| cfg!(target_os = "linux") || !line.starts_with("process_")).collect();
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        expected,
        "if this change is wanted, say so in the changelog, mend the dashboards and alerts, and make metrics.txt:\n{shown}"
    );
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    for (name, metric) in scraped() {
        assert!(name.starts_with("fanfare_") || name.starts_with("process_"), "{name} has another prefix");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name} has other characters");
        assert_eq!(
            metric.kind == "counter",
            name.ends_with("_total"),
            "{name}: _total is for counters, and for all of them"
        );
        assert!(metric.help.ends_with('.') && metric.help.len() > 10, "{name} has no help");
        for reserved in ["_bucket", "_sum", "_count", "_info_total"] {
            assert!(!name.ends_with(reserved), "{name} ends as a part of a histogram does");
        }
        for unit in ["milliseconds", "ms", "microseconds", "minutes", "hours", "kilobytes", "mb", "percent"] {
            assert!(!name.split('_').any(|word| word == unit), "{name} is not in the base unit");
        }
    }
}

#[test]
fn everything_of_ours_starts_at_zero() {
    for (name, metric) in scraped() {
        let ours = name.starts_with("fanfare_") && name != "fanfare_build_info";
        assert!(!metric.values.is_empty(), "{name} has no series");
        assert!(!ours || metric.values.iter().all(|value| *value == 0.0), "{name} does not start at zero");
    }
}

#[test]
fn attempts_are_labelled_with_the_outcome_classes_of_the_domain() {
    assert_eq!(ATTEMPT_OUTCOMES, OutcomeClass::ALL.map(OutcomeClass::as_str));
    assert_eq!(GATE_CHANGES[1..], GateReason::ALL.map(GateReason::as_str));
    assert_eq!(WEBHOOK_STATES, WebhookState::ALL.map(WebhookState::as_str));
}

#[cfg(target_os = "linux")]
#[test]
fn the_system_tells_of_the_process() {
    let metrics = scraped();
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_threads"] {
        assert!(metrics[name].values[0] > 0.0, "{name} says nothing");
    }
    let day = 86_400.0;
    assert!(metrics["process_start_time_seconds"].values[0] > 20_000.0 * day, "the process started long ago");
}
