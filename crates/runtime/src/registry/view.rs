//! The registry's records in memory, with what they are looked up by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fanfare_core::api_key::KeyUse;
use fanfare_core::egress::EgressPolicy;
use fanfare_core::event::EventHeader;
use fanfare_core::health::{Gate, GateReason, WebhookState};
use fanfare_core::ids::{ApiKeyId, ProjectId, WebhookId};
use fanfare_core::matching::MatchIndex;
use fanfare_core::ports::config_store::{Change, Changes, Group, Key, Record, Revision};
use fanfare_core::ports::{StoreError, StoreErrorKind};
use fanfare_core::request::{PreviousSigning, RequestTemplate, check_own_header};
use fanfare_core::seal::{Sealed, SealingKey};
use fanfare_core::secret::Secret;
use fanfare_core::signature::SigningKey;
use fanfare_core::webhook::Webhook;

use super::keys::Keys;
use super::own_types::OwnTypes;
use super::{RegistryError, ServedHealth, ServedProject, ServedWebhook, Standing};

#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) webhooks: HashMap<WebhookId, Arc<ServedWebhook>>,
    pub(super) projects: BTreeMap<ProjectId, Arc<ServedProject>>,
    pub(super) health: HashMap<WebhookId, Arc<ServedHealth>>,
    /// The webhooks whose gate is being worked off.
    pub(super) worked_off: BTreeSet<WebhookId>,
    pub(super) config_revision: Revision,
    pub(super) keys: Keys,
    pub(super) types: OwnTypes,
    pub(super) key_uses: HashMap<ApiKeyId, (KeyUse, Revision)>,
    by_project: HashMap<ProjectId, BTreeSet<WebhookId>>,
    /// Each target with its webhooks: those made through Kapso's API may share one.
    by_target: BTreeSet<(Target, WebhookId)>,
    index: MatchIndex,
}

/// What no two webhooks of a project share that are made through `/v1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    project: ProjectId,
    source: Option<String>,
    url: String,
}

impl Target {
    fn of(webhook: &Webhook) -> Self {
        Self {
            project: webhook.project.clone(),
            source: webhook.source.as_ref().map(|source| source.as_str().to_owned()),
            url: webhook.url.as_str().to_owned(),
        }
    }
}

impl View {
    /// Takes one change.
    pub(super) fn apply(&mut self, change: Change, key: &SealingKey) -> Result<(), RegistryError> {
        match (change.key, change.record) {
            (Key::Webhook(id), None) => self.remove_webhook(id),
            (Key::Webhook(_), Some(Record::Webhook(webhook))) => self.put_webhook(webhook, change.revision, key)?,
            (Key::Project(id), None) => {
                self.projects.remove(&id);
            }
            (Key::Project(id), Some(Record::Project(project))) => {
                let egress = EgressPolicy::new(&project.egress_allow);
                let served = ServedProject { project, revision: change.revision, egress };
                self.projects.insert(id, Arc::new(served));
            }
            (Key::ApiKey(id), None) => self.keys.remove(id),
            (Key::ApiKey(_), Some(Record::ApiKey(api_key))) => self.keys.put(api_key),
            (Key::EventType(project, event_type), None) => self.types.remove(&project, &event_type),
            (Key::EventType(..), Some(Record::EventType(own))) => self.types.put(own, change.revision)?,
            (Key::KeyUse(id), None) => {
                self.key_uses.remove(&id);
            }
            (Key::KeyUse(id), Some(Record::KeyUse(used))) => {
                self.key_uses.insert(id, (used, change.revision));
            }
            (Key::Health(id), None) => {
                self.health.remove(&id);
                self.worked_off.remove(&id);
            }
            (Key::Health(id), Some(Record::Health(health))) => {
                if health.gate.as_ref().is_some_and(|gate| gate.reason().is_worked_off()) {
                    self.worked_off.insert(id);
                } else {
                    self.worked_off.remove(&id);
                }
                self.health.insert(id, Arc::new(ServedHealth { health, revision: change.revision }));
            }
            (key, Some(_)) => {
                let mismatch = format!("the record under {key} is of another kind");
                return Err(StoreError::new(StoreErrorKind::Corrupt, "read a configuration record", mismatch).into());
            }
        }
        Ok(())
    }

    /// Before a whole group is told anew: forgets what is no longer in it.
    pub(super) fn forget_all_but(&mut self, group: Group, changes: &Changes) {
        let told: std::collections::HashSet<&Key> = changes.changes.iter().map(|change| &change.key).collect();
        match group {
            Group::Config => {
                let gone: Vec<_> =
                    self.webhooks.keys().copied().filter(|id| !told.contains(&Key::Webhook(*id))).collect();
                gone.into_iter().for_each(|id| self.remove_webhook(id));
                self.keys.retain(|id| told.contains(&Key::ApiKey(id)));
                self.types.retain(|project, name| told.contains(&Key::EventType(project.clone(), name.clone())));
                self.projects.retain(|id, _| told.contains(&Key::Project(id.clone())));
            }
            Group::State => {
                self.health.retain(|id, _| told.contains(&Key::Health(*id)));
                self.worked_off.retain(|id| told.contains(&Key::Health(*id)));
                self.key_uses.retain(|id, _| told.contains(&Key::KeyUse(*id)));
            }
        }
    }

