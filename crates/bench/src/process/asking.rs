//! What the bench asks of the processes under measurement: webhooks, projects, metrics.

use serde_json::{Value, json};

use super::{ADMIN_KEY, API_KEY, Fanfare};
use crate::Failure;

/// What the bench publishes, and nothing that Fanfare tells of itself: that would be counted as deliveries.
pub(crate) const OWN_EVENTS: &str = "bench.**";

impl Fanfare {
    /// Creates a webhook for every event of the bench, and returns its id.
    pub(crate) async fn create_webhook(&self, url: &str) -> Result<String, Failure> {
        self.create(json!({"url": url, "events": [OWN_EVENTS]})).await
    }

    /// Creates a webhook and returns its id.
    pub(crate) async fn create(&self, webhook: Value) -> Result<String, Failure> {
        let created = self.created(API_KEY, "/v1/webhooks", webhook).await?;
        Ok(created["id"].as_str().ok_or("the answer has no id")?.to_owned())
    }

    /// Makes a project of its own quotas, with a webhook for every event of the bench.
    pub(crate) async fn create_project(&self, id: &str, events_per_second: u32, url: &str) -> Result<(), Failure> {
        let quotas = json!({"events_per_second": events_per_second, "burst": events_per_second.max(500)});
        let project = json!({"id": id, "egress_allow": ["127.0.0.0/8"], "quotas": quotas});
        self.created(ADMIN_KEY, "/v1/projects", project).await?;
        let key = json!({"name": "bench", "scopes": ["publish", "manage"]});
        let key = self.created(ADMIN_KEY, &format!("/v1/api-keys?project={id}"), key).await?;
        let key = key["key"].as_str().ok_or("the answer has no key")?;
        self.created(key, "/v1/webhooks", json!({"url": url, "events": [OWN_EVENTS]})).await.map(drop)
    }

    async fn created(&self, key: &str, path: &str, body: Value) -> Result<Value, Failure> {
        match self.call_as(key, "POST", path, Some(body)).await? {
            (201, created) => Ok(created),
            (status, answer) => Err(format!("{path} was answered {status}: {answer}").into()),
        }
    }

    /// One request to the management API: the status and the answer, null if it is empty.
    pub(crate) async fn call(&self, method: &str, path: &str) -> Result<(u16, Value), Failure> {
        self.call_as(API_KEY, method, path, None).await
    }

    async fn call_as(&self, key: &str, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value), Failure> {
        let request = self.client.request(method.parse()?, format!("http://{}{path}", self.manage));
        let mut request = request.header("x-api-key", key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status().as_u16(), answer.text().await?);
        Ok((status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? }))
    }

    /// Requests that a process has made to receivers in this life of it.
    pub(crate) async fn attempts(&self, member: usize) -> Result<u64, Failure> {
        let metrics = self.metrics(member).await?;
        let series = metrics.lines().filter(|line| line.starts_with("fanfare_delivery_attempts_total{"));
        Ok(series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum())
    }

    /// One series of ingest's metrics.
    pub(crate) async fn ingest_metric(&self, series: &str) -> Result<f64, Failure> {
        let takes_events = |name: &str| matches!(name, "serve" | "ingest");
        let ingest = self.members.iter().position(|member| takes_events(member.name)).ok_or("there is no ingest")?;
        let metrics = self.metrics(ingest).await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.ok_or_else(|| format!("ingest has no series {series}"))?.parse()?)
    }

    async fn metrics(&self, member: usize) -> Result<String, Failure> {
        let admin = self.members[member].admin;
        Ok(self.client.get(format!("http://{admin}/metrics")).send().await?.text().await?)
    }
}
