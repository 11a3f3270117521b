//! The streams and buckets: how they are to be, and whether the server has them so.
//!
//! What is missing is made. What differs is reported with the difference, and changed only where the operator says so. A
//! limit on the streams that hold deliveries is refused in words of its own: the server would drop deliveries and schedules.

pub(crate) mod layout;

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::{Context, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, SubjectTransform};
use fanfare_core::ports::config_store::Group;

use crate::config::DistributedConfig;
use crate::error::{ConnectError, Difference, Differences};
use crate::names::Names;

/// The most bytes of a published message: an event at its largest, attributes and headers included, and some room.
const MAX_PUBLISHED_BYTES: i32 = 384 * 1024;

/// The consumer that all workers share.
pub(crate) const WORKERS: &str = "workers";

/// A stream as it is to be.
struct Wanted {
    config: Config,
    /// Whether any limit would lose deliveries.
    unlimited: bool,
}

/// Makes or checks every stream, bucket and consumer.
pub(crate) async fn ensure(context: &Context, names: &Names, config: &DistributedConfig) -> Result<(), ConnectError> {
    let wanted = wanted(names, config);
    // All of them before anything is changed.
    for stream in &wanted {
        if let Some(found) = look(context, &stream.config.name).await? {
            layout::check(&found)?;
        }
    }
    for wanted in wanted {
        ensure_stream(context, wanted, config.apply).await?;
    }
    let consumer = pull::Config {
        durable_name: Some(WORKERS.to_owned()),
        filter_subject: names.all_ready(),
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.lease.get(),
        // Unlimited: what is delivered too often is seen to by the engine, not forgotten by the server.
        max_deliver: -1,
        max_ack_pending: i64::from(config.max_leased),
        ..pull::Config::default()
    };
    // Made anew or changed as it is configured: it holds nothing but leases.
    let made = context.create_consumer_on_stream(consumer, names.deliveries()).await;
    made.map(|_| ()).map_err(|error| refused(format!("make the consumer {WORKERS} of {}", names.deliveries()), error))
}

fn wanted(names: &Names, config: &DistributedConfig) -> Vec<Wanted> {
    let base = |name: String, subjects: Vec<String>| Config {
        metadata: layout::marked(HashMap::new()),
        name,
        subjects,
        storage: StorageType::File,
        num_replicas: config.replicas,
        allow_direct: true,
        duplicate_window: config.duplicate_window.get(),
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        ..Config::default()
    };
    let events = Config {
        // Nothing is dropped behind the back of a fan-out that is slow: what is processed is removed by the engine.
        discard: DiscardPolicy::New,
        max_bytes: bound(config.event_max_bytes),
        duplicate_window: config.event_duplicate_window.get(),
        ..base(names.events(), vec![names.all_events()])
    };
    let deliveries = Config {
        retention: RetentionPolicy::WorkQueue,
        allow_message_schedules: true,
        allow_rollup: true,
        ..base(names.deliveries(), vec![names.all_ready(), names.all_due()])
    };
    let gated = base(names.gated(), vec![names.all_gated()]);
    let quarantined = Config {
        // One copy of a delivery, however often a crash has it put there.
        max_messages_per_subject: 1,
        max_age: config.quarantine_retention.get(),
        max_bytes: bound(config.quarantine_max_bytes),
        ..base(names.quarantined(), vec![names.all_quarantined()])
    };
    let journal = Config {
        max_age: config.journal_retention.get(),
        max_bytes: bound(config.journal_max_bytes),
        ..base(names.journal(), vec![names.journal_subject()])
    };
    let intake = Config {
        // A producer hears of it when there is no room, rather than losing what was there before.
        discard: DiscardPolicy::New,
        max_bytes: bound(config.intake_max_bytes),
        // One project alone does not take all of the room.
        max_messages_per_subject: config.intake_max_messages_per_type,
        discard_new_per_subject: true,
        max_message_size: MAX_PUBLISHED_BYTES,
        // The server compares message ids over the stream as a whole: one project's `order-1` would swallow another's, and be
        // acknowledged. So it compares them for the least time that it takes, and the event log does by project.
        duplicate_window: Duration::from_millis(100),
        subject_transform: Some(SubjectTransform { source: names.published(), destination: names.intake_transform() }),
        ..base(names.intake(), vec![names.published()])
    };
    let rejected = Config {
        max_messages_per_subject: config.rejected_max_messages_per_project,
        max_age: config.rejected_retention.get(),
        max_bytes: bound(config.rejected_max_bytes),
        ..base(names.rejected(), vec![names.all_rejected()])
    };
    let bucket = |group| Config {
        max_messages_per_subject: 1,
        discard: DiscardPolicy::New,
        allow_rollup: true,
        deny_delete: true,
        ..base(names.bucket_stream(group), vec![names.key(group, ">")])
    };
    let limited = |config| Wanted { config, unlimited: false };
    let unlimited = |config| Wanted { config, unlimited: true };
    vec![
        limited(events),
        unlimited(deliveries),
        unlimited(gated),
        limited(quarantined),
        limited(journal),
        limited(intake),
        limited(rejected),
        limited(bucket(Group::Config)),
        limited(bucket(Group::State)),
    ]
}