    fn put_webhook(&mut self, webhook: Webhook, revision: Revision, key: &SealingKey) -> Result<(), RegistryError> {
        let template = open_template(&webhook, key)?;
        self.remove_webhook(webhook.id);
        self.by_project.entry(webhook.project.clone()).or_default().insert(webhook.id);
        self.by_target.insert((Target::of(&webhook), webhook.id));
        self.index.insert(&webhook);
        self.webhooks.insert(webhook.id, Arc::new(ServedWebhook { webhook, revision, template }));
        Ok(())
    }

    fn remove_webhook(&mut self, id: WebhookId) {
        let Some(served) = self.webhooks.remove(&id) else {
            return;
        };
        self.index.remove(id);
        self.by_target.remove(&(Target::of(&served.webhook), id));
        if let Some(ids) = self.by_project.get_mut(&served.webhook.project) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_project.remove(&served.webhook.project);
            }
        }
    }

    pub(super) fn webhooks_of(
        &self,
        project: &ProjectId,
        after: Option<WebhookId>,
        max: usize,
    ) -> Vec<Arc<ServedWebhook>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let Some(ids) = self.by_project.get(project) else {
            return Vec::new();
        };
        let from = after.map_or(Unbounded, Excluded);
        ids.range((from, Unbounded)).take(max).filter_map(|id| self.webhooks.get(id).cloned()).collect()
    }

    pub(super) fn webhook_count(&self, project: &ProjectId) -> usize {
        self.by_project.get(project).map_or(0, BTreeSet::len)
    }

    pub(super) fn webhook_at(&self, project: &ProjectId, source: Option<&str>, url: &str) -> Option<WebhookId> {
        let target = Target { project: project.clone(), source: source.map(str::to_owned), url: url.to_owned() };
        let from = (target, WebhookId::from_bytes([0; 16]));
        self.by_target.range(&from..).next().filter(|(found, _)| *found == from.0).map(|(_, id)| *id)
    }

    /// The webhooks that are subscribed to the event's type and source; whether their filters match is not asked.
    pub(super) fn subscribed(&self, event: &EventHeader) -> Vec<Arc<ServedWebhook>> {
        let mut found = Vec::new();
        self.index.matches(event, &mut found);
        found.iter().filter_map(|id| self.webhooks.get(id).cloned()).collect()
    }

    /// Its owner's word goes first, then what the health record says; a rate limit is a gate that is always up.
    pub(super) fn gate(&self, webhook: WebhookId) -> Option<GateReason> {
        // One that has been deleted holds nothing back, although somebody who had not heard of that may have raised a gate since.
        let served = self.webhooks.get(&webhook)?;
        if !served.webhook.active {
            return Some(GateReason::Paused);
        }
        let recorded = self.health.get(&webhook).and_then(|served| served.health.gate.as_ref());
        let limited = || served.webhook.rate_limit.map(|_| GateReason::RateLimit);
        recorded.map(Gate::reason).or_else(limited)
    }

    /// How many webhooks stand in front of which gate, and in which state.
    pub(super) fn standing(&self) -> Standing {
        let mut standing = Standing::default();
        for id in self.webhooks.keys() {
            let gate = self.gate(*id);
            if let Some(reason) = gate {
                *standing.gates.entry(reason).or_default() += 1;
            }
            *standing.states.entry(self.state(*id, gate)).or_default() += 1;
        }
        standing
    }

    pub(super) fn state(&self, webhook: WebhookId, gate: Option<GateReason>) -> WebhookState {
        match gate {
            Some(GateReason::Paused) => WebhookState::Paused,
            Some(GateReason::BreakerOpen) => WebhookState::Failing,
            Some(GateReason::Releasing | GateReason::Congested | GateReason::RateLimit) | None => {
                match self.health.get(&webhook) {
                    Some(served) if served.health.failing_since.is_some() => WebhookState::Failing,
                    Some(_) | None => WebhookState::Healthy,
                }
            }
        }
    }
}

fn open_template(webhook: &Webhook, key: &SealingKey) -> Result<RequestTemplate, RegistryError> {
    let refused = |source| RegistryError::Seal { webhook: webhook.id, source };
    let corrupt = |what: String| StoreError::new(StoreErrorKind::Corrupt, "read a webhook record", what);
    let signing = |sealed: &Sealed, context: &str| {
        let secret = key.open(sealed, context).map_err(refused)?;
        let secret = Secret::new(secret).map_err(|error| corrupt(error.to_string()))?;
        Ok::<_, RegistryError>(SigningKey::new(&secret))
    };
    let previous = webhook.previous_secret.as_ref().map(|previous| {
        let key = signing(&previous.sealed, &Webhook::previous_secret_context(webhook.id))?;
        Ok::<_, RegistryError>(PreviousSigning { key, until: previous.until })
    });
    let mut own_headers = Vec::with_capacity(webhook.headers.len());
    for header in &webhook.headers {
        let context = Webhook::header_context(webhook.id, &header.name);
        let value = key.open(&header.value, &context).map_err(refused)?;
        own_headers.push(check_own_header(&header.name, &value).map_err(|error| corrupt(error.to_string()))?);
    }
    Ok(RequestTemplate {
        signing: signing(&webhook.secret, &Webhook::secret_context(webhook.id))?,
        previous: previous.transpose()?,
        own_headers: own_headers.into(),
        kind: webhook.kind,
        payload_version: webhook.payload_version,
    })
}
