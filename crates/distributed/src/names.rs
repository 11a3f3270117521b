//! What streams, buckets, subjects and keys are called, and which partition something falls into.
//!
//! All begin with the configured prefix. Ids in subjects are those that have no dot, space or wildcard in them; what may
//! have, such as an event's id, is hashed.

use fanfare_core::clock::Timestamp;
use fanfare_core::delivery::DueReason;
use fanfare_core::ids::{DeliveryId, EventId, Hop, ProjectId, WebhookId};
use fanfare_core::ports::config_store::Group;
use sha2::{Digest, Sha256};

/// Into how many partitions the intake is divided: that many ingests can share the work.
pub(crate) const INTAKE_PARTITIONS: u16 = 8;

/// The names of one installation.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    upper: String,
    lower: String,
    partitions: u16,
    gate_partitions: u16,
}

impl Names {
    pub(crate) fn new(prefix: &str, partitions: u16, gate_partitions: u16) -> Self {
        Self { upper: prefix.to_owned(), lower: prefix.to_ascii_lowercase(), partitions, gate_partitions }
    }

    pub(crate) fn events(&self) -> String {
        format!("{}_EVENTS", self.upper)
    }

    pub(crate) fn deliveries(&self) -> String {
        format!("{}_DELIVERIES", self.upper)
    }

    pub(crate) fn gated(&self) -> String {
        format!("{}_GATED", self.upper)
    }

    pub(crate) fn quarantined(&self) -> String {
        format!("{}_QUARANTINE", self.upper)
    }

    /// The pattern of everything in quarantine.
    pub(crate) fn all_quarantined(&self) -> String {
        format!("{}.quarantine.>", self.lower)
    }

    /// The pattern of what is in quarantine of one webhook.
    pub(crate) fn quarantine_of(&self, webhook: WebhookId) -> String {
        format!("{}.quarantine.{webhook}.*", self.lower)
    }

    pub(crate) fn quarantine(&self, webhook: WebhookId, delivery: DeliveryId) -> String {
        format!("{}.quarantine.{webhook}.{delivery}", self.lower)
    }

    /// The subject of a copy of which not even the delivery is known.
    pub(crate) fn quarantine_unknown(&self, sequence: u64) -> String {
        format!("{}.quarantine.unknown.{sequence}", self.lower)
    }

    /// The webhook in the subject of something ready, due or gated.
    pub(crate) fn webhook_of(&self, subject: &str) -> Option<WebhookId> {
        let mut tokens = subject.strip_prefix(self.lower.as_str())?.strip_prefix('.')?.split('.');
        match tokens.next()? {
            "ready" => tokens.next()?.parse().ok(),
            "gated" => tokens.nth(1)?.parse().ok(),
            "due" => tokens.nth(3)?.parse().ok(),
            _ => None,
        }
    }

    /// Every stream, with what metrics call it.
    pub(crate) fn streams(&self) -> [(&'static str, String); 9] {
        [
            ("intake", self.intake()),
            ("rejected", self.rejected()),
            ("events", self.events()),
            ("deliveries", self.deliveries()),
            ("gated", self.gated()),
            ("quarantine", self.quarantined()),
            ("journal", self.journal()),
            ("config", self.bucket_stream(Group::Config)),
            ("state", self.bucket_stream(Group::State)),
        ]
    }

    /// What metrics call the stream that a subject belongs to.
    pub(crate) fn stream_of(&self, subject: &str) -> &'static str {
        if let Some(key) = subject.strip_prefix("$KV.") {
            return if key.starts_with(&format!("{}.", self.bucket(Group::Config))) { "config" } else { "state" };
        }
        let branch = subject.strip_prefix(self.lower.as_str()).and_then(|rest| rest.split('.').nth(1));
        match branch.unwrap_or_default() {
            "accepted" => "events",
            "events" | "intake" => "intake",
            "rejected" => "rejected",
            "gated" => "gated",
            "quarantine" => "quarantine",
            "journal" => "journal",
            _ => "deliveries",
        }
    }

    pub(crate) fn journal(&self) -> String {
        format!("{}_JOURNAL", self.upper)
    }

    /// What producers published themselves.
    pub(crate) fn intake(&self) -> String {
        format!("{}_INTAKE", self.upper)
    }

    /// What of it was no event.
    pub(crate) fn rejected(&self) -> String {
        format!("{}_REJECTED", self.upper)
    }

    /// The stream of a bucket.
    pub(crate) fn bucket_stream(&self, group: Group) -> String {
        format!("KV_{}", self.bucket(group))
    }

    fn bucket(&self, group: Group) -> String {
        let name = match group {
            Group::Config => "CONFIG",
            Group::State => "STATE",
        };
        format!("{}_{name}", self.upper)
    }

