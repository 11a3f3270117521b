//! The course of the demo: webhooks, the test, the events, and the wait for everything to arrive, all of it shown.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fanfare_core::clock::{Clock, Monotonic};
use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::cast::{DemoEvent, RECEIVERS, TESTED};
use super::client::Client;
use super::ledger::Ledger;
use super::receiver::{Arrival, Receiver};
use super::screen::{Screen, Timings};
use crate::report::Report;

/// How long to wait before asking the API again whether its delivery log has caught up.
const POLL: Duration = Duration::from_millis(50);

/// What is shown as it happens.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// An event, by its place in the ledger, is about to be published.
    Publishing(usize, Monotonic),
    /// It was published: the API's answer, and how long that took.
    Published(usize, String, Duration),
    /// A receiver got a POST.
    Arrived(Arrival),
}

/// See the [module](self).
pub(super) struct Story {
    screen: Screen,
    ledger: Ledger,
    client: Client,
    clock: Arc<dyn Clock>,
    happenings: mpsc::Receiver<Happening>,
    teller: mpsc::Sender<Happening>,
}

impl Story {
    /// Before anything has happened. What happens is sent to `teller` and comes out of `happenings`.
    pub(super) fn new(
        screen: Screen,
        events: Vec<DemoEvent>,
        client: Client,
        clock: Arc<dyn Clock>,
        (teller, happenings): (mpsc::Sender<Happening>, mpsc::Receiver<Happening>),
    ) -> Self {
        Self { screen, ledger: Ledger::new(events), client, clock, happenings, teller }
    }

    /// The screen.
    pub(super) fn screen(&mut self) -> &mut Screen {
        &mut self.screen
    }

    /// Everything that is not as it has to be; `further` is what else there is to complain of.
    pub(super) fn complaints(&self, further: Option<String>) -> Vec<String> {
        self.ledger.complaints().into_iter().chain(further).collect()
    }

    /// Everything up to the last delivery, and the look into the API's own log of it.
    ///
    /// # Errors
    /// When the API refuses something.
    pub(super) async fn play(&mut self, receivers: &[Receiver]) -> Result<(), Report> {
        let webhooks = self.make_webhooks(receivers).await?;
        self.test(&webhooks[TESTED]).await?;
        self.publish().await?;
        while !(self.ledger.is_complete() && self.ledger.is_tested()) {
            self.show_next().await?;
        }
        self.compare_with_the_log().await
    }

    async fn make_webhooks(&mut self, receivers: &[Receiver]) -> Result<Vec<Uuid>, Report> {
        self.screen.section("1. Four receivers, each with a webhook made through the API").map_err(unwritable)?;
        let mut webhooks = Vec::with_capacity(receivers.len());
        for (index, (receiver, part)) in receivers.iter().zip(&RECEIVERS).enumerate() {
            let made = self.client.create_webhook(part, &receiver.url()).await?;
            receiver.trust(made.secret);
            self.ledger.webhook(index, &made.id);
            self.screen.receiver(part, &receiver.url()).map_err(unwritable)?;
            webhooks.push(made.id);
        }
        Ok(webhooks)
    }

    async fn test(&mut self, webhook: &Uuid) -> Result<(), Report> {
        let name = RECEIVERS[TESTED].name;
        self.screen
            .section(&format!("2. A test payload for `{name}`: POST /v1/webhooks/.../test"))
            .map_err(unwritable)?;
        let (client, webhook) = (self.client.clone(), *webhook);
        let answer = self.while_showing(async move { client.test(&webhook).await }).await??;
        while !self.ledger.is_tested() {
            self.show_next().await?;
        }
        let text = format!("answered: success {}, status {}", answer["success"], answer["status_code"]);
        self.screen.note(&text).map_err(unwritable)
    }

    async fn publish(&mut self) -> Result<(), Report> {
        let title = "3. Six events in, and the POSTs that come out (ms since publishing)";
        self.screen.section(title).map_err(unwritable)?;
        let (client, clock, teller) = (self.client.clone(), Arc::clone(&self.clock), self.teller.clone());
        let events = self.ledger.events().to_vec();
        let publish = async move {
            for (at, event) in events.iter().enumerate() {
                publish_one(&client, &*clock, &teller, at, event).await?;
            }
            // As a sender does that has not seen the answer: it has to change nothing.
            match events.last() {
                Some(last) => client.publish(last).await,
                None => Ok(String::new()),
            }
        };
        let again = self.while_showing(publish).await??;
        self.screen.note(&format!("published the last one again, same id: {again}")).map_err(unwritable)?;
        if again == "duplicate" {
            Ok(())
        } else {
            Err(Report::new(format!("the same event published twice was answered `{again}`, not `duplicate`")))
        }
    }

