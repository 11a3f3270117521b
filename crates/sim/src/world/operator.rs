//! What owners do to their webhooks, as the management API does it, in its steps.

use std::time::Duration;

use fanfare_core::clock::Clock as _;
use fanfare_core::egress::WebhookUrl;
use fanfare_core::health::{Gate, Health};
use fanfare_core::journal::{JournalEntry, WebhookDeleted};
use fanfare_core::pattern::EventPattern;
use fanfare_core::ports::config_store::{Expected, Key, Record, Versioned};
use fanfare_core::project::Project;
use fanfare_core::secret::Secret;
use fanfare_core::webhook::{AttemptTimeout, PayloadVersion, Webhook, WebhookKind};

use super::{World, project, webhook_id};
use crate::model::Data;

impl World {
    /// Makes the project and its webhooks.
    pub(crate) fn set_up(&self) {
        let now = self.server_clock.now();
        self.put(Record::Project(Project::new(project(), now)));
        for number in 0..self.plan.webhooks.len() {
            let webhook = self.webhook(number);
            self.put(Record::Webhook(webhook));
        }
    }

    fn put(&self, record: Record) {
        self.servers.change(|data, _| data.records.change(record.key(), Some(record), Expected::Any));
    }

    fn webhook(&self, number: usize) -> Webhook {
        let (id, plan, now) = (webhook_id(number), &self.plan.webhooks[number], self.server_clock.now());
        let secret = self.draw(|rng| Secret::generate(rng));
        Webhook {
            id,
            project: project(),
            url: WebhookUrl::parse(&format!("https://receiver-{number}.example/")).expect("a valid URL"),
            events: vec![EventPattern::new("order.*").expect("a valid pattern")],
            source: None,
            filter: None,
            description: None,
            active: true,
            inactive_since: None,
            headers: Vec::new(),
            kind: WebhookKind::Kapso,
            payload_version: PayloadVersion::V2,
            inactivity_minutes: None,
            retry_schedule: plan.schedule(),
            rate_limit: plan.rate,
            timeout: AttemptTimeout::from_seconds(plan.timeout).unwrap_or_default(),
            secret: self.draw(|rng| self.key.seal(secret.expose(), &Webhook::secret_context(id), rng)),
            secret_last4: secret.last4().to_owned(),
            previous_secret: None,
            created_at: now,
            updated_at: now,
        }
    }

    pub(crate) fn pause(&self, number: usize) {
        self.servers.change(|data, _| set_active(data, number, false));
    }

    /// First the gate is a releasing one, then the webhook is active.
    pub(crate) async fn activate(&self, number: usize) {
        let now = self.server_clock.now();
        self.servers.change(|data, _| {
            let Some(webhook) = stored(data, number) else { return };
            let mut health = health(data, number);
            let releases = match health.gate {
                Some(Gate::Releasing { .. }) => false,
                Some(Gate::Paused { .. }) => true,
                Some(_) | None => !webhook.active,
            };
            if releases {
                health.gate = Some(Gate::Releasing { since: now, rate: None });
                health.failing_since = None;
                data.records.change(Key::Health(webhook.id), Some(Record::Health(health)), Expected::Any);
            }
        });
        let pause = self.draw(|rng| rand::RngExt::random_range(rng, 0..20));
        self.stage.sleep(Duration::from_millis(pause)).await;
        self.servers.change(|data, _| set_active(data, number, true));
    }

    /// There is a health record; the webhook's goes; the journal is told; what stands behind the gate goes; the health
    /// record goes.
    pub(crate) async fn delete(&self, number: usize) {
        let (id, at) = (webhook_id(number), self.server_clock.now());
        let removed = self.servers.change(|data, _| {
            let known = stored(data, number).is_some();
            if known {
                let health = Health::new(id, project());
                data.records.change(Key::Health(id), Some(Record::Health(health)), Expected::Absent);
                data.records.change(Key::Webhook(id), None, Expected::Any);
            }
            known
        });
        if !removed {
            return;
        }
        let pause = self.draw(|rng| rand::RngExt::random_range(rng, 0..20));
        self.stage.sleep(Duration::from_millis(pause)).await;
        self.servers.change(|data, _| {
            let entry = WebhookDeleted { project: project(), webhook: id, at };
            data.journal.append(JournalEntry::WebhookDeleted(entry), None);
        });
        self.stage.sleep(Duration::from_millis(pause)).await;
        self.servers.change(|data, _| data.copies.discard(id));
        self.servers.change(|data, _| data.records.change(Key::Health(id), None, Expected::Any));
    }

    /// Whether nothing is sent to a webhook until its owner activates it.
    pub(crate) fn is_paused(&self, number: usize) -> bool {
        self.servers.read(|data, _| {
            let inactive = stored(data, number).is_some_and(|webhook| !webhook.active);
            inactive || matches!(health(data, number).gate, Some(Gate::Paused { .. }))
        })
    }

    /// Whether the webhook has not been deleted.
    pub(crate) fn exists(&self, number: usize) -> bool {
        self.servers.read(|data, _| stored(data, number).is_some())
    }
}

fn stored(data: &Data, number: usize) -> Option<Webhook> {
    match data.records.get(&Key::Webhook(webhook_id(number))) {
        Some(Versioned { record: Record::Webhook(webhook), .. }) => Some(webhook),
        Some(_) | None => None,
    }
}

fn health(data: &Data, number: usize) -> Health {
    match data.records.get(&Key::Health(webhook_id(number))) {
        Some(Versioned { record: Record::Health(health), .. }) => health,
        Some(_) | None => Health::new(webhook_id(number), project()),
    }
}

fn set_active(data: &mut Data, number: usize, active: bool) {
    if let Some(webhook) = stored(data, number) {
        let changed = Webhook { active, ..webhook };
        data.records.change(Key::Webhook(changed.id), Some(Record::Webhook(changed)), Expected::Any);
    }
}
