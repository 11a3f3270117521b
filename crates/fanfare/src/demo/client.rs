//! The demo as a client of the API: plain HTTP with an API key, as any sender would.

use std::fmt;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::cast::{DemoEvent, Part};
use crate::config::SecretText;
use crate::report::Report;

/// A client with its key.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: SecretText,
}

/// A webhook that was made.
pub(super) struct Made {
    /// Its id.
    pub(super) id: Uuid,
    /// Its secret, which only this answer shows.
    pub(super) secret: String,
}

impl Client {
    /// A client of the API at this address.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub(super) fn new(base: String, key: SecretText) -> Result<Self, Report> {
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http.map_err(|error| Report::because("cannot set the demo's HTTP client up", &error))?;
        Ok(Self { http, base, key })
    }

    /// Makes a receiver's webhook.
    ///
    /// # Errors
    /// When the API refuses.
    pub(super) async fn create_webhook(&self, part: &Part, url: &str) -> Result<Made, Report> {
        let mut webhook = json!({"url": url, "events": part.events, "description": format!("demo: {}", part.name)});
        if !part.retries.is_empty() {
            webhook["retry_schedule"] = json!(part.retries);
        }
        let made = self.call(Method::POST, "/v1/webhooks", Some(&webhook), StatusCode::CREATED).await?;
        let text = |field: &str| made[field].as_str().map(str::to_owned);
        let id = text("id").and_then(|id| id.parse().ok());
        match (id, text("secret")) {
            (Some(id), Some(secret)) => Ok(Made { id, secret }),
            _ => Err(Report::new("the answer to creating a webhook lacks `id` or `secret`")),
        }
    }

    /// Sends a test payload to a webhook; the answer's `data`.
    ///
    /// # Errors
    /// When the API refuses.
    pub(super) async fn test(&self, webhook: &Uuid) -> Result<Value, Report> {
        let path = format!("/v1/webhooks/{webhook}/test");
        let mut answer = self.call(Method::POST, &path, Some(&json!({})), StatusCode::OK).await?;
        Ok(answer["data"].take())
    }

    /// Publishes an event; the `status` of the answer.
    ///
    /// # Errors
    /// When the API refuses.
    pub(super) async fn publish(&self, event: &DemoEvent) -> Result<String, Report> {
        let body = json!({"id": event.id, "type": event.event_type, "data": event.data});
        let answer = self.call(Method::POST, "/v1/events", Some(&body), StatusCode::ACCEPTED).await?;
        Ok(answer["status"].as_str().unwrap_or_default().to_owned())
    }

    /// The most recent deliveries, at most 100.
    ///
    /// # Errors
    /// When the API refuses.
    pub(super) async fn deliveries(&self) -> Result<Vec<Value>, Report> {
        let mut page = self.call(Method::GET, "/v1/deliveries?limit=100", None, StatusCode::OK).await?;
        match page["data"].take() {
            Value::Array(rows) => Ok(rows),
            _ => Err(Report::new("the answer to GET /v1/deliveries lacks `data`")),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        expected: StatusCode,
    ) -> Result<Value, Report> {
        let what = Call { method: method.clone(), path };
        let failed = |error: reqwest::Error| Report::because(&what, &error);
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = request.header("x-api-key", self.key.expose().unwrap_or_default());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status();
        let text = answer.text().await.map_err(failed)?;
        if status != expected {
            return Err(Report::new(format!("{what} was answered {status}, not {expected}: {}", text.trim())));
        }
        serde_json::from_str(&text).map_err(|error| Report::because(format_args!("{what}: not JSON"), &error))
    }
}

struct Call<'a> {
    method: Method,
    path: &'a str,
}

impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}
