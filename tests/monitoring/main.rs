//! What operators watch Fanfare by, held to what Fanfare emits: the scrape configuration, rules and their unit tests under
//! `deploy/prometheus`, the dashboard under `deploy/grafana`, the runbook in `docs/operate.md`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that meets what it did not expect has failed")]

mod dashboard;
mod files;
mod metrics;
mod promql;
mod rules;
mod runbook;
mod scrape;
