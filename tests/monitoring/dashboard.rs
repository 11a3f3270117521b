//! The dashboard and what Grafana is provisioned with, as data: there is no Grafana to start here.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::files::{dashboard, list, string, yaml};
use crate::metrics::Metrics;
use crate::promql::Query;

/// Every query of the dashboard, with the title of its panel.
pub(crate) fn queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let panels = list(&dashboard, "panels");
    let of_panels = panels.iter().flat_map(|panel| {
        let targets = list(panel, "targets");
        targets
            .iter()
            .map(|target| (string(panel, "title").to_owned(), string(target, "expr").to_owned()))
            .collect::<Vec<_>>()
    });
    let annotations = list(&dashboard["annotations"], "list");
    let of_annotations = annotations.iter().map(|one| (string(one, "name").to_owned(), string(one, "expr").to_owned()));
    of_panels.chain(of_annotations).collect()
}

#[test]
fn every_query_names_only_metrics_and_labels_that_there_are() {
    let metrics = Metrics::all();
    let queries = queries();
    assert!(queries.len() > 50, "{} queries were found", queries.len());
    for (panel, query) in &queries {
        metrics.hold(&Query::read(query), panel);
    }
}

#[test]
fn every_metric_of_ours_is_on_the_dashboard_or_in_a_rule() {
    let rules = crate::files::rules();
    let expressions =
        rules.iter().map(|rule| string(rule, "expr").to_owned()).chain(queries().into_iter().map(|(_, query)| query));
    let asked: BTreeSet<String> =
        expressions.flat_map(|text| Query::read(&text).selectors).map(|selector| selector.metric).collect();
    for line in crate::files::text("crates/telemetry/tests/metrics.txt").lines() {
        let name = line.split(' ').next().unwrap();
        let parts = ["", "_bucket", "_count", "_sum"].map(|part| format!("{name}{part}"));
        let shown = parts.iter().any(|part| asked.contains(part));
        assert!(shown || name == "process_threads", "nobody would see {name}");
    }
}

#[test]
fn panels_are_told_apart_and_do_not_cover_each_other() {
    let panels = list(&dashboard(), "panels");
    let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut covered = BTreeSet::new();
    for panel in &panels {
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel:#} is wider than the page");
        for cell in (place("x")..place("x") + place("w"))
            .flat_map(|x| (place("y")..place("y") + place("h")).map(move |y| (x, y)))
        {
            assert!(covered.insert(cell), "{} covers another panel", string(panel, "title"));
        }
    }
}

#[test]
fn everything_asks_the_source_that_the_reader_chose_and_variables_exist() {
    let dashboard = dashboard();
    let variables = list(&dashboard["templating"], "list");
    let names: BTreeSet<&str> = variables.iter().map(|variable| string(variable, "name")).collect();
    assert_eq!(names, BTreeSet::from(["datasource", "service", "instance"]));
    for panel in list(&dashboard, "panels").iter().filter(|panel| panel["type"] != "row") {
        for source in list(panel, "targets").iter().chain([panel]).map(|asking| &asking["datasource"]) {
            assert_eq!(source["uid"], "${datasource}", "{}", string(panel, "title"));
        }
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{} has no unit", string(panel, "title"));
    }
    for (panel, query) in queries() {
        for variable in query
            .split('$')
            .skip(1)
            .map(|rest| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap())
        {
            assert!(
                names.contains(variable) || variable == "__rate_interval",
                "{panel}: there is no variable {variable}"
            );
        }
    }
}

#[test]
fn the_provisioned_source_and_folder_are_what_the_dashboard_needs() {
    let sources = yaml("deploy/grafana/provisioning/datasources/prometheus.yml");
    let [source] = &list(&sources, "datasources")[..] else { panic!("there is not one source") };
    assert_eq!((string(source, "type"), &source["isDefault"]), ("prometheus", &Value::Bool(true)));
    let first = &list(&dashboard()["templating"], "list")[0];
    assert_eq!(first["current"]["value"], source["uid"], "the dashboard begins with another source");
    let providers = yaml("deploy/grafana/provisioning/dashboards/fanfare.yml");
    let [provider] = &list(&providers, "providers")[..] else { panic!("there is not one provider") };
    assert_eq!(string(&provider["options"], "path"), "/var/lib/grafana/dashboards");
    // Both are shown as they are scraped.
    let scraped = yaml("deploy/prometheus/prometheus.yml");
    assert_eq!(source["jsonData"]["timeInterval"], scraped["global"]["scrape_interval"]);
}