    /// The subject of a key in a bucket, or of all keys that a pattern matches.
    pub(crate) fn key(&self, group: Group, key: &str) -> String {
        format!("$KV.{}.{key}", self.bucket(group))
    }

    /// The subject of a record. Records have a branch of their own in both buckets: what the services share among themselves
    /// is in the second one beside it, and none of a watch's business.
    pub(crate) fn record(&self, group: Group, key: &str) -> String {
        self.key(group, &format!("record.{key}"))
    }

    /// The pattern of the records in a bucket.
    pub(crate) fn records(&self, group: Group) -> String {
        self.record(group, ">")
    }

    /// The pattern of all accepted events.
    pub(crate) fn all_events(&self) -> String {
        format!("{}.accepted.>", self.lower)
    }

    /// The pattern of a partition's events.
    pub(crate) fn partition(&self, partition: u16) -> String {
        format!("{}.accepted.{partition}.>", self.lower)
    }

    /// The pattern of a project's events in a partition.
    pub(crate) fn partition_of_project(&self, partition: u16, project: &ProjectId) -> String {
        format!("{}.accepted.{partition}.{project}.*", self.lower)
    }

    /// An event's own subject.
    pub(crate) fn event(&self, partition: u16, project: &ProjectId, id: &EventId) -> String {
        format!("{}.accepted.{partition}.{project}.{}", self.lower, event_hash(project, id))
    }

    /// The pattern that an event's subject matches, whatever its ordering key.
    pub(crate) fn event_anywhere(&self, project: &ProjectId, id: &EventId) -> String {
        format!("{}.accepted.*.{project}.{}", self.lower, event_hash(project, id))
    }

    /// The partition of a project's ordering key: what has the same stays in order.
    pub(crate) fn partition_of(&self, project: &ProjectId, ordering_key: &str) -> u16 {
        let digest = digest(&[project.as_str().as_bytes(), ordering_key.as_bytes()]);
        bucket_of(&digest, self.partitions)
    }

    pub(crate) fn partitions(&self) -> u16 {
        self.partitions
    }

    pub(crate) fn gate_partitions(&self) -> u16 {
        self.gate_partitions
    }

    /// The pattern of everything ready.
    pub(crate) fn all_ready(&self) -> String {
        format!("{}.ready.>", self.lower)
    }

    pub(crate) fn ready(&self, webhook: WebhookId, delivery: DeliveryId) -> String {
        format!("{}.ready.{webhook}.{delivery}", self.lower)
    }

    /// The pattern of everything due later.
    pub(crate) fn all_due(&self) -> String {
        format!("{}.due.>", self.lower)
    }

    /// The pattern of everything due later for one reason.
    pub(crate) fn due_because(&self, reason: DueReason) -> String {
        format!("{}.due.{}.>", self.lower, reason_name(reason))
    }

    /// The subject of a schedule. No two hops share one: a schedule replaces what stands on its subject.
    /// It says in which hour and minute it falls due, so that those that are overdue are found.
    pub(crate) fn due(
        &self,
        reason: DueReason,
        at: Timestamp,
        webhook: WebhookId,
        delivery: DeliveryId,
        hop: Hop,
    ) -> String {
        let (reason, hour, minute) = (reason_name(reason), due_hour(at), due_minute(at));
        format!("{}.due.{reason}.{hour}.{minute}.{webhook}.{delivery}.{hop}", self.lower)
    }

    /// The pattern of everything that falls due in an hour.
    pub(crate) fn due_in_hour(&self, hour: u64) -> String {
        format!("{}.due.*.{hour}.>", self.lower)
    }

    /// The pattern of everything that falls due in a minute.
    pub(crate) fn due_in_minute(&self, minute: u64) -> String {
        format!("{}.due.*.{}.{minute}.>", self.lower, minute / 60)
    }

    /// The pattern of a delivery's schedules.
    pub(crate) fn due_anytime(&self, webhook: WebhookId, delivery: DeliveryId) -> String {
        format!("{}.due.*.*.*.{webhook}.{delivery}.*", self.lower)
    }

    /// The pattern of everything behind gates.
    pub(crate) fn all_gated(&self) -> String {
        format!("{}.gated.>", self.lower)
    }

    /// The pattern of everything behind the gates of a partition.
    pub(crate) fn gate_partition(&self, partition: u16) -> String {
        format!("{}.gated.{partition}.*", self.lower)
    }

    /// The partition that a webhook's gate is in.
    pub(crate) fn gate_partition_of(&self, webhook: WebhookId) -> u16 {
        bucket_of(&digest(&[webhook.as_bytes()]), self.gate_partitions)
    }

