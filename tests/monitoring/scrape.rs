//! Prometheus itself, with the shipped configuration and rules, on real services: two fan-outs and two deliveries, an ingest and
//! a console, as in docker-compose.yml.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use fanfare_testkit::{Fanfare, Prometheus, Receiver, Reply, Servers};
use serde_json::{Value, json};

use crate::dashboard::queries;
use crate::files::{list, root, string, yaml};

const ROLES: [&str; 6] = ["console", "ingest", "fanout", "fanout", "delivery", "delivery"];

/// The shipped configuration, in a hurry, with addresses where it has names to look up. What it does with the names stays.
fn configuration(own: SocketAddr, processes: &[Fanfare]) -> String {
    let mut shipped = yaml("deploy/prometheus/prometheus.yml");
    shipped["global"] = json!({"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"});
    for file in shipped["rule_files"].as_array_mut().unwrap() {
        *file = json!(root().join("deploy/prometheus").join(file.as_str().unwrap()));
    }
    for job in shipped["scrape_configs"].as_array_mut().unwrap() {
        if job["job_name"] == "prometheus" {
            job["static_configs"] = json!([{"targets": [own.to_string()]}]);
            continue;
        }
        let looked_up = job.as_object_mut().unwrap().remove("dns_sd_configs").unwrap();
        let names: BTreeSet<&str> =
            looked_up[0]["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(names, BTreeSet::from(ROLES));
        let found = ROLES.iter().zip(processes).map(|(role, process)| {
            let address = process.admin_url("").trim_start_matches("http://").to_owned();
            json!({"targets": [address], "labels": {"__meta_dns_name": role}})
        });
        job["static_configs"] = found.collect();
    }
    shipped.to_string()
}

/// What Prometheus answers, if it is a success.
async fn ask(prometheus: &Prometheus, client: &reqwest::Client, path: &str) -> Value {
    let answer = client.get(prometheus.url(path)).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
    assert_eq!(answer["status"], "success", "{path}: {answer}");
    answer["data"].clone()
}

fn query(text: &str) -> String {
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("/api/v1/query?query={encoded}")
}

async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let asking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            if let Some(found) = ask().await {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.unwrap_or_else(|_| panic!("{what} did not come about"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_scrapes_all_services_and_evaluates_every_rule_and_query_without_a_warning() {
    let servers = Servers::start().await;
    let mut processes = Vec::new();
    for role in ROLES {
        processes.push(Fanfare::start_role(role, &servers, &[]).await);
    }
    let receiver = Receiver::http(|_| Reply::Status(200)).await;
    processes[0].create_webhook(json!({"url": receiver.url("/"), "events": ["**"]})).await;
    processes[1].publish(json!({"id": "order-1", "type": "order.paid", "data": {}})).await;
    receiver.received(1).await;

    let prometheus = Prometheus::start(|own| configuration(own, &processes)).await;
    let client = processes[0].client().clone();
    let targets = until("every target up", async || {
        let targets = list(&ask(&prometheus, &client, "/api/v1/targets").await, "activeTargets");
        (targets.len() > ROLES.len() && targets.iter().all(|target| target["health"] == "up")).then_some(targets)
    })
    .await;
    assert_eq!(targets.len(), ROLES.len() + 1);
    assert!(targets.iter().all(|target| target["lastError"] == ""), "{targets:#?}");
    let ours = targets.iter().filter(|target| target["labels"]["job"] == "fanfare");
    let mut services: Vec<_> = ours.map(|target| string(&target["labels"], "service").to_owned()).collect();
    services.sort_unstable();
    let mut roles = ROLES.to_vec();
    roles.sort_unstable();
    assert_eq!(services, roles);

    let rules = until("every rule evaluated", async || {
        let groups = list(&ask(&prometheus, &client, "/api/v1/rules").await, "groups");
        let rules: Vec<Value> = groups.iter().flat_map(|group| list(group, "rules")).collect();
        (!rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")).then_some(rules)
    })
    .await;
    for rule in &rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&json!("ok"), &Value::Null), "{rule:#}");
        assert_ne!(rule["state"], "firing", "{rule:#}");
    }
    for (panel, text) in queries() {
        let text = text.replace("$__rate_interval", "1m").replace("$service", ".*").replace("$instance", ".*");
        let data = ask(&prometheus, &client, &query(&text)).await;
        assert_eq!(data["resultType"], "vector", "{panel}: {text}");
    }
    // What the processes emit reaches the rules.
    let accepted = query(r#"fanfare:ingest_events:rate5m{result="accepted"}"#);
    until("a recorded rate", async || list(&ask(&prometheus, &client, &accepted).await, "result").pop()).await;
    let without_holder = query("fanfare:partitions_without_holder:count != 0");
    until("a holder for every partition", async || {
        list(&ask(&prometheus, &client, &without_holder).await, "result").is_empty().then_some(())
    })
    .await;
    let log = prometheus.log().to_ascii_lowercase();
    let complaints: Vec<_> =
        log.lines().filter(|line| line.contains("level=warn") || line.contains("level=error")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");

    // One of two goes: the rules see it.
    processes[5].kill().await;
    let pending = query(r#"ALERTS{alertname="FanfareProcessDown", alertstate="pending", service="delivery"}"#);
    until("an alert for a process that is down", async || {
        list(&ask(&prometheus, &client, &pending).await, "result").pop()
    })
    .await;
}
