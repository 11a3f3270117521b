//! Which values the options may have: one line for every number and duration, and the rules for the texts that have one.
//!
//! What a type of its own already refuses (an address, a network, a duration that is none) is not repeated here.

use std::ops::RangeInclusive;
use std::time::Duration;

use fanfare_core::seal::SealingKey;
use fanfare_runtime::Span;
use fanfare_telemetry::logging;
use toml::{Table, Value};

use super::Config;
use super::load::{Origins, get};

/// What is allowed for one option.
#[derive(Clone, Debug)]
enum Allowed {
    /// A whole number.
    Whole(RangeInclusive<i64>),
    /// A duration.
    Lasting(RangeInclusive<Duration>),
}

const fn whole(from: i64, to: i64) -> Allowed {
    Allowed::Whole(from..=to)
}

const fn lasting(from: u64, to: u64) -> Allowed {
    Allowed::Lasting(Duration::from_millis(from)..=Duration::from_millis(to))
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEARS: u64 = 3650 * DAY;
const KIB: i64 = 1024;
const MIB: i64 = 1024 * KIB;
const GIB: i64 = 1024 * MIB;

/// Every option that is a number or a duration, as a test holds. The lower ends are where a thing stops working, the upper
/// ones where more can only be a slip; what is sensible in between is said where the option is.
const RANGES: &[(&str, Allowed)] = &[
    ("shutdown_grace", lasting(SECOND, 10 * MINUTE)),
    ("shutdown_delay", lasting(0, 5 * MINUTE)),
    ("server.max_connections", whole(1, 1_000_000)),
    ("server.header_timeout", lasting(100, HOUR)),
    ("server.body_timeout", lasting(100, HOUR)),
    ("server.max_header_bytes", whole(8 * KIB, MIB)),
    ("server.max_streams", whole(1, 10_000)),
    ("ingest.events_per_second", whole(0, 1_000_000)),
    ("ingest.burst", whole(500, 100_000_000)),
    ("ingest.max_backlog", whole(1, 1_000_000_000)),
    ("ingest.max_project_backlog", whole(0, 1_000_000)),
    ("ingest.max_body_bytes", whole(8 * MIB, 64 * GIB)),
    ("fanout.batch_events", whole(1, 1000)),
    ("fanout.push_deliveries", whole(1, 10_000)),
    ("fanout.max_ready", whole(1, 1_000_000_000)),
    ("fanout.advance_every", lasting(1, 10 * SECOND)),
    ("delivery.max_in_flight", whole(1, 100_000)),
    ("delivery.lease_batch", whole(1, 10_000)),
    ("delivery.lane_limit", whole(1, 10_000)),
    ("delivery.claim_ttl", lasting(35 * SECOND, HOUR)),
    ("delivery.max_releases", whole(1, 10_000)),
    ("delivery.breaker_failures", whole(1, 10_000)),
    ("delivery.breaker_window", lasting(SECOND, HOUR)),
    ("delivery.breaker_window_attempts", whole(1, 100_000)),
    ("delivery.breaker_percent", whole(1, 100)),
    ("delivery.probe_first", lasting(100, HOUR)),
    ("delivery.probe_longest", lasting(100, DAY)),
    ("delivery.pause_after", lasting(SECOND, YEARS)),
    ("delivery.hold_max_age", lasting(SECOND, YEARS)),
    ("delivery.expiry_interval", lasting(100, HOUR)),
    ("egress.connect_timeout", lasting(10, 30 * SECOND)),
    ("egress.dns_timeout", lasting(10, 30 * SECOND)),
    ("egress.dns_lookups", whole(1, 10_000)),
    ("egress.first_byte_timeout", lasting(0, 30 * SECOND)),
    ("egress.max_response_headers", whole(1, 10_000)),
    ("egress.max_response_header_bytes", whole(KIB, MIB)),
    ("egress.body_snippet_bytes", whole(0, MIB)),
    ("egress.idle_connections_per_host", whole(0, 10_000)),
    ("egress.idle_timeout", lasting(1, HOUR)),
    ("egress.policy_clients", whole(1, 10_000)),
    ("history.retention", lasting(MINUTE, YEARS)),
    ("history.readers", whole(1, 64)),
    ("console.max_body_bytes", whole(KIB, 16 * MIB)),
    ("console.max_webhooks_per_project", whole(1, 10_000_000)),
    ("console.max_api_keys_per_project", whole(1, 100_000)),
    ("console.max_event_types_per_project", whole(1, 10_000)),
    ("console.max_projects", whole(1, 1_000_000)),
    ("console.refresh_wait", lasting(10, MINUTE)),
    ("console.resolve_wait", lasting(10, MINUTE)),
    ("console.max_tests_per_project", whole(1, 1000)),
    ("console.sweep_every", lasting(SECOND, DAY)),
    ("queue.lease", lasting(SECOND, 10 * MINUTE)),
    ("queue.writer_queue", whole(1, 1_000_000)),
    ("queue.commit_operations", whole(1, 100_000)),
    ("queue.commit_bytes", whole(64 * KIB, GIB)),
    ("queue.window_items", whole(1, 10_000_000)),
    ("queue.window_bytes", whole(MIB, 16 * GIB)),
    ("queue.read_connections", whole(1, 64)),
    ("queue.cache_bytes", whole(MIB, 64 * GIB)),
    ("queue.wal_bytes", whole(MIB, 16 * GIB)),
    ("queue.event_retention", lasting(MINUTE, YEARS)),
    ("queue.done_retention", lasting(MINUTE, YEARS)),
    ("queue.quarantine_after", whole(1, 1_000_000)),
    ("queue.quarantine_retention", lasting(MINUTE, YEARS)),
    ("queue.maintenance_interval", lasting(100, HOUR)),
    ("distributed.replicas", whole(1, 5)),
    ("distributed.event_duplicate_window", lasting(SECOND, 7 * DAY)),
    ("distributed.duplicate_window", lasting(SECOND, DAY)),
    ("distributed.event_max_bytes", whole(0, 1024 * GIB)),
    ("distributed.event_retention", lasting(MINUTE, YEARS)),
    ("distributed.delivery_high_water_bytes", whole(0, 1024 * GIB)),
    ("distributed.journal_max_bytes", whole(0, 1024 * GIB)),
    ("distributed.journal_retention", lasting(MINUTE, YEARS)),
    ("distributed.intake_max_bytes", whole(0, 1024 * GIB)),
    ("distributed.intake_max_messages_per_type", whole(1, 1_000_000_000)),
    ("distributed.rejected_max_bytes", whole(0, 1024 * GIB)),
    ("distributed.rejected_max_messages_per_project", whole(1, 1_000_000_000)),
    ("distributed.rejected_retention", lasting(MINUTE, YEARS)),
    ("distributed.lease", lasting(SECOND, 10 * MINUTE)),
    ("distributed.overdue_after", lasting(SECOND, HOUR)),
    ("distributed.quarantine_after", whole(1, 1_000_000)),
    ("distributed.quarantine_retention", lasting(MINUTE, YEARS)),
    ("distributed.quarantine_max_bytes", whole(0, 1024 * GIB)),
    ("distributed.max_leased", whole(1, 10_000_000)),
    ("distributed.partitions", whole(1, 512)),
    ("distributed.gate_partitions", whole(1, 512)),
    ("distributed.partition_lease", lasting(500, MINUTE)),
    ("distributed.publish_window", whole(1, 1_000_000)),
    ("distributed.done_retention", lasting(MINUTE, YEARS)),
    ("distributed.gated_done_retention", lasting(MINUTE, YEARS)),
    ("distributed.live_retention", lasting(MINUTE, YEARS)),
    ("distributed.nats.timeout", lasting(100, MINUTE)),
    ("distributed.redis.timeout", lasting(10, MINUTE)),
];

/// Checks the numbers and durations that were set: for each that is out of its range, the option and what is allowed.
pub(super) fn out_of_range(table: &Table, origins: &Origins) -> Vec<(&'static str, String)> {
    let set = RANGES.iter().filter(|(path, _)| origins.contains_key(*path));
    set.filter_map(|(path, allowed)| Some((*path, allowed.refusal(get(table, path)?)?))).collect()
}

/// Checks what is not a matter of one range, in a configuration that reads well: for each text that is not as it has to be,
/// the option and what is allowed; and what does not go together.
pub(super) fn check(config: &Config) -> (Vec<(&'static str, String)>, Vec<String>) {
    let (mut wrong, mut together) = (Vec::new(), Vec::new());
    if config.api_key.expose().is_some_and(|key| !is_api_key(key)) {
        wrong.push(("api_key", "it has to have 8 to 256 printable ASCII characters without spaces".to_owned()));
    }
    if config.admin_key.expose().is_some_and(|key| !is_api_key(key) || key.len() < 16) {
        wrong.push(("admin_key", "it has to have 16 to 256 printable ASCII characters without spaces".to_owned()));
    }
    if config.admin_key.expose().is_some() && config.admin_key == config.api_key {
        together.push("admin_key and api_key are the same; they have to differ".to_owned());
    }
    if let Some(Err(error)) = config.encryption_key.expose().map(SealingKey::parse) {
        wrong.push(("encryption_key", error.to_string()));
    }
    if let Err(error) = logging::subscriber(&config.log, logging::Style::Json, std::io::sink) {
        wrong.push(("log", error.to_string()));
    }
    if config.data_dir.as_os_str().is_empty() {
        wrong.push(("data_dir", "it has to name a directory".to_owned()));
    }
    if config.is_distributed() {
        if config.distributed.redis.url.is_empty() {
            together.push(
                "distributed.nats.urls names NATS, so distributed.redis.url (--redis) has to name Redis".to_owned(),
            );
        }
        if config.encryption_key.expose().is_none() {
            together.push(
                "the distributed engine needs encryption_key (FANFARE_ENCRYPTION_KEY), the same in every process: \
                 32 bytes in base64, such as `openssl rand -base64 32` prints, or `<id>:` and that"
                    .to_owned(),
            );
        }
    }
    if config.shutdown_delay.get() >= config.shutdown_grace.get() {
        together.push(format!(
            "shutdown_delay ({}) is not shorter than shutdown_grace ({}), which it is a part of",
            config.shutdown_delay, config.shutdown_grace
        ));
    }
    if config.listen == config.admin_listen && config.listen.port() != 0 {
        together.push(format!("listen and admin_listen are both {}; they have to differ", config.listen));
    }
    together.extend(config.fanout.validate().err());
    (wrong, together)
}

fn is_api_key(text: &str) -> bool {
    (8..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Allowed {
    /// What is allowed, if the value is not.
    fn refusal(&self, value: &Value) -> Option<String> {
        let (inside, from, to) = match (self, value) {
            (Allowed::Whole(range), Value::Integer(number)) => {
                (range.contains(number), range.start().to_string(), range.end().to_string())
            }
            (Allowed::Lasting(range), Value::String(text)) => {
                let inside = text.parse::<Span>().is_ok_and(|span| range.contains(&span.get()));
                (inside, span_text(*range.start()), span_text(*range.end()))
            }
            (Allowed::Whole(_) | Allowed::Lasting(_), _) => return None,
        };
        let unitless = value.as_str().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        (!inside).then(|| match unitless {
            Some(text) if text != "0" => {
                format!("the unit is missing: write {text}s for seconds, or another of ms, m, h, d")
            }
            Some(_) | None => format!("it has to be from {from} to {to}"),
        })
    }
}

fn span_text(duration: Duration) -> String {
    Span::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::options::Options;
    use super::*;

    #[test]
    fn every_number_and_duration_has_a_range_that_its_default_is_in() {
        let options = Options::of_this_build();
        let ranged: BTreeSet<&str> = RANGES.iter().map(|(path, _)| *path).collect();
        for path in options.paths() {
            let default = options.default_of(path).unwrap();
            let needs_one = match default {
                Value::Integer(_) => true,
                Value::String(text) => text.parse::<Span>().is_ok(),
                Value::Boolean(_) | Value::Array(_) => false,
                Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
                    panic!("{path}: there is no range for its type yet")
                }
            };
            assert_eq!(ranged.contains(path), needs_one, "{path}: a range is missing, or one is for nothing");
        }
        for (path, allowed) in RANGES {
            let default = options.default_of(path).unwrap_or_else(|| panic!("there is no option {path}"));
            assert_eq!(allowed.refusal(default), None, "{path}");
            let of_its_type = match (allowed, default) {
                (Allowed::Whole(_), Value::Integer(_)) | (Allowed::Lasting(_), Value::String(_)) => true,
                (Allowed::Whole(_) | Allowed::Lasting(_), _) => false,
            };
            assert!(of_its_type, "{path}: its range is for another type");
        }
    }
}
