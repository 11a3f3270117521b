//! The distributed engine's options: where its servers are, how they are spoken to, what they keep and for how long.

use std::time::Duration;

use fanfare_runtime::Span;
use serde::{Deserialize, Serialize};

/// The distributed engine's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistributedConfig {
    /// How NATS is reached.
    pub nats: NatsConfig,
    /// How Redis is reached.
    pub redis: RedisConfig,
    /// What the names of streams and buckets begin with; in lower case, what subjects and Redis keys begin with. Letters,
    /// digits and `-`. Default `FANFARE`: two installations on one server need two prefixes.
    pub prefix: String,
    /// On how many servers of a NATS cluster each stream is kept, 1 to 5. Default 1: a single server has no more; in a
    /// cluster 3 survives the loss of one.
    pub replicas: usize,
    /// Whether streams that are not as configured are changed at start. Default false: the start fails and says what
    /// differs.
    pub apply: bool,
    /// How long an event id is recognised as a repetition. Default 24h, which is what senders are promised.
    pub event_duplicate_window: Span,
    /// How long a repeated move of a delivery, or a repeated journal entry, is recognised. Default 10m: longer than any
    /// settlement is retried.
    pub duplicate_window: Span,
    /// How many bytes of events are kept; nothing more is accepted when they are used up by unprocessed events. Default
    /// 4294967296 (4 GiB); 0 for no bound. Every kept event takes about 450 bytes of the NATS server's memory beside it.
    pub event_max_bytes: u64,
    /// How long events that have been fanned out are kept for retries and replays. Default 30d.
    pub event_retention: Span,
    /// How many bytes of deliveries, gated ones included, there may be; pushes are refused beyond, since a full store would
    /// keep schedules from firing. Default 8589934592 (8 GiB), twice what events may have; 0 for no bound. A fifth of the
    /// server's store is to stay free beside this and the other bounds: with the defaults it needs 19 GiB.
    pub delivery_high_water_bytes: u64,
    /// How many bytes the journal may have; the oldest entries go first. Default 2147483648 (2 GiB); 0 for no bound.
    pub journal_max_bytes: u64,
    /// How long journal entries are kept. Default 7d: a read model that was away for longer has gaps.
    pub journal_retention: Span,
    /// How many bytes of events that producers published to NATS themselves may wait to be taken in; beyond that the server
    /// refuses what they publish. Default 536870912 (512 MiB); 0 for no bound.
    pub intake_max_bytes: u64,
    /// How many of them may wait for each project and type; beyond that the server refuses what is published there. Default
    /// 100000, 1 or more: one project alone does not take all of the room.
    pub intake_max_messages_per_type: i64,
    /// How many bytes of rejected messages are kept for operators to see; the oldest go first. Default 268435456 (256 MiB); 0
    /// for no bound.
    pub rejected_max_bytes: u64,
    /// How many of them are kept for each project, 1 or more; its oldest go first. Default 1000: one project alone does not take
    /// all of the room.
    pub rejected_max_messages_per_project: i64,
    /// How long rejected messages are kept. Default 7d.
    pub rejected_retention: Span,
    /// How long a lease on a delivery lasts unless it is renewed. Default 10s: three renewals of 3 s fit in.
    pub lease: Span,
    /// How long past its time a schedule is given before the delivery is moved by this engine, since the server has not done
    /// so: it does not when the store was full at that time. Default 60s, 1s or more.
    pub overdue_after: Span,
    /// How often a delivery may be leased at one hop, without being settled, before it goes into quarantine. Default 20: a
    /// worker that is killed or frozen costs one or a few. 1 or more.
    pub quarantine_after: u32,
    /// How long what is in quarantine is kept there. Default 30d.
    pub quarantine_retention: Span,
    /// How many bytes there may be in quarantine; the oldest go first. Default 268435456 (256 MiB); 0 for no
    /// bound.
    pub quarantine_max_bytes: u64,
    /// How many deliveries may be leased at once, over all processes. Default 100000; 1 or more.
    pub max_leased: u32,
    /// Into how many partitions events are divided, 1 to 512. Default 16: that many fan-outs can share the work. It must
    /// be the same in every process, and stay as it is.
    pub partitions: u16,
    /// Into how many partitions gates are divided, 1 to 512. Default 64. It must be the same in every process, and stay as
    /// it is.
    pub gate_partitions: u16,
    /// How long a process that is silent keeps its partitions. Default 5s, 500ms or more: a partition is taken over within
    /// twice that.
    pub partition_lease: Span,
    /// How many published messages may wait for their acknowledgement. Default 4096.
    pub publish_window: usize,
    /// How long a delivery that has ended is remembered, so that a late repetition of it is recognised. Default 24h.
    pub done_retention: Span,
    /// The same for one that ended behind its webhook's gate, of which a copy that a crash left may come up when the webhook
    /// is activated. Default 30d; at least `delivery.hold_max_age`, whatever is set.
    pub gated_done_retention: Span,
    /// How long a delivery that has not ended is remembered by Redis after its last move. Default 35d: longer than any
    /// delivery waits.
    pub live_retention: Span,
}

