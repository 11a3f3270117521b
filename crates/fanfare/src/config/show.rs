//! What `fanfare config show` prints: every option that a service goes by, its value, and where that comes from. No secret is
//! shown, not even one that stands in a URL.

use std::fmt::Write as _;

use serde_json::json;
use toml::Value;

use super::load::Effective;
use super::options::is_secret;
use super::problem::Origin;
use crate::serve::Roles;

/// What stands for a secret.
const MASK: &str = "(secret)";

impl Effective {
    /// As a table.
    pub(crate) fn table(&self, roles: Roles) -> String {
        let rows: Vec<[String; 3]> = self
            .values(roles)
            .map(|(path, value, origin)| {
                let shown = masked(path, value);
                let shown = shown.as_str().map_or_else(|| shown.to_string(), str::to_owned);
                let shown = if shown.is_empty() || shown == "[]" { "none".to_owned() } else { shown };
                [path.clone(), shown, place(origin.as_ref())]
            })
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let (first, second) = (width(0), width(1));
        let mut text = String::new();
        for [path, value, origin] in &rows {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{path:first$}  {value:second$}  {origin}");
        }
        text
    }

    /// As a JSON object.
    pub(crate) fn json(&self, service: &str, roles: Roles) -> String {
        let options = self.values(roles).map(|(path, value, origin)| {
            let kind = match origin {
                None => "default",
                Some(Origin::File { .. }) => "file",
                Some(Origin::Variable(_)) => "environment",
                Some(Origin::Flag(_)) => "flag",
            };
            json!({"option": path, "value": masked(path, value), "origin": kind, "where": place(origin.as_ref())})
        });
        let options: Vec<_> = options.collect();
        let engine = if self.config.is_distributed() { "distributed" } else { "embedded" };
        format!("{:#}\n", json!({"service": service, "engine": engine, "options": options}))
    }

    fn values(&self, roles: Roles) -> impl Iterator<Item = &(String, Value, Option<Origin>)> {
        let distributed = self.config.is_distributed();
        self.values.iter().filter(move |(path, _, _)| concerns(path, roles, distributed))
    }
}

/// Whether a process of these roles on this engine goes by an option.
fn concerns(path: &str, roles: Roles, distributed: bool) -> bool {
    let section = path.split_once('.').map_or(path, |(section, _)| section);
    match section {
        "listen" | "server" => roles.has_api(),
        "api_key" | "egress_allow" | "console" | "history" => roles.console,
        // A console keeps its read model there, the embedded engine everything.
        "data_dir" => roles.console || !distributed,
        "ingest" => roles.ingest,
        "admin_key" => roles.ingest || roles.console,
        "fanout" => roles.fanout,
        // How long ends are remembered, and whether Redis is waited for, follows from these wherever claims are made.
        "delivery" if ["delivery.hold_max_age", "delivery.dedup_on_unavailable"].contains(&path) => {
            roles.fanout || roles.delivery || roles.console
        }
        "delivery" => roles.delivery,
        // A console sends test deliveries.
        "egress" => roles.delivery || roles.console,
        "queue" => !distributed,
        "distributed" => distributed,
        _ => true,
    }
}

fn place(origin: Option<&Origin>) -> String {
    origin.map_or_else(|| "default".to_owned(), ToString::to_string)
}

/// The value without what is secret in it.
fn masked(path: &str, value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) if !text.is_empty() && is_secret(path) => {
            let is_url = path.ends_with(".url") || path.ends_with(".urls");
            if is_url { text.split(',').map(without_login).collect::<Vec<_>>().join(",").into() } else { MASK.into() }
        }
        // The options' values have a form in JSON, as tests of every section hold.
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

/// A URL without user, password or token. What is no URL may be anything, so it is not shown if it could have one.
fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.contains('@')) {
        (_, false) => url.to_owned(),
        (Some((scheme, rest)), true) => {
            // A password may have an @ in it: what follows the last one is the server.
            let server = rest.rsplit_once('@').map_or(rest, |(_, server)| server);
            format!("{scheme}://{MASK}@{server}")
        }
        (None, true) => MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::load::{Setting, effective};
    use super::*;

    fn shown(variables: &[(&str, &str)]) -> Effective {
        let environment: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        effective(None, &environment, vec![Setting::flag("--log", "log", "warn")]).unwrap()
    }

    #[test]
    fn each_value_is_shown_with_its_origin() {
        let table = shown(&[("FANFARE_SERVER_MAX_CONNECTIONS", "7")]).table(Roles::ALL);
        let row = |option: &str| {
            let line = table.lines().find(|line| line.split(' ').next() == Some(option)).unwrap();
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("server.max_connections"), "7 environment variable FANFARE_SERVER_MAX_CONNECTIONS");
        assert_eq!(row("log"), "warn command line, --log");
        assert_eq!(row("listen"), "127.0.0.1:8080 default");
        assert_eq!(row("egress_allow"), "none default");
        assert!(!table.contains("distributed."), "{table}");
    }

    #[test]
    fn no_secret_is_shown_in_either_form() {
        let everything = [
            ("FANFARE_API_KEY", "hush-hush-api"),
            ("FANFARE_ADMIN_KEY", "hush-hush-admin-key"),
            ("FANFARE_ENCRYPTION_KEY", "aHVzaGh1c2hodXNoaHVzaGh1c2hodXNoaHVzaGh1c2g="),
            ("FANFARE_DISTRIBUTED_NATS_URLS", "nats://anna:hush@10.0.0.1:4222,nats://hushtoken@10.0.0.2:4222"),
            ("FANFARE_DISTRIBUTED_NATS_PASSWORD", "hush"),
            ("FANFARE_DISTRIBUTED_REDIS_URL", "redis://:hush@hush@10.0.0.3:6379/0"),
            ("FANFARE_DISTRIBUTED_REDIS_PASSWORD", "hush"),
            ("FANFARE_DISTRIBUTED_REDIS_SENTINEL_PASSWORD", "hush"),
        ];
        let effective = shown(&everything);
        for text in [effective.table(Roles::ALL), effective.json("serve", Roles::ALL)] {
            assert!(!text.contains("hush") && !text.contains("aHVza") && !text.contains("anna"), "{text}");
            assert!(text.contains("nats://(secret)@10.0.0.1:4222,nats://(secret)@10.0.0.2:4222"), "{text}");
            assert!(text.contains("redis://(secret)@10.0.0.3:6379/0"), "{text}");
        }
        assert_eq!(without_login("anna:hush@host"), MASK);
    }

    #[test]
    fn a_service_shows_what_it_goes_by_and_every_option_is_of_some_service() {
        let options = super::super::options::Options::of_this_build();
        let all = [Roles::INGEST, Roles::FANOUT, Roles::DELIVERY, Roles::CONSOLE];
        for path in options.paths() {
            let of_some = all.iter().any(|roles| concerns(path, *roles, true));
            assert!(of_some != path.starts_with("queue."), "{path}");
            assert!(concerns(path, Roles::ALL, path.starts_with("distributed.")), "{path}");
        }
        assert!(concerns("ingest.burst", Roles::INGEST, true) && !concerns("ingest.burst", Roles::CONSOLE, true));
        assert!(concerns("admin_key", Roles::CONSOLE, true) && !concerns("admin_key", Roles::DELIVERY, true));
        assert!(!concerns("listen", Roles::DELIVERY, true) && !concerns("data_dir", Roles::DELIVERY, true));
    }
}
