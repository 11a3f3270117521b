//! Every metric that Fanfare has: its name, type, labels and help are said here and nowhere else. (What the system says of
//! the process, under everybody's names, is in `process.rs`.)
//!
//! Label sets are closed and every series starts at zero, so that a rate over a first occurrence is right. Nothing about
//! one webhook, project or event is ever a label.

use std::sync::Arc;

use prometheus::{
    Encoder as _, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

use crate::process::Process;

/// From acceptance to a receiver's answer, and everything in it: 0.5 ms to 17 minutes.
const SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1000.0];
/// Operations in one commit.
const BATCH: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0];

/// What became of an event at ingest; the label `result` of `fanfare_ingest_events_total`.
pub const INGEST_RESULTS: [&str; 7] =
    ["accepted", "duplicate", "conflict", "invalid", "too_large", "quota", "unavailable"];
/// Whether any webhook matched; the label `result` of `fanfare_fanout_events_total`.
pub const FANOUT_RESULTS: [&str; 2] = ["matched", "unmatched"];
/// What came of a POST; the label `outcome` of `fanfare_delivery_attempts_total`. The names of `core`'s outcome classes.
pub const ATTEMPT_OUTCOMES: [&str; 13] = [
    "success",
    "redirect",
    "gone",
    "rate_limited",
    "client_error",
    "server_error",
    "dns",
    "egress_denied",
    "connect",
    "tls",
    "timeout",
    "reset",
    "invalid_response",
];
/// How a delivery ended; the label `end` of `fanfare_delivery_ended_total`.
pub const ENDS: [&str; 4] = ["delivered", "exhausted", "expired", "discarded"];
/// Why a delivery went into quarantine; the label `reason` of `fanfare_delivery_quarantined_total`.
pub const QUARANTINE_REASONS: [&str; 2] = ["leased_too_often", "unreadable"];
/// What stands in a store and could not be read; the label `what` of `fanfare_store_unreadable_total`.
pub const UNREADABLE: [&str; 2] = ["event", "journal"];
/// What a claim was answered; the label `decision` of `fanfare_dedup_decisions_total`.
pub const DEDUP_DECISIONS: [&str; 6] = ["claimed", "taken_over", "busy", "stale", "done", "unavailable"];
/// Why a delivery is due later; the label `reason` of `fanfare_delivery_due`.
pub const DUE_REASONS: [&str; 3] = ["retry", "retry_after", "congested"];
/// Whether a request found a connection; the label `connection` of `fanfare_delivery_connections_total`.
pub const CONNECTIONS: [&str; 2] = ["new", "reused"];
/// The SQLite databases; the label `database` of `fanfare_sqlite_wal_bytes`.
pub const DATABASES: [&str; 2] = ["queue", "history"];

/// The streams of the distributed engine; the label `stream` of the metrics that begin with `fanfare_nats_`.
pub const STREAMS: [&str; 9] =
    ["intake", "rejected", "events", "deliveries", "gated", "quarantine", "journal", "config", "state"];
/// What a publish was answered; the label `result` of `fanfare_nats_publishes_total`.
pub const PUBLISH_RESULTS: [&str; 5] = ["stored", "duplicate", "conflict", "full", "failed"];
/// What a gate can be up for, or that it is down; the label `reason` of `fanfare_gate_changes_total`, and without the first
/// of `fanfare_gates_up`.
pub const GATE_CHANGES: [&str; 6] = ["none", "paused", "releasing", "congested", "breaker_open", "rate_limit"];
/// The states of webhooks; the label `state` of `fanfare_webhooks`.
pub const WEBHOOK_STATES: [&str; 3] = ["healthy", "failing", "paused"];
/// What projects are told of; the label `type` of `fanfare_operational_events_total`.
pub const OPERATIONAL_TYPES: [&str; 5] = [
    "fanfare.webhook.failing",
    "fanfare.webhook.recovered",
    "fanfare.webhook.paused",
    "fanfare.webhook.activated",
    "fanfare.delivery.exhausted",
];
/// What becomes of an operational event; the label `result` of `fanfare_operational_events_total`.
pub const TOLD: [&str; 3] = ["told", "repeated", "failed"];
/// The streams whose messages can come again; the label `stream` of `fanfare_nats_redeliveries_total`.
pub const REDELIVERED: [&str; 2] = ["deliveries", "gated"];
/// What is shared by partitions; the label `kind` of `fanfare_partitions_held`.
pub const PARTITIONS: [&str; 3] = ["events", "gates", "intake"];
/// What Redis is asked to do; the label `operation` of `fanfare_redis_operation_duration_seconds`.
pub const REDIS_OPERATIONS: [&str; 6] = ["claim", "raise", "complete", "give_up", "standing", "ping"];