impl Default for DistributedConfig {
    fn default() -> Self {
        Self {
            nats: NatsConfig::default(),
            redis: RedisConfig::default(),
            prefix: "FANFARE".to_owned(),
            replicas: 1,
            apply: false,
            event_duplicate_window: Span::from_secs(24 * 60 * 60),
            duplicate_window: Span::from_secs(10 * 60),
            event_max_bytes: 4 * 1024 * 1024 * 1024,
            event_retention: Span::from_secs(30 * 24 * 60 * 60),
            delivery_high_water_bytes: 8 * 1024 * 1024 * 1024,
            journal_max_bytes: 2 * 1024 * 1024 * 1024,
            journal_retention: Span::from_secs(7 * 24 * 60 * 60),
            intake_max_bytes: 512 * 1024 * 1024,
            intake_max_messages_per_type: 100_000,
            rejected_max_bytes: 256 * 1024 * 1024,
            rejected_max_messages_per_project: 1000,
            rejected_retention: Span::from_secs(7 * 24 * 60 * 60),
            lease: Span::from_secs(10),
            overdue_after: Span::from_secs(60),
            quarantine_after: 20,
            quarantine_retention: Span::from_secs(30 * 24 * 60 * 60),
            quarantine_max_bytes: 256 * 1024 * 1024,
            max_leased: 100_000,
            partitions: 16,
            gate_partitions: 64,
            partition_lease: Span::from_secs(5),
            publish_window: 4096,
            done_retention: Span::from_secs(24 * 60 * 60),
            gated_done_retention: Span::from_secs(30 * 24 * 60 * 60),
            live_retention: Span::from_secs(35 * 24 * 60 * 60),
        }
    }
}

/// How NATS is reached. At most one of credentials file, nkey and user may be set.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// The servers, comma-separated, such as `nats://10.0.0.1:4222,nats://10.0.0.2:4222`; `tls://` demands TLS. Default
    /// `nats://127.0.0.1:4222`.
    pub urls: String,
    /// A file with a user's JWT and nkey, as NATS' tools write it. Default empty: none.
    pub credentials_file: String,
    /// A file with an nkey's seed. Default empty: none.
    pub nkey_file: String,
    /// A user's name. Default empty: none.
    pub user: String,
    /// That user's password. Default empty.
    pub password: String,
    /// A file with certificates (PEM) to trust instead of the system's. Default empty: none.
    pub ca_file: String,
    /// A file with this client's certificate (PEM). Default empty: none.
    pub cert_file: String,
    /// A file with that certificate's key (PEM). Default empty: none.
    pub key_file: String,
    /// How long one request may take. Default 5s.
    pub timeout: Span,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            urls: "nats://127.0.0.1:4222".to_owned(),
            credentials_file: String::new(),
            nkey_file: String::new(),
            user: String::new(),
            password: String::new(),
            ca_file: String::new(),
            cert_file: String::new(),
            key_file: String::new(),
            timeout: Span::from_secs(5),
        }
    }
}

/// Never shows the password, nor what URLs may have in them.
impl std::fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsConfig")
            .field("credentials_file", &self.credentials_file)
            .field("nkey_file", &self.nkey_file)
            .field("user", &self.user)
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// How Redis is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// One server: `redis://127.0.0.1:6379/0`. The master that Sentinels know by a name:
    /// `redis+sentinel://host:26379,host:26379/name-of-the-master`. A cluster: `redis+cluster://host:6379,host:6379`. With
    /// `rediss` instead of `redis`, TLS. Default `redis://127.0.0.1:6379`.
    pub url: String,
    /// An ACL user's name. Default empty: the one in the URL, or Redis' default user.
    pub user: String,
    /// That user's password; without a user, the server's. Default empty: the one in the URL, or none.
    pub password: String,
    /// The user at the Sentinels themselves. Default empty: their default user.
    pub sentinel_user: String,
    /// The password at the Sentinels themselves. Default empty: none.
    pub sentinel_password: String,
    /// A file with certificates (PEM) to trust instead of the system's. Default empty: none.
    pub ca_file: String,
    /// A file with this client's certificate (PEM), which Redis asks for unless told otherwise. Default empty: none.
    pub cert_file: String,
    /// A file with that certificate's key (PEM). Default empty: none.
    pub key_file: String,
    /// How long one operation may take. Default 1s: deliveries go on without Redis, and should not wait for long.
    pub timeout: Span,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            user: String::new(),
            password: String::new(),
            sentinel_user: String::new(),
            sentinel_password: String::new(),
            ca_file: String::new(),
            cert_file: String::new(),
            key_file: String::new(),
            timeout: Span::from_secs(1),
        }
    }
}