/// A bound as the server takes it: -1 for none.
fn bound(bytes: u64) -> i64 {
    if bytes == 0 { -1 } else { i64::try_from(bytes).unwrap_or(i64::MAX) }
}

async fn ensure_stream(context: &Context, wanted: Wanted, apply: bool) -> Result<(), ConnectError> {
    let name = wanted.config.name.clone();
    let Some(found) = look(context, &name).await? else {
        let made = context.create_stream(wanted.config).await;
        return made.map(|_| ()).map_err(|error| refused(format!("make the stream {name}"), error));
    };
    let differences = differences(&found, &wanted.config);
    if differences.0.is_empty() {
        if layout::is_marked(&found) {
            return Ok(());
        }
        let marked = Config { metadata: layout::marked(found.metadata.clone()), ..found };
        let updated = context.update_stream(marked).await;
        return updated.map(|_| ()).map_err(|error| refused(format!("mark the layout of the stream {name}"), error));
    }
    if apply {
        tracing::warn!(stream = name, %differences, "changing a stream to what is configured");
        let changed = Config {
            description: found.description.clone(),
            metadata: layout::marked(found.metadata.clone()),
            ..wanted.config
        };
        let updated = context.update_stream(changed).await;
        return updated.map(|_| ()).map_err(|error| refused(format!("change the stream {name}"), error));
    }
    let limits = Differences(differences.0.iter().filter(|found| LIMITS.contains(&found.option)).cloned().collect());
    if wanted.unlimited && !limits.0.is_empty() {
        return Err(ConnectError::Limited { stream: name, limits });
    }
    Err(ConnectError::Drifted { stream: name, differences })
}

/// A stream as the server has it, if it does.
async fn look(context: &Context, name: &str) -> Result<Option<Config>, ConnectError> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().config.clone())),
        Err(error) => {
            let missing = matches!(error.kind(), GetStreamErrorKind::JetStream(said) if said.error_code() == ErrorCode::STREAM_NOT_FOUND);
            if missing { Ok(None) } else { Err(refused(format!("look at the stream {name}"), error)) }
        }
    }
}

/// The options by which a server removes or refuses messages.
const LIMITS: [&str; 5] = ["max_bytes", "max_msgs", "max_msgs_per_subject", "max_msg_size", "max_age"];

fn differences(found: &Config, wanted: &Config) -> Differences {
    let unbounded = |limit: i64| if limit <= 0 { -1 } else { limit };
    let size = |limit: i32| unbounded(i64::from(limit));
    let mut list = Vec::new();
    let mut compare = |option: &'static str, found: String, wanted: String| {
        if found != wanted {
            list.push(Difference { option, found, wanted });
        }
    };
    compare("subjects", found.subjects.join(" "), wanted.subjects.join(" "));
    compare("retention", format!("{:?}", found.retention), format!("{:?}", wanted.retention));
    compare("discard", format!("{:?}", found.discard), format!("{:?}", wanted.discard));
    compare("storage", format!("{:?}", found.storage), format!("{:?}", wanted.storage));
    compare("num_replicas", found.num_replicas.to_string(), wanted.num_replicas.to_string());
    compare("duplicate_window", format!("{:?}", found.duplicate_window), format!("{:?}", wanted.duplicate_window));
    compare("max_bytes", unbounded(found.max_bytes).to_string(), unbounded(wanted.max_bytes).to_string());
    compare("max_msgs", unbounded(found.max_messages).to_string(), unbounded(wanted.max_messages).to_string());
    let per_subject = |config: &Config| unbounded(config.max_messages_per_subject).to_string();
    compare("max_msgs_per_subject", per_subject(found), per_subject(wanted));
    compare("max_msg_size", size(found.max_message_size).to_string(), size(wanted.max_message_size).to_string());
    compare("max_age", format!("{:?}", found.max_age), format!("{:?}", wanted.max_age));
    let refuses = |config: &Config| config.discard_new_per_subject.to_string();
    compare("discard_new_per_subject", refuses(found), refuses(wanted));
    let transform = |config: &Config| {
        let shown = |transform: &SubjectTransform| format!("{} to {}", transform.source, transform.destination);
        config.subject_transform.as_ref().map_or_else(|| "none".to_owned(), shown)
    };
    compare("subject_transform", transform(found), transform(wanted));
    compare("allow_direct", found.allow_direct.to_string(), wanted.allow_direct.to_string());
    compare("allow_rollup_hdrs", found.allow_rollup.to_string(), wanted.allow_rollup.to_string());
    let schedules = |config: &Config| config.allow_message_schedules.to_string();
    compare("allow_msg_schedules", schedules(found), schedules(wanted));
    Differences(list)
}

fn refused(doing: String, source: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
    ConnectError::JetStream { doing, source: Box::new(source) }
}