    /// The subject of everything behind a webhook's gate.
    pub(crate) fn gate(&self, webhook: WebhookId) -> String {
        format!("{}.gated.{}.{webhook}", self.lower, self.gate_partition_of(webhook))
    }

    /// The pattern of what producers may publish: a project, and an event's type in as many tokens as it has segments.
    pub(crate) fn published(&self) -> String {
        format!("{}.events.*.>", self.lower)
    }

    /// The pattern of what was published under a subject with a wildcard in it: the server takes it, and does not divide it.
    pub(crate) fn undivided(&self) -> String {
        format!("{}.events.>", self.lower)
    }

    /// The subject under which something was published.
    pub(crate) fn published_under(&self, project: &str, event_type: &str) -> String {
        format!("{}.events.{project}.{event_type}", self.lower)
    }

    /// What the server makes of the subject of a published message: the partition of its project comes first.
    pub(crate) fn intake_transform(&self) -> String {
        format!("{}.intake.{{{{partition({},1)}}}}.{{{{wildcard(1)}}}}.>", self.lower, INTAKE_PARTITIONS)
    }

    /// The pattern of a partition of the intake.
    pub(crate) fn intake_partition(&self, partition: u16) -> String {
        format!("{}.intake.{partition}.>", self.lower)
    }

    /// The pattern of a project's messages in a partition of the intake.
    pub(crate) fn intake_project(&self, partition: u16, project: &str) -> String {
        format!("{}.intake.{partition}.{project}.>", self.lower)
    }

    /// The project and the event's type in the subject of a message in the intake. A subject that has a wildcard in it, which the
    /// server lets through, is there as it was published.
    pub(crate) fn published_as<'s>(&self, subject: &'s str) -> Option<(&'s str, &'s str)> {
        let rest = subject.strip_prefix(&*self.lower)?;
        if let Some(published) = rest.strip_prefix(".events.") {
            return published.split_once('.');
        }
        let (_, rest) = rest.strip_prefix(".intake.")?.split_once('.')?;
        rest.split_once('.')
    }

    /// The project of whose messages in its partition this is one, by its subject; `None` if that names no project that could
    /// exist, or is not divided into the partitions.
    pub(crate) fn line_of<'s>(&self, subject: &'s [u8]) -> Option<&'s str> {
        let rest = subject.strip_prefix(self.lower.as_bytes())?.strip_prefix(b".intake.")?;
        let project = rest.split(|byte| *byte == b'.').nth(1)?;
        std::str::from_utf8(project).ok().filter(|project| ProjectId::new(*project).is_ok())
    }

    /// The project in the subject of an accepted event.
    pub(crate) fn accepted_project<'s>(&self, subject: &'s str) -> Option<&'s str> {
        subject.strip_prefix(&*self.lower)?.strip_prefix(".accepted.")?.split('.').nth(1)
    }

    /// The pattern of everything rejected.
    pub(crate) fn all_rejected(&self) -> String {
        format!("{}.rejected.*", self.lower)
    }

    /// The subject of what was rejected of a project, or of what names none that could exist.
    pub(crate) fn rejected_of(&self, project: &str) -> String {
        let project = if ProjectId::new(project).is_ok() { project } else { "~" };
        format!("{}.rejected.{project}", self.lower)
    }

    pub(crate) fn journal_subject(&self) -> String {
        format!("{}.journal", self.lower)
    }

    /// The Redis key of a delivery; the braces keep all keys of one delivery on one server of a cluster.
    pub(crate) fn redis_key(&self, delivery: DeliveryId) -> String {
        format!("{}:delivery:{{{delivery}}}", self.lower)
    }
}

/// The webhook in the subject of something gated.
pub(crate) fn gated_webhook(subject: &str) -> Option<WebhookId> {
    subject.rsplit('.').next()?.parse().ok()
}

/// The hour that a time falls into, counted from 1970.
pub(crate) fn due_hour(at: Timestamp) -> u64 {
    due_minute(at) / 60
}

/// The minute that a time falls into, counted from 1970.
pub(crate) fn due_minute(at: Timestamp) -> u64 {
    u64::try_from(at.as_seconds() / 60).unwrap_or(0)
}

fn reason_name(reason: DueReason) -> &'static str {
    match reason {
        DueReason::Retry => "retry",
        DueReason::RetryAfter => "retry-after",
        DueReason::Congested => "congested",
    }
}

/// SHA-256 over the parts, each with its length, so that no two lists of parts run into one another.
fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn bucket_of(digest: &[u8; 32], buckets: u16) -> u16 {
    let [a, b, c, d, ..] = *digest;
    let spread = u32::from_be_bytes([a, b, c, d]) % u32::from(buckets.max(1));
    // Less than the number of buckets, which is a u16.
    u16::try_from(spread).unwrap_or(u16::MAX)
}