/// The metrics of one process. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<All>);

impl std::ops::Deref for Metrics {
    type Target = All;
    fn deref(&self) -> &All {
        &self.0
    }
}

/// Each metric under the name it has after `fanfare_`.
#[derive(Debug)]
#[allow(missing_docs, reason = "the help text of each is given where it is registered, a few lines below")]
pub struct All {
    registry: Registry,
    pub ready: IntGauge,
    pub ingest_events: IntCounterVec,
    pub ingest_duration: Histogram,
    pub intake_waiting: IntGauge,
    pub intake_oldest_age: Gauge,
    pub fanout_events: IntCounterVec,
    pub fanout_deliveries: IntCounter,
    pub fanout_backlog: IntGauge,
    pub delivery_attempts: IntCounterVec,
    pub delivery_attempt_duration: HistogramVec,
    pub delivery_queue_wait: Histogram,
    pub delivery_end_to_end: Histogram,
    pub delivery_ended: IntCounterVec,
    pub delivery_in_flight: IntGauge,
    pub delivery_lanes_held_back: IntGauge,
    pub delivery_ready: IntGauge,
    pub delivery_due: IntGaugeVec,
    pub delivery_gated: IntGauge,
    pub delivery_oldest_ready_age: Gauge,
    pub delivery_probes: IntCounterVec,
    pub gate_changes: IntCounterVec,
    pub gates_up: IntGaugeVec,
    pub webhooks: IntGaugeVec,
    pub delivery_connections: IntCounterVec,
    pub delivery_superseded: IntCounter,
    pub operational_events: IntCounterVec,
    pub delivery_quarantined: IntCounterVec,
    pub delivery_in_quarantine: IntGauge,
    pub delivery_overdue: IntGauge,
    pub delivery_overdue_moved: IntCounter,
    pub dedup_decisions: IntCounterVec,
    pub delivery_leases_lost: IntCounter,
    pub nats_publishes: IntCounterVec,
    pub nats_redeliveries: IntCounterVec,
    pub nats_stream_bytes: IntGaugeVec,
    pub nats_stream_messages: IntGaugeVec,
    pub nats_store_bytes: IntGauge,
    pub nats_store_limit_bytes: IntGauge,
    pub nats_consumer_pending: IntGauge,
    pub nats_consumer_unacknowledged: IntGauge,
    pub nats_reconnects: IntCounter,
    pub events_oldest_unprocessed_age: Gauge,
    pub partitions: IntGaugeVec,
    pub partitions_held: IntGaugeVec,
    pub redis_operation_duration: HistogramVec,
    pub redis_failures: IntCounterVec,
    pub redis_reconnects: IntCounter,
    pub queue_commit_batch_size: Histogram,
    pub queue_commit_duration: Histogram,
    pub sqlite_wal_bytes: IntGaugeVec,
    pub unreadable: IntCounterVec,
    pub history_entries: IntCounter,
    pub history_lag: Gauge,
}

