//! The fields of a project, as create and update read them.

use std::ops::RangeInclusive;

use fanfare_core::egress::parse_network;
use fanfare_core::ids::ProjectId;
use fanfare_core::project::{MAX_EGRESS_NETWORKS, Project, Quotas};
use fanfare_http::Problem;
use ipnet::IpNet;
use serde_json::Value;

use crate::input::body::{kind, member, take, text, truth};
use crate::input::{Given, Object, Wrong};

const SETTABLE: [&str; 5] = ["id", "egress_allow", "secrets_in_reads", "quotas", "strict_event_types"];
const QUOTAS: [&str; 2] = ["events_per_second", "burst"];

/// What the fields are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new project: `id` is required.
    Create,
    /// A change, by JSON merge patch: null resets, and the id stays.
    Update,
}

/// The fields.
#[derive(Debug)]
pub(crate) struct ProjectFields {
    /// Its id.
    pub(crate) id: Given<ProjectId>,
    /// Networks that are not public and may be reached.
    pub(crate) egress_allow: Given<Vec<IpNet>>,
    /// Whether Kapso's API shows secrets in reads.
    secrets_in_reads: Given<bool>,
    /// Events per second.
    events_per_second: Given<u32>,
    /// Events at once.
    burst: Given<u32>,
    /// Whether only known types are accepted.
    strict_event_types: Given<bool>,
}

impl ProjectFields {
    /// Reads all fields and checks each.
    ///
    /// # Errors
    /// 400 with every field that is wrong.
    pub(crate) fn read(object: &Object, purpose: Purpose) -> Result<Self, Problem> {
        let mut fields = Self {
            id: Given::Absent,
            egress_allow: Given::Absent,
            secrets_in_reads: Given::Absent,
            events_per_second: Given::Absent,
            burst: Given::Absent,
            strict_event_types: Given::Absent,
        };
        let mut wrong = Wrong::new();
        for (name, value) in object.fields() {
            let at = member("$", name);
            match name {
                "id" if purpose == Purpose::Update => wrong.at(at, "is read-only"),
                "id" if value.is_null() => wrong.at(at, "must not be null"),
                "id" => fields.id = take(value, &at, &mut wrong, id),
                "egress_allow" => fields.egress_allow = networks(value, &mut wrong),
                "secrets_in_reads" => fields.secrets_in_reads = take(value, &at, &mut wrong, truth),
                "quotas" => fields.read_quotas(value, &mut wrong),
                "strict_event_types" => fields.strict_event_types = take(value, &at, &mut wrong, truth),
                "created_at" => wrong.at(at, "is read-only"),
                name => wrong.unknown(at, name, &SETTABLE),
            }
        }
        if purpose == Purpose::Create && !object.has("id") {
            wrong.at("$.id", "is required");
        }
        wrong.refuse()?;
        Ok(fields)
    }

    fn read_quotas(&mut self, value: &Value, wrong: &mut Wrong) {
        let object = match value {
            Value::Null => {
                (self.events_per_second, self.burst) = (Given::Null, Given::Null);
                return;
            }
            Value::Object(object) => object,
            other => {
                wrong.at("$.quotas", format!("must be an object, not {}", kind(other)));
                return;
            }
        };
        for (name, value) in object {
            let at = member("$.quotas", name);
            match name.as_str() {
                "events_per_second" => {
                    let range = 1..=Quotas::MAX_EVENTS_PER_SECOND;
                    self.events_per_second = take(value, &at, wrong, |value| quota(value, range));
                }
                "burst" => {
                    let range = Quotas::MIN_BURST..=Quotas::MAX_BURST;
                    self.burst = take(value, &at, wrong, |value| quota(value, range));
                }
                name => wrong.unknown(at, name, &QUOTAS),
            }
        }
    }

    /// The project with the fields that are given.
    pub(crate) fn merged(&self, current: &Project) -> Project {
        let quotas = Quotas {
            events_per_second: self.events_per_second.merged(&current.quotas.events_per_second),
            burst: self.burst.merged(&current.quotas.burst),
        };
        let egress_set_by_api = match self.egress_allow {
            Given::Absent => current.egress_set_by_api,
            Given::Null | Given::Value(_) => true,
        };
        let egress_allow = self.egress_allow.merged(&current.egress_allow);
        let secrets_in_reads = self.secrets_in_reads.merged(&current.secrets_in_reads);
        let strict_event_types = self.strict_event_types.merged(&current.strict_event_types);
        Project { egress_allow, egress_set_by_api, secrets_in_reads, quotas, strict_event_types, ..current.clone() }
    }
}

fn id(value: &Value) -> Result<ProjectId, String> {
    ProjectId::new(text(value)?).map_err(|_| format!("must be {}", ProjectId::ALLOWED))
}

fn networks(value: &Value, wrong: &mut Wrong) -> Given<Vec<IpNet>> {
    let items = match value {
        Value::Null => return Given::Null,
        Value::Array(items) if items.len() <= MAX_EGRESS_NETWORKS => items,
        Value::Array(items) => {
            let message = format!("has {} networks; at most {MAX_EGRESS_NETWORKS} are allowed", items.len());
            wrong.at("$.egress_allow", message);
            return Given::Absent;
        }
        other => {
            wrong.at("$.egress_allow", format!("must be an array of networks, not {}", kind(other)));
            return Given::Absent;
        }
    };
    let mut networks = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match text(item).and_then(parse_network) {
            Ok(network) if networks.contains(&network) => {
                wrong.at(format!("$.egress_allow[{index}]"), "is there twice");
            }
            Ok(network) => networks.push(network),
            Err(message) => wrong.at(format!("$.egress_allow[{index}]"), message),
        }
    }
    Given::Value(networks)
}

/// A quota; 0 is as null, the option's.
fn quota(value: &Value, range: RangeInclusive<u32>) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| *number == 0 || range.contains(number)).ok_or_else(|| {
        format!("must be a whole number from {} to {}, or null for the server's default", range.start(), range.end())
    })
}
