//! The script: what the plan says, at its time; then healing, and the wait until everything has ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fanfare_core::clock::{Clock as _, Monotonic};
use fanfare_core::event::{ContentHash, Event, EventHeader, EventType};

use super::{NOBODY, World, event_id, project};
use crate::client::Server;
use crate::model::Kind;
use crate::plan::{Act, EventPlan};
use crate::trace::Fact;

/// How long everything may take to end once nothing goes wrong any more: longer than any schedule, lease and claim of a plan,
/// several times over.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// How long nothing may happen any more after that.
const AFTERWARDS: Duration = Duration::from_secs(20);

impl World {
    /// Runs the plan to its end.
    pub(crate) fn play(self: &Arc<Self>) {
        self.set_up();
        self.make_slots();
        for (number, event) in self.plan.events.clone().into_iter().enumerate() {
            self.at(event.at, move |world| world.publish(number, event));
        }
        for (at, act) in self.plan.acts.clone() {
            self.at(at, move |world| world.act(act));
        }
        self.until(Monotonic(self.plan.heals));
        self.heal();
        let end = self.stage.now().after(PATIENCE);
        while self.stage.now() < end {
            self.until(self.stage.now().after(Duration::from_secs(1)));
            self.activate_paused();
            if self.has_ended() {
                self.note(Fact::Quiet);
                self.until(self.stage.now().after(AFTERWARDS));
                break;
            }
        }
        self.stage.clear();
    }

    /// Runs the plan until everything has ended, looking each so often; true if it has before that time.
    pub(crate) fn play_until_all_has_ended(self: &Arc<Self>, look: Duration, end: Duration) -> bool {
        self.set_up();
        self.make_slots();
        // One timer for those that are published together, however many.
        let mut events = self.plan.events.clone().into_iter().enumerate().peekable();
        while let Some((first, event)) = events.next() {
            let mut together = vec![(first, event)];
            while let Some(next) = events.next_if(|(_, next)| next.at == event.at) {
                together.push(next);
            }
            self.at(event.at, move |world| {
                together.into_iter().for_each(|(number, event)| world.publish(number, event));
            });
        }
        let last = self.plan.events.last().map_or(Duration::ZERO, |event| event.at);
        let mut has_ended = false;
        while !has_ended && self.stage.now() < Monotonic(end) {
            self.until(self.stage.now().after(look));
            has_ended = self.stage.now() > Monotonic(last)
                && self.servers.read(|data, _| data.events.backlog() == 0 && data.copies.is_empty());
        }
        self.stage.clear();
        has_ended
    }

    fn until(&self, time: Monotonic) {
        while self.stage.step(time) {}
    }

    fn at(self: &Arc<Self>, time: Duration, what: impl FnOnce(&Arc<World>) + Send + 'static) {
        let world = Arc::clone(self);
        self.stage.spawn(NOBODY, async move {
            world.stage.sleep_until(Monotonic(time)).await;
            what(&world);
        });
    }

    fn publish(&self, number: usize, plan: EventPlan) {
        let now = self.server_clock.now();
        let header = EventHeader {
            project: project(),
            id: event_id(number),
            event_type: EventType::new("order.placed").expect("a valid type"),
            source: None,
            subject: None,
            time: now,
            expires_at: plan.expires_in.map(|time| now.after(time)),
            accepted_at: now,
            extensions: std::collections::BTreeMap::new(),
        };
        let event = Event { header, data: Bytes::from_static(b"{\"order\":1}"), content: ContentHash([0; 32]) };
        self.servers.change(|data, _| data.events.append(event));
        self.note(Fact::Accepted { event: number });
    }

    fn act(self: &Arc<Self>, act: Act) {
        if self.is_healed() {
            return;
        }
        match act {
            Act::Crash { slot, down } => {
                if let Some(process) = self.running(slot) {
                    self.crash(process, down);
                }
            }
            Act::Restart { slot } => {
                if let Some(process) = self.running(slot) {
                    self.restart(process);
                }
            }
            Act::Freeze { slot, lasting } => {
                if let Some(process) = self.running(slot) {
                    self.freeze(process, lasting);
                }
            }
            Act::Away { server, lasting } => {
                self.note(Fact::Acted(act));
                self.away.lock().insert(server as u8, self.stage.now().after(lasting));
                let world = Arc::clone(self);
                self.stage.spawn(NOBODY, async move {
                    world.stage.sleep(lasting).await;
                    world.note(Fact::Back { server });
                });
            }
            Act::EmptyClaims => {
                self.note(Fact::Acted(act));
                self.servers.change(|data, _| data.claims.empty());
            }
            Act::ForgetLease { which } => {
                if self.servers.change(|data, _| data.copies.forget_lease(which)).is_some() {
                    self.note(Fact::Acted(act));
                }
            }
            Act::ForgetOwner { partition } => {
                self.note(Fact::Acted(act));
                self.servers.change(|data, _| data.shares.drop_holder(Kind::Gates, partition));
            }
            Act::Jump { slot, millis } => {
                self.note(Fact::Acted(act));
                match slot {
                    Some(slot) => self.slots.lock()[slot].clock.jump(millis),
                    None => self.server_clock.jump(millis),
                }
                self.servers.ring();
            }
            Act::Pause { webhook } => {
                self.note(Fact::Acted(act));
                self.pause(webhook);
            }
            Act::Activate { webhook } => {
                self.note(Fact::Acted(act));
                let world = Arc::clone(self);
                self.stage.spawn(NOBODY, async move { world.activate(webhook).await });
            }
            Act::Delete { webhook } => {
                self.note(Fact::Acted(act));
                let world = Arc::clone(self);
                self.stage.spawn(NOBODY, async move { world.delete(webhook).await });
            }
        }
    }

    /// From here on nothing goes wrong: whoever is frozen goes on, whoever is down comes up, receivers do well.
    fn heal(self: &Arc<Self>) {
        self.healed.store(true, Ordering::Relaxed);
        self.away.lock().clear();
        for slot in 0..self.plan.slots {
            match self.running(slot) {
                Some(process) => self.stage.thaw(process),
                None => self.start(slot),
            }
        }
        self.note(Fact::Healed);
        for server in [Server::Streams, Server::Claims] {
            self.note(Fact::Back { server });
        }
    }

    fn activate_paused(self: &Arc<Self>) {
        for webhook in (0..self.plan.webhooks.len()).filter(|webhook| self.is_paused(*webhook)) {
            let world = Arc::clone(self);
            self.stage.spawn(NOBODY, async move { world.activate(webhook).await });
        }
    }

    /// Whether every event is fanned out and every delivery has ended.
    fn has_ended(&self) -> bool {
        self.servers.read(|data, _| data.events.backlog() == 0 && data.copies.open().is_empty())
    }
}