/// Never shows the passwords, nor what the URL may have in it.
impl std::fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisConfig")
            .field("user", &self.user)
            .field("sentinel_user", &self.sentinel_user)
            .field("ca_file", &self.ca_file)
            .field("cert_file", &self.cert_file)
            .field("key_file", &self.key_file)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl DistributedConfig {
    /// What makes no sense, in words; `None` if all is well.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if self.prefix.is_empty() || self.prefix.len() > 32 || !self.prefix.bytes().all(named) {
            return Some("prefix must be 1 to 32 letters, digits and -");
        }
        if !(1..=5).contains(&self.replicas) {
            return Some("replicas must be 1 to 5");
        }
        if ![self.partitions, self.gate_partitions].iter().all(|count| (1..=512).contains(count)) {
            return Some("partitions and gate_partitions must be 1 to 512");
        }
        if self.lease.get() < Duration::from_secs(1) {
            return Some("lease must be at least 1s");
        }
        if self.partition_lease.get() < Duration::from_millis(500) {
            return Some("partition_lease must be at least 500ms");
        }
        if [self.duplicate_window, self.event_duplicate_window]
            .iter()
            .any(|window| window.get() < Duration::from_secs(1))
        {
            return Some("duplicate windows must be at least 1s");
        }
        if self.overdue_after.get() < Duration::from_secs(1) {
            return Some("overdue_after must be at least 1s");
        }
        if self.quarantine_after == 0 {
            return Some("quarantine_after must be at least 1");
        }
        if self.max_leased == 0 || self.publish_window == 0 {
            return Some("max_leased and publish_window must be at least 1");
        }
        if self.nats.timeout.get().is_zero() || self.redis.timeout.get().is_zero() {
            return Some("timeouts must be more than 0ms");
        }
        if self.nats.cert_file.is_empty() != self.nats.key_file.is_empty() {
            return Some("nats.cert_file and nats.key_file belong together: set both or neither");
        }
        if self.redis.cert_file.is_empty() != self.redis.key_file.is_empty() {
            return Some("redis.cert_file and redis.key_file belong together: set both or neither");
        }
        let nats = &self.nats;
        if [&nats.credentials_file, &nats.nkey_file, &nats.user].iter().filter(|way| !way.is_empty()).count() > 1 {
            return Some("nats.credentials_file, nats.nkey_file and nats.user are three ways to log in: set one");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed_and_secrets_are_not_shown() {
        let mut config = DistributedConfig::default();
        assert_eq!(config.refusal(), None);
        config.nats.password = "s3cret".to_owned();
        config.nats.urls = "nats://me:s3cret@localhost".to_owned();
        config.redis.url = "redis://me:s3cret@localhost".to_owned();
        config.redis.password = "s3cret".to_owned();
        config.redis.sentinel_password = "s3cret".to_owned();
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let with = |change: fn(&mut DistributedConfig)| {
            let mut config = DistributedConfig::default();
            change(&mut config);
            config.refusal()
        };
        assert!(with(|config| config.prefix = "a b".to_owned()).is_some());
        assert!(with(|config| config.replicas = 0).is_some());
        assert!(with(|config| config.partitions = 0).is_some());
        assert!(with(|config| config.gate_partitions = 2000).is_some());
        assert!(with(|config| config.lease = Span::from_millis(10)).is_some());
        assert!(with(|config| config.partition_lease = Span::from_millis(10)).is_some());
        assert!(with(|config| config.duplicate_window = Span::from_millis(10)).is_some());
        assert!(with(|config| config.max_leased = 0).is_some());
        assert!(with(|config| config.redis.timeout = Span::from_millis(0)).is_some());
        assert!(with(|config| config.redis.cert_file = "cert.pem".to_owned()).is_some());
        assert!(with(|config| config.nats.key_file = "key.pem".to_owned()).is_some());
        assert!(
            with(|config| {
                config.nats.user = "me".to_owned();
                config.nats.nkey_file = "seed".to_owned();
            })
            .is_some()
        );
    }
}
