//! The projects' own event types, each with its schema compiled once for every change of it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use fanfare_core::event::EventType;
use fanfare_core::ids::ProjectId;
use fanfare_core::own_type::OwnType;
use fanfare_core::ports::config_store::Revision;
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_core::schema::Schema;

use super::Registry;

/// A project's own event type, ready to be checked against.
#[derive(Debug)]
pub struct ServedType {
    /// The record.
    pub own: OwnType,
    /// The revision of its last change.
    pub revision: Revision,
    /// Its compiled schema, if it has one.
    pub schema: Option<Schema>,
}

/// The types.
#[derive(Debug, Default)]
pub(super) struct OwnTypes(HashMap<ProjectId, BTreeMap<EventType, Arc<ServedType>>>);

impl OwnTypes {
    /// Takes one in. A schema is compiled before it is stored, so that one which does not compile is a record that cannot be
    /// read.
    pub(super) fn put(&mut self, own: OwnType, revision: Revision) -> StoreResult<()> {
        let corrupt =
            |message| StoreError::new(StoreErrorKind::Corrupt, "read an event type", format!("schema: {message}"));
        let schema = own.schema.as_ref().map(Schema::compile).transpose().map_err(corrupt)?;
        let (project, event_type) = (own.project.clone(), own.event_type.clone());
        self.0.entry(project).or_default().insert(event_type, Arc::new(ServedType { own, revision, schema }));
        Ok(())
    }

    pub(super) fn remove(&mut self, project: &ProjectId, event_type: &EventType) {
        if let Some(types) = self.0.get_mut(project) {
            types.remove(event_type);
            if types.is_empty() {
                self.0.remove(project);
            }
        }
    }

    /// Forgets the types that are not `kept`.
    pub(super) fn retain(&mut self, kept: impl Fn(&ProjectId, &EventType) -> bool) {
        self.0.retain(|project, types| {
            types.retain(|event_type, _| kept(project, event_type));
            !types.is_empty()
        });
    }
}

impl Registry {
    /// A project's own event type.
    pub fn event_type(&self, project: &ProjectId, event_type: &EventType) -> Option<Arc<ServedType>> {
        self.view.read().types.0.get(project)?.get(event_type).cloned()
    }

    /// A project's own event types after `after`, in order of their names, at most `max`.
    pub fn event_types_of(&self, project: &ProjectId, after: Option<&EventType>, max: usize) -> Vec<Arc<ServedType>> {
        let view = self.view.read();
        let Some(types) = view.types.0.get(project) else { return Vec::new() };
        let from = after.map_or(Unbounded, Excluded);
        types.range::<EventType, _>((from, Unbounded)).take(max).map(|(_, served)| Arc::clone(served)).collect()
    }

    /// How many event types of its own a project has.
    pub fn event_type_count(&self, project: &ProjectId) -> usize {
        self.view.read().types.0.get(project).map_or(0, BTreeMap::len)
    }
}