impl Metrics {
    /// All metrics, at zero.
    ///
    /// # Panics
    /// Never: the names are constant, distinct and valid, as the contract test holds.
    pub fn new(version: &str) -> Self {
        let registry = Registry::new();
        let make = Maker { registry: &registry };
        let all = All {
            ready: make.gauge("ready", "Whether this process takes work, as /readyz says at the time of the scrape: 1, else 0."),
            ingest_events: make.counters(
                "ingest_events_total",
                "Events that reached ingest, by what became of them.",
                "result",
                &INGEST_RESULTS,
            ),
            ingest_duration: make.histogram(
                "ingest_duration_seconds",
                "From an event's arrival at ingest to its being durable.",
                SECONDS,
            ),
            intake_waiting: make.gauge(
                "intake_waiting",
                "Messages that producers published to NATS and that ingest has not taken in yet.",
            ),
            intake_oldest_age: make
                .float_gauge("intake_oldest_age_seconds", "For how long the oldest of them has been waiting."),
            fanout_events: make.counters(
                "fanout_events_total",
                "Events fanned out, by whether any webhook matched.",
                "result",
                &FANOUT_RESULTS,
            ),
            fanout_deliveries: make.counter("fanout_deliveries_total", "Deliveries that fan-out made."),
            fanout_backlog: make.gauge("fanout_backlog_events", "Accepted events that are not fanned out yet."),
            delivery_attempts: make.counters(
                "delivery_attempts_total",
                "POSTs made, by what came of them.",
                "outcome",
                &ATTEMPT_OUTCOMES,
            ),
            delivery_attempt_duration: make.histograms(
                "delivery_attempt_duration_seconds",
                "How long a POST took, by whether it succeeded.",
                "result",
                &["success", "failure"],
            ),
            delivery_queue_wait: make.histogram(
                "delivery_queue_wait_seconds",
                "From a delivery's being ready to the start of its POST.",
                SECONDS,
            ),
            delivery_end_to_end: make.histogram(
                "delivery_end_to_end_seconds",
                "From an event's acceptance to the successful answer of a receiver, retries included.",
                SECONDS,
            ),
            delivery_ended: make.counters("delivery_ended_total", "Deliveries that ended, by how.", "end", &ENDS),
            delivery_in_flight: make.gauge("delivery_in_flight", "POSTs that are being made now."),
            delivery_lanes_held_back: make.gauge(
                "delivery_lanes_held_back",
                "Webhooks that get nothing from this process for the moment, since their receiver said when to ask again.",
            ),
            delivery_ready: make.gauge("delivery_ready", "Deliveries that are ready and wait for a worker."),
            delivery_due: make.gauges(
                "delivery_due",
                "Deliveries that are due later, by reason.",
                "reason",
                &DUE_REASONS,
            ),
            delivery_gated: make.gauge("delivery_gated", "Deliveries that stand behind a gate."),
            delivery_oldest_ready_age: make.float_gauge(
                "delivery_oldest_ready_age_seconds",
                "How long the oldest ready delivery has been waiting for a worker.",
            ),
            delivery_probes: make.counters(
                "delivery_probes_total",
                "Requests made to see whether a webhook works again whose breaker is open, by whether it did.",
                "result",
                &["success", "failure"],
            ),
            gate_changes: make.counters(
                "gate_changes_total",
                "Changes of webhooks' gates that this process made, by what is the reason for the gate since; none: it is down.",
                "reason",
                &GATE_CHANGES,
            ),
            gates_up: make.gauges(
                "gates_up",
                "Webhooks that have a gate up, by its reason, as this process sees them.",
                "reason",
                &GATE_CHANGES[1..],
            ),
            webhooks: make.gauges("webhooks", "Webhooks by state, as this process sees them.", "state", &WEBHOOK_STATES),
            delivery_connections: make.counters(
                "delivery_connections_total",
                "POSTs, those of test deliveries included, by whether they found a kept-alive connection.",
                "connection",
                &CONNECTIONS,
            ),
            delivery_superseded: make.counter(
                "delivery_superseded_total",
                "Settlements that were refused because the lease had been lost to another worker.",
            ),
            operational_events: make.counters_by_two(
                "operational_events_total",
                "Operational events, by type and by what the event log made of them: told, repeated (it had been told), or \
                 failed (nobody is told).",
                ("type", &OPERATIONAL_TYPES),
                ("result", &TOLD),
            ),
            delivery_quarantined: make.counters(
                "delivery_quarantined_total",
                "Deliveries that this process put into quarantine, by reason.",
                "reason",
                &QUARANTINE_REASONS,
            ),
            delivery_in_quarantine: make
                .gauge("delivery_in_quarantine", "Deliveries that are in quarantine and wait for an operator."),
            delivery_overdue: make.gauge(
                "delivery_overdue",
                "Deliveries whose schedules had not fired in time and could not be moved, at this process's last sweep.",
            ),
            delivery_overdue_moved: make.counter(
                "delivery_overdue_moved_total",
                "Deliveries whose schedules had not fired in time, and that this process moved.",
            ),
            dedup_decisions: make.counters(
                "dedup_decisions_total",
                "Claims of deliveries, by the answer.",
                "decision",
                &DEDUP_DECISIONS,
            ),
            delivery_leases_lost: make.counter(
                "delivery_leases_lost_total",
                "Leases that had run out, or gone to another worker, before this process was done with them.",
            ),
            nats_publishes: make.counters_by_two(
                "nats_publishes_total",
                "Messages that were published to JetStream, by stream and by what came of it.",
                ("stream", &STREAMS),
                ("result", &PUBLISH_RESULTS),
            ),
            nats_redeliveries: make.counters(
                "nats_redeliveries_total",
                "Messages that were handed to this process after they had been handed out before, by stream.",
                "stream",
                &REDELIVERED,
            ),
            nats_stream_bytes: make.gauges("nats_stream_bytes", "Bytes in a stream.", "stream", &STREAMS),
            nats_stream_messages: make.gauges("nats_stream_messages", "Messages in a stream.", "stream", &STREAMS),
            nats_store_bytes: make
                .gauge("nats_store_bytes", "Bytes that JetStream keeps on disk for this account, as it says."),
            nats_store_limit_bytes: make
                .gauge("nats_store_limit_bytes", "The most that the account may have there; 0 where it has no limit."),
            nats_consumer_pending: make
                .gauge("nats_consumer_pending", "Ready deliveries that the workers' consumer has not handed out yet."),
            nats_consumer_unacknowledged: make.gauge(
                "nats_consumer_unacknowledged",
                "Deliveries that the workers' consumer has handed out and that are not acknowledged.",
            ),
            nats_reconnects: make.counter("nats_reconnects_total", "How often the connection to NATS was made again."),
            events_oldest_unprocessed_age: make.float_gauge(
                "events_oldest_unprocessed_age_seconds",
                "How long the oldest event that is not fanned out has been in the event log.",
            ),
            partitions: make.gauges("partitions", "Partitions that there are, by what they divide.", "kind", &PARTITIONS),
            partitions_held: make.gauges(
                "partitions_held",
                "Partitions that this process holds; over all processes, those that have a holder.",
                "kind",
                &PARTITIONS,
            ),
            redis_operation_duration: make.histograms(
                "redis_operation_duration_seconds",
                "How long Redis took to answer, or was waited for.",
                "operation",
                &REDIS_OPERATIONS,
            ),
            redis_failures: make.counters(
                "redis_failures_total",
                "Operations that Redis did not answer, or answered with an error.",
                "operation",
                &REDIS_OPERATIONS,
            ),
            redis_reconnects: make
                .counter("redis_reconnects_total", "How often Redis answered again after it had not."),
            queue_commit_batch_size: make.histogram(
                "queue_commit_batch_size",
                "Operations in one commit of the embedded queue.",
                BATCH,
            ),
            queue_commit_duration: make.histogram(
                "queue_commit_duration_seconds",
                "How long one commit of the embedded queue took, with its operations.",
                SECONDS,
            ),
            sqlite_wal_bytes: make.gauges(
                "sqlite_wal_bytes",
                "Size of the write-ahead log, by database.",
                "database",
                &DATABASES,
            ),
            unreadable: make.counters(
                "store_unreadable_total",
                "Events and journal entries that stand in the store and could not be read, so that they were passed over.",
                "what",
                &UNREADABLE,
            ),
            history_entries: make.counter("history_entries_total", "Journal entries applied to the read model."),
            history_lag: make
                .float_gauge("history_lag_seconds", "Age of the last journal entry when the read model applied it."),
            registry: registry.clone(),
        };
        let build = IntGaugeVec::new(Opts::new("fanfare_build_info", "The version that runs, always 1."), &["version"])
            .expect("the name is valid");
        build.with_label_values(&[version]).set(1);
        registry.register(Box::new(build)).expect("the name is distinct");
        if let Some(process) = Process::new() {
            registry.register(Box::new(process)).expect("the names are distinct");
        }
        Self(Arc::new(all))
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "could not encode the metrics");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Makes and registers metrics with the prefix `fanfare_`, each label value present from the start.
struct Maker<'r> {
    registry: &'r Registry,
}