    /// The delivery log of the API has to say the same as the receivers: as many deliveries, as many attempts. It follows the
    /// engine by a moment, so it is asked until it does; the demo's time limit is the bound.
    async fn compare_with_the_log(&mut self) -> Result<(), Report> {
        let events: Vec<String> = self.ledger.events().iter().map(|event| event.id.clone()).collect();
        loop {
            let client = self.client.clone();
            let rows = self.while_showing(async move { client.deliveries().await }).await??;
            let ours = rows.iter().filter(|row| events.iter().any(|id| row["event_id"] == id.as_str()));
            let delivered: Vec<&Value> = ours.filter(|row| row["status"] == "delivered").collect();
            let attempts: u64 = delivered.iter().filter_map(|row| row["attempt_count"].as_u64()).sum();
            if delivered.len() == self.ledger.expected() && attempts == u64::from(self.ledger.attempts()) {
                return Ok(());
            }
            let pause = self.clock.sleep(POLL);
            self.while_showing(pause).await?;
        }
    }

    /// The table, the timings and the verdict.
    ///
    /// # Errors
    /// When the screen cannot be written.
    pub(super) fn sum_up(&mut self, complaints: &[String]) -> io::Result<()> {
        self.screen.section("4. Who got what, and in how many POSTs")?;
        self.screen.table(&self.ledger)?;
        if let Some(timings) = Timings::of(&self.ledger) {
            self.screen.timings(timings)?;
        }
        self.screen.verdict(complaints)
    }

    /// Shows what happens, without end.
    ///
    /// # Errors
    /// When the screen cannot be written.
    pub(super) async fn watch(&mut self) -> Result<(), Report> {
        loop {
            self.show_next().await?;
        }
    }

    /// Does something and shows what happens meanwhile.
    async fn while_showing<T>(&mut self, something: impl Future<Output = T>) -> Result<T, Report> {
        tokio::pin!(something);
        loop {
            tokio::select! {
                biased;
                happening = self.happenings.recv() => self.show(happening)?,
                done = &mut something => {
                    // What was told before the end is shown before it.
                    while let Ok(happening) = self.happenings.try_recv() {
                        self.show(Some(happening))?;
                    }
                    return Ok(done);
                }
            }
        }
    }

    async fn show_next(&mut self) -> Result<(), Report> {
        let happening = self.happenings.recv().await;
        self.show(happening)
    }

    /// `None` cannot be: a sender is held here.
    fn show(&mut self, happening: Option<Happening>) -> Result<(), Report> {
        let shown = match happening {
            Some(Happening::Publishing(event, at)) => {
                self.ledger.publishing(event, at);
                Ok(())
            }
            Some(Happening::Published(event, status, took)) => {
                let event_type = &self.ledger.events()[event].event_type;
                self.screen.published(event_type, &status, took)
            }
            Some(Happening::Arrived(arrival)) => {
                let event = self.ledger.arrived(&arrival);
                let since = event.and_then(|event| self.ledger.since_published(event, arrival.at));
                self.screen.arrived(&arrival, since)
            }
            None => Ok(()),
        };
        shown.map_err(unwritable)
    }
}

async fn publish_one(
    client: &Client,
    clock: &dyn Clock,
    teller: &mpsc::Sender<Happening>,
    at: usize,
    event: &DemoEvent,
) -> Result<(), Report> {
    let begun = clock.monotonic();
    // The story outlives what it does, so somebody listens.
    let _ = teller.send(Happening::Publishing(at, begun)).await;
    let status = client.publish(event).await?;
    let _ = teller.send(Happening::Published(at, status, clock.monotonic().since(begun))).await;
    Ok(())
}

/// The standard output is gone, as when it was piped into `head`.
#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn unwritable(error: io::Error) -> Report {
    Report::because("cannot write to the standard output", &error)
}
