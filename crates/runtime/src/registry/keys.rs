//! API keys and projects of the registry, and what they are looked up by.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use fanfare_core::api_key::{ApiKey, KeyHash, Scope};
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::{ApiKeyId, ProjectId};

use super::{Registry, ServedProject};

/// The keys.
#[derive(Debug, Default)]
pub(super) struct Keys {
    by_id: HashMap<ApiKeyId, Arc<ApiKey>>,
    by_bucket: HashMap<u64, Vec<ApiKeyId>>,
    by_project: HashMap<ProjectId, BTreeSet<ApiKeyId>>,
}

impl Keys {
    pub(super) fn put(&mut self, key: ApiKey) {
        self.remove(key.id);
        self.by_bucket.entry(key.hash.bucket()).or_default().push(key.id);
        self.by_project.entry(key.project.clone()).or_default().insert(key.id);
        self.by_id.insert(key.id, Arc::new(key));
    }

    pub(super) fn remove(&mut self, id: ApiKeyId) {
        let Some(key) = self.by_id.remove(&id) else { return };
        if let Some(ids) = self.by_bucket.get_mut(&key.hash.bucket()) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_bucket.remove(&key.hash.bucket());
            }
        }
        if let Some(ids) = self.by_project.get_mut(&key.project) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_project.remove(&key.project);
            }
        }
    }

    /// Forgets the keys that are not `kept`.
    pub(super) fn retain(&mut self, kept: impl Fn(ApiKeyId) -> bool) {
        let gone: Vec<_> = self.by_id.keys().copied().filter(|id| !kept(*id)).collect();
        gone.into_iter().for_each(|id| self.remove(id));
    }

    pub(super) fn with_text(&self, text: &str) -> Option<Arc<ApiKey>> {
        let hash = KeyHash::of(text);
        let candidates = self.by_bucket.get(&hash.bucket())?;
        candidates.iter().filter_map(|id| self.by_id.get(id)).find(|key| key.hash.matches(&hash)).cloned()
    }

    fn of_project<'k>(
        &'k self,
        project: &ProjectId,
        after: Option<ApiKeyId>,
    ) -> impl Iterator<Item = &'k Arc<ApiKey>> + use<'k> {
        let from = after.map_or(Unbounded, Excluded);
        let ids = self.by_project.get(project).into_iter().flat_map(move |ids| ids.range((from, Unbounded)));
        ids.filter_map(|id| self.by_id.get(id))
    }
}

impl Registry {
    /// A project.
    pub fn project(&self, id: &ProjectId) -> Option<Arc<ServedProject>> {
        self.view.read().projects.get(id).cloned()
    }

    /// The projects after `after`, in order of their id, at most `max`.
    pub fn projects(&self, after: Option<&ProjectId>, max: usize) -> Vec<Arc<ServedProject>> {
        let from = after.map_or(Unbounded, Excluded);
        let view = self.view.read();
        view.projects.range::<ProjectId, _>((from, Unbounded)).take(max).map(|(_, served)| Arc::clone(served)).collect()
    }

    /// How many projects there are.
    pub fn project_count(&self) -> usize {
        self.view.read().projects.len()
    }

    /// The key whose text this is, compared in constant time.
    pub fn api_key(&self, text: &str) -> Option<Arc<ApiKey>> {
        self.view.read().keys.with_text(text)
    }

    /// The key with this id.
    pub fn api_key_with_id(&self, id: ApiKeyId) -> Option<Arc<ApiKey>> {
        self.view.read().keys.by_id.get(&id).cloned()
    }

    /// The keys of a project after `after`, in order of their id, at most `max`.
    pub fn api_keys_of(&self, project: &ProjectId, after: Option<ApiKeyId>, max: usize) -> Vec<Arc<ApiKey>> {
        self.view.read().keys.of_project(project, after).take(max).cloned().collect()
    }

    /// How many keys a project has.
    pub fn api_key_count(&self, project: &ProjectId) -> usize {
        self.view.read().keys.by_project.get(project).map_or(0, BTreeSet::len)
    }

    /// Whether a project has a key beside this one that may manage.
    pub fn has_other_manage_key(&self, project: &ProjectId, than: ApiKeyId) -> bool {
        let view = self.view.read();
        view.keys.of_project(project, None).any(|key| key.id != than && key.scopes.contains(&Scope::Manage))
    }

    /// When a key was last used, as far as this process knows: exact for requests to itself, up to a minute behind for those
    /// to others.
    pub fn key_last_used(&self, id: ApiKeyId) -> Option<Timestamp> {
        let stored = self.view.read().key_uses.get(&id).map(|(used, _)| used.last_used_at);
        stored.max(self.uses.noted(id))
    }

    /// Keys whose use is stored and that are not here: their deletion was cut off, or their record is yet to come.
    pub fn stray_key_uses(&self) -> Vec<ApiKeyId> {
        let view = self.view.read();
        view.key_uses.keys().filter(|id| !view.keys.by_id.contains_key(id)).copied().collect()
    }
}