impl Maker<'_> {
    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(format!("fanfare_{name}"), help)
    }

    fn registered<C: prometheus::core::Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let collector = made.expect("the name is valid");
        self.registry.register(Box::new(collector.clone())).expect("the name is distinct");
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.registered(IntCounter::with_opts(Self::opts(name, help)))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.registered(IntGauge::with_opts(Self::opts(name, help)))
    }

    fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.registered(Gauge::with_opts(Self::opts(name, help)))
    }

    fn counters(&self, name: &str, help: &str, label: &str, values: &[&str]) -> IntCounterVec {
        let counters = self.registered(IntCounterVec::new(Self::opts(name, help), &[label]));
        for value in values {
            counters.with_label_values(&[value]);
        }
        counters
    }

    fn counters_by_two(
        &self,
        name: &str,
        help: &str,
        first: (&str, &[&str]),
        second: (&str, &[&str]),
    ) -> IntCounterVec {
        let counters = self.registered(IntCounterVec::new(Self::opts(name, help), &[first.0, second.0]));
        for one in first.1 {
            for two in second.1 {
                counters.with_label_values(&[one, two]);
            }
        }
        counters
    }

    fn gauges(&self, name: &str, help: &str, label: &str, values: &[&str]) -> IntGaugeVec {
        let gauges = self.registered(IntGaugeVec::new(Self::opts(name, help), &[label]));
        for value in values {
            gauges.with_label_values(&[value]);
        }
        gauges
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let opts = HistogramOpts::from(Self::opts(name, help)).buckets(buckets.to_vec());
        self.registered(Histogram::with_opts(opts))
    }

    fn histograms(&self, name: &str, help: &str, label: &str, values: &[&str]) -> HistogramVec {
        let opts = HistogramOpts::from(Self::opts(name, help)).buckets(SECONDS.to_vec());
        let histograms = self.registered(HistogramVec::new(opts, &[label]));
        for value in values {
            histograms.with_label_values(&[value]);
        }
        histograms
    }
}
