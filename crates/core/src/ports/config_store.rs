//! Webhooks, projects, keys, event types; and beside them what the services note about their health and use: records under a key, each with
//! the revision of its last change, changed by compare-and-set, watched whole.
//!
//! The two groups are kept apart because fan-out waits for the configuration alone (promise 2), and health changes much
//! more often.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{StoreError, StoreErrorKind, StoreResult};
use crate::api_key::{ApiKey, KeyUse};
use crate::event::EventType;
use crate::health::Health;
use crate::ids::{ApiKeyId, ProjectId, WebhookId};
use crate::own_type::OwnType;
use crate::project::Project;
use crate::webhook::Webhook;

/// The revision of a group: rises strictly with every change of any record in it. Zero is before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// The groups of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// Webhooks, projects, keys, event types: what owners and operators set.
    Config,
    /// Health and the use of keys: what the services note.
    State,
}

/// A record's key. Its text form has only characters that every engine takes in a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A webhook.
    Webhook(WebhookId),
    /// A project.
    Project(ProjectId),
    /// An API key.
    ApiKey(ApiKeyId),
    /// A project's own event type.
    EventType(ProjectId, EventType),
    /// A webhook's health.
    Health(WebhookId),
    /// When an API key was last used.
    KeyUse(ApiKeyId),
}

impl Key {
    /// The group it belongs to.
    pub fn group(&self) -> Group {
        match self {
            Key::Webhook(_) | Key::Project(_) | Key::ApiKey(_) | Key::EventType(..) => Group::Config,
            Key::Health(_) | Key::KeyUse(_) => Group::State,
        }
    }

    /// Reads the text form back; `None` for a key that this version does not know.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, id) = text.split_once('.')?;
        match kind {
            "webhook" => id.parse().ok().map(Key::Webhook),
            "project" => id.parse().ok().map(Key::Project),
            "api-key" => ulid::Ulid::from_string(id).ok().map(|ulid| Key::ApiKey(ApiKeyId(ulid))),
            // A project's id has no dot.
            "event-type" => {
                let (project, event_type) = id.split_once('.')?;
                Some(Key::EventType(project.parse().ok()?, event_type.parse().ok()?))
            }
            "health" => id.parse().ok().map(Key::Health),
            "key-use" => ulid::Ulid::from_string(id).ok().map(|ulid| Key::KeyUse(ApiKeyId(ulid))),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Webhook(id) => write!(f, "webhook.{id}"),
            Key::Project(id) => write!(f, "project.{id}"),
            Key::ApiKey(id) => write!(f, "api-key.{}", id.0),
            Key::EventType(project, event_type) => write!(f, "event-type.{project}.{event_type}"),
            Key::Health(id) => write!(f, "health.{id}"),
            Key::KeyUse(id) => write!(f, "key-use.{}", id.0),
        }
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "records are handed over one by one; boxing would only cost")]
pub enum Record {
    /// A webhook.
    Webhook(Webhook),
    /// A project.
    Project(Project),
    /// An API key.
    ApiKey(ApiKey),
    /// A project's own event type.
    EventType(OwnType),
    /// A webhook's health.
    Health(Health),
    /// When an API key was last used.
    KeyUse(KeyUse),
}

impl Record {
    /// Its key.
    pub fn key(&self) -> Key {
        match self {
            Record::Webhook(webhook) => Key::Webhook(webhook.id),
            Record::Project(project) => Key::Project(project.id.clone()),
            Record::ApiKey(key) => Key::ApiKey(key.id),
            Record::EventType(own) => Key::EventType(own.project.clone(), own.event_type.clone()),
            Record::Health(health) => Key::Health(health.webhook),
            Record::KeyUse(used) => Key::KeyUse(used.key),
        }
    }

    /// The bytes an engine stores: JSON.
    pub fn encode(&self) -> Vec<u8> {
        let json = match self {
            Record::Webhook(webhook) => serde_json::to_vec(webhook),
            Record::Project(project) => serde_json::to_vec(project),
            Record::ApiKey(key) => serde_json::to_vec(key),
            Record::EventType(own) => serde_json::to_vec(own),
            Record::Health(health) => serde_json::to_vec(health),
            Record::KeyUse(used) => serde_json::to_vec(used),
        };
        json.expect("records are maps with text keys, which always have a JSON form")
    }

    /// Reads the bytes back.
    ///
    /// # Errors
    /// `Corrupt` when they are not such a record.
    pub fn decode(key: &Key, bytes: &[u8]) -> StoreResult<Self> {
        let record = match key {
            Key::Webhook(_) => serde_json::from_slice(bytes).map(Record::Webhook),
            Key::Project(_) => serde_json::from_slice(bytes).map(Record::Project),
            Key::ApiKey(_) => serde_json::from_slice(bytes).map(Record::ApiKey),
            Key::EventType(..) => serde_json::from_slice(bytes).map(Record::EventType),
            Key::Health(_) => serde_json::from_slice(bytes).map(Record::Health),
            Key::KeyUse(_) => serde_json::from_slice(bytes).map(Record::KeyUse),
        };
        record.map_err(|error| StoreError::new(StoreErrorKind::Corrupt, "read a configuration record", error))
    }
}

/// A record with the revision of its last change.
#[derive(Clone, Debug, PartialEq)]
pub struct Versioned {
    /// The revision.
    pub revision: Revision,
    /// The record.
    pub record: Record,
}

/// What must be true for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Anything.
    Any,
    /// There is no such record.
    Absent,
    /// The record's last change is this one.
    At(Revision),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was made, with this revision.
    Done(Revision),
    /// It was not: what was expected is not so. Read again and decide anew.
    Conflict,
}

/// One change, as a watch tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its revision.
    pub revision: Revision,
    /// Which record.
    pub key: Key,
    /// The record as it is now; `None` if it was removed.
    pub record: Option<Record>,
}

/// What a watch says: changes in order of their revision, and how far it has come.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Changes {
    /// The changes; may be empty when only the revision has risen.
    pub changes: Vec<Change>,
    /// Everything up to this revision has been told of.
    pub up_to: Revision,
}

/// The records.
#[async_trait]
pub trait ConfigStore: Send + Sync {
    /// Reads one record, as new as the last change that was answered, by whomever.
    ///
    /// # Errors
    /// When the store does not answer, or the record cannot be read.
    async fn get(&self, key: &Key) -> StoreResult<Option<Versioned>>;

    /// Stores a record if what is expected is so.
    ///
    /// # Errors
    /// When the store does not answer; then it is not known whether the change was made.
    async fn put(&self, record: Record, expected: Expected) -> StoreResult<Changed>;

    /// Removes a record if what is expected is so. Removing what is not there, with `Any`, is done.
    ///
    /// # Errors
    /// When the store does not answer; then it is not known whether the change was made.
    async fn remove(&self, key: &Key, expected: Expected) -> StoreResult<Changed>;

    /// The revision of the group's last change.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn last_revision(&self, group: Group) -> StoreResult<Revision>;

    /// Watches a group: first every record there is, then every change. Several changes of one record that follow each
    /// other quickly may be told as the last of them.
    ///
    /// # Errors
    /// When the store does not answer.
    async fn watch(&self, group: Group) -> StoreResult<Box<dyn Watch>>;
}

impl fmt::Debug for dyn ConfigStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfigStore")
    }
}

/// A watch of one group.
#[async_trait]
pub trait Watch: Send {
    /// Waits for what comes next. The first answer is the whole group as it is.
    ///
    /// # Errors
    /// When the watch cannot go on; then watch anew.
    async fn next(&mut self) -> StoreResult<Changes>;
}
