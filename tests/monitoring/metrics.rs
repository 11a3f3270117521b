//! What queries may name: the metrics of the contract test, what Prometheus adds to them, and what the recording rules make.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::files::{list, rules, string, text};
use crate::promql::{Query, Selector};

/// Labels with the values that they may have; no values: any.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Labels that the scrape adds: those of `prometheus.yml`.
pub(crate) const SCRAPE: [(&str, &[&str]); 3] = [
    ("job", &["fanfare", "prometheus"]),
    ("service", &["ingest", "fanout", "delivery", "console", "serve"]),
    ("instance", &[]),
];

/// Every metric with its labels.
pub(crate) struct Metrics(BTreeMap<String, Labels>);

impl Metrics {
    /// What a process of Fanfare emits, by `metrics.txt`, as Prometheus stores it.
    pub(crate) fn emitted() -> Self {
        let mut metrics = BTreeMap::new();
        for line in text("crates/telemetry/tests/metrics.txt").lines() {
            let mut words = line.split(' ');
            let (name, kind) = (words.next().unwrap(), words.next().unwrap());
            let mut labels = labels(&SCRAPE);
            for (label, values) in words.map(|word| word.split_once('=').unwrap()) {
                labels.insert(label.to_owned(), values.split('|').map(str::to_owned).collect());
            }
            if name == "fanfare_build_info" {
                labels.insert("version".to_owned(), BTreeSet::new());
            }
            if kind == "histogram" {
                for part in ["_sum", "_count"] {
                    metrics.insert(format!("{name}{part}"), labels.clone());
                }
                labels.insert("le".to_owned(), BTreeSet::new());
                metrics.insert(format!("{name}_bucket"), labels);
            } else {
                metrics.insert(name.to_owned(), labels);
            }
        }
        metrics.insert("up".to_owned(), labels(&SCRAPE));
        Self(metrics)
    }

    /// And what Prometheus itself adds: the recorded metrics, and its alerts.
    pub(crate) fn all() -> Self {
        let mut metrics = Self::emitted();
        for rule in rules() {
            let Some(name) = rule["record"].as_str() else { continue };
            let query = Query::read(string(&rule, "expr"));
            metrics.hold(&query, name);
            let mut made: Labels =
                query.grouping.iter().map(|label| (label.clone(), metrics.values(&query, label))).collect();
            if let Some(set) = rule["labels"].as_object() {
                made.extend(
                    set.iter()
                        .map(|(label, value)| (label.clone(), BTreeSet::from([value.as_str().unwrap().to_owned()]))),
                );
            }
            let known = metrics.0.entry(name.to_owned()).or_default();
            for (label, values) in made {
                known.entry(label).or_default().extend(values);
            }
        }
        let alerts = rules().iter().filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect();
        let states = ["pending", "firing"].map(str::to_owned).into();
        metrics
            .0
            .insert("ALERTS".to_owned(), [("alertname".to_owned(), alerts), ("alertstate".to_owned(), states)].into());
        metrics
    }

    fn values(&self, query: &Query, label: &str) -> BTreeSet<String> {
        let labels = query.selectors.iter().filter_map(|selector| self.0.get(&selector.metric)?.get(label));
        labels.flatten().cloned().collect()
    }

    /// Holds a query to the metrics and labels that there are.
    pub(crate) fn hold(&self, query: &Query, place: &str) {
        assert!(!query.selectors.is_empty(), "{place}: it asks for nothing");
        for selector in &query.selectors {
            let labels = self.labels(selector, place);
            for (label, operator, value) in &selector.matchers {
                let known = labels.get(label);
                let known = known.unwrap_or_else(|| panic!("{place}: {} has no label {label}", selector.metric));
                let several = operator.ends_with('~');
                // A variable of the dashboard, or one pattern for all alerts.
                if several && (value.starts_with('$') || value == "Fanfare.+") {
                    continue;
                }
                let values: Vec<&str> = if several { value.split('|').collect() } else { vec![value.as_str()] };
                for value in values.into_iter().filter(|_| !known.is_empty()) {
                    assert!(known.contains(value), "{place}: {}{{{label}}} is never {value}", selector.metric);
                }
            }
        }
        for label in &query.grouping {
            let there = query.selectors.iter().any(|selector| self.labels(selector, place).contains_key(label));
            assert!(there, "{place}: nothing in it has a label {label}");
        }
    }

    /// Holds a series of a unit test to what is emitted: every label is there, with a value that it may have.
    pub(crate) fn hold_series(&self, series: &str, place: &str) {
        let query = Query::read(series);
        self.hold(&query, place);
        let [selector] = query.selectors.as_slice() else { panic!("{place}: {series} is not one series") };
        let named: BTreeSet<_> = selector.matchers.iter().map(|(label, _, _)| label.as_str()).collect();
        let wanted: BTreeSet<_> = self.labels(selector, place).keys().map(String::as_str).collect();
        assert_eq!(named, wanted, "{place}: {series}");
    }

    fn labels(&self, selector: &Selector, place: &str) -> &Labels {
        self.0.get(&selector.metric).unwrap_or_else(|| panic!("{place}: there is no metric {}", selector.metric))
    }
}

fn labels(labels: &[(&str, &[&str])]) -> Labels {
    labels
        .iter()
        .map(|(label, values)| ((*label).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
        .collect()
}

#[test]
fn every_rule_names_only_metrics_and_labels_that_there_are() {
    let metrics = Metrics::all();
    let rules: Vec<Value> = rules();
    assert!(rules.len() > 30, "{} rules were found", rules.len());
    for rule in &rules {
        metrics
            .hold(&Query::read(string(rule, "expr")), rule["alert"].as_str().unwrap_or_else(|| string(rule, "record")));
    }
}

#[test]
fn the_unit_tests_are_of_series_as_they_are_emitted() {
    let metrics = Metrics::emitted();
    for file in crate::files::files("deploy/prometheus/tests", ".yml") {
        for case in list(&crate::files::yaml(&file), "tests") {
            let place = format!("{file}, {}", string(&case, "name"));
            for series in list(&case, "input_series") {
                metrics.hold_series(string(&series, "series"), &place);
            }
        }
    }
}

#[test]
#[should_panic(expected = "fanfare_gates_up{reason} is never broken")]
fn a_label_value_that_does_not_exist_is_found() {
    Metrics::all().hold(&Query::read(r#"max(fanfare_gates_up{reason="broken"})"#), "a test");
}