fn event_hash(project: &ProjectId, id: &EventId) -> String {
    let digest = digest(&[project.as_str().as_bytes(), id.as_str().as_bytes()]);
    let (half, _) = digest.split_first_chunk().expect("32 bytes have 16");
    format!("{:032x}", u128::from_be_bytes(*half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Names {
        Names::new("FANFARE", 16, 64)
    }

    proptest! {
        #[test]
        fn subjects_are_tokens_whatever_the_event_is_called(id in "[!-~]{1,256}", key in ".{0,64}") {
            let (project, id) = (ProjectId::new("shop").unwrap(), EventId::new(id).unwrap());
            let partition = names().partition_of(&project, &key);
            prop_assert!(partition < 16);
            let subject = names().event(partition, &project, &id);
            prop_assert_eq!(subject.split('.').count(), 5);
            prop_assert!(subject.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-'));
        }
    }

    #[test]
    fn projects_do_not_share_the_subject_of_an_event_id() {
        let id = EventId::new("order-1").unwrap();
        let (one, two) = (ProjectId::new("one").unwrap(), ProjectId::new("two").unwrap());
        assert_ne!(names().event(0, &one, &id), names().event(0, &two, &id));
    }

    #[test]
    fn the_project_and_the_type_are_read_back_from_the_subject_of_what_was_published() {
        assert_eq!(names().published_as("fanfare.intake.3.shop.order.paid"), Some(("shop", "order.paid")));
        assert_eq!(names().published_as("fanfare.intake.3.shop.x"), Some(("shop", "x")));
        assert_eq!(names().published_as("fanfare.intake.3.shop"), None);
        assert_eq!(names().published_as("fanfare.events.*.x"), Some(("*", "x")));
        assert_eq!(names().line_of(b"fanfare.intake.3.shop.x.\xff"), Some("shop"));
        for none in [&b"fanfare.intake.3.sh\xffop.x"[..], b"fanfare.events.shop.*", b"fanfare.intake.3.>.x"] {
            assert_eq!(names().line_of(none), None);
        }
        assert_eq!(names().rejected_of("*"), "fanfare.rejected.~");
    }

    #[test]
    fn a_schedule_is_found_by_its_minute_and_its_hour_and_says_its_webhook() {
        let (webhook, delivery) = (WebhookId::from_bytes([1; 16]), DeliveryId::from_bytes([2; 16]));
        let at = Timestamp::from_seconds(7_321);
        let subject = names().due(DueReason::RetryAfter, at, webhook, delivery, Hop(3));
        assert_eq!((due_hour(at), due_minute(at)), (2, 122));
        let matches = |pattern: String| {
            let (pattern, tail) = pattern.strip_suffix('>').map_or((pattern.as_str(), false), |start| (start, true));
            let wanted: Vec<&str> = pattern.trim_end_matches('.').split('.').collect();
            let found: Vec<&str> = subject.split('.').collect();
            (tail || wanted.len() == found.len()) && wanted.iter().zip(&found).all(|(w, f)| *w == "*" || w == f)
        };
        assert!(matches(names().due_in_hour(2)) && matches(names().due_in_minute(122)));
        assert!(!matches(names().due_in_hour(3)) && !matches(names().due_in_minute(121)));
        assert!(matches(names().due_anytime(webhook, delivery)));
        assert_eq!(names().webhook_of(&subject), Some(webhook));
    }

    #[test]
    fn every_subject_is_counted_for_its_stream() {
        let (names, webhook, delivery) = (names(), WebhookId::from_bytes([1; 16]), DeliveryId::from_bytes([2; 16]));
        let (project, id) = (ProjectId::new("shop").unwrap(), EventId::new("order-1").unwrap());
        let subjects = [
            ("events", names.event(3, &project, &id)),
            ("deliveries", names.ready(webhook, delivery)),
            ("deliveries", names.due(DueReason::Retry, Timestamp::EPOCH, webhook, delivery, Hop(1))),
            ("rejected", names.rejected_of("shop")),
            ("gated", names.gate(webhook)),
            ("quarantine", names.quarantine(webhook, delivery)),
            ("journal", names.journal_subject()),
            ("config", names.record(Group::Config, "webhook.x")),
            ("state", names.key(Group::State, "position.events.1")),
        ];
        for (stream, subject) in subjects {
            assert_eq!(names.stream_of(&subject), stream, "{subject}");
        }
    }

    #[test]
    fn the_webhook_is_read_back_from_the_subject_of_its_gate() {
        let webhook: WebhookId = "0199e1a0-0000-7000-8000-000000000000".parse().unwrap();
        assert_eq!(gated_webhook(&names().gate(webhook)), Some(webhook));
    }
}
