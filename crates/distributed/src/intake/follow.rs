//! Following what producers publish: each message with its place, as it comes; nothing of it is looked at but the subject.
//!
//! A consumer that pushes, without acknowledgements, is made over the engine's connection; what it pushes comes over a
//! [connection that takes any bytes](crate::connect::bare). Whenever a message is missing, the server falls silent, or the
//! connection is lost, both are made anew from the first message that has not been handed out.

use std::io;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, push};
use fanfare_core::clock::Timestamp;
use fanfare_core::ports::StoreResult;
use fanfare_runtime::tasks::report;

use crate::Distributed;
use crate::connect::bare::{Bare, Came};
use crate::error::{nats_error, unavailable};
use crate::shares::Holding;

/// How often the server says that it is there when there is nothing else to say.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long it may be silent.
const SILENCE: Duration = Duration::from_secs(6);
/// How long the server keeps the consumer of a process that has gone.
const FORGET: Duration = Duration::from_secs(30);
/// How long to wait before a server that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// After so many failures in a row an operator is told.
const TELL_AFTER: u32 = 10;

/// Hands every message to `arrived`, in order, with its place, for as long as the partition is held.
pub(super) async fn while_held(
    engine: &Distributed,
    holding: &Holding,
    subjects: Vec<String>,
    arrived: impl FnMut(&Place, &Came),
) {
    let mut following = Following { engine, subjects, from: 1, failures: 0, arrived };
    let shutdown = engine.shared.tasks.shutdown();
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = holding.lost() => {}
        () = following.run() => {}
    }
}

struct Following<'e, A> {
    engine: &'e Distributed,
    subjects: Vec<String>,
    /// The first sequence to hand out.
    from: u64,
    /// How often it could not be followed since something was handed out.
    failures: u32,
    arrived: A,
}

impl<A: FnMut(&Place, &Came)> Following<'_, A> {
    async fn run(&mut self) {
        loop {
            let Err(error) = self.follow().await;
            self.failures += 1;
            let (error, failures) = (report(&error), self.failures);
            if failures.is_multiple_of(TELL_AFTER) {
                tracing::warn!(%error, failures, "the intake cannot be followed; trying again");
            } else {
                tracing::debug!(%error, "the intake cannot be followed; trying again");
            }
            self.engine.shared.clock.sleep(PAUSE).await;
        }
    }

    async fn follow(&mut self) -> StoreResult<std::convert::Infallible> {
        const DOING: &str = "follow the intake";
        let inbox = self.engine.shared.store.context.client().new_inbox();
        // The consumer says nothing before somebody listens.
        let bare = Bare::subscribe(&self.engine.shared.config.nats, &inbox).await;
        let mut bare = bare.map_err(|error| unavailable(DOING, error))?;
        self.make(DOING, inbox).await?;
        let mut last = 0;
        loop {
            let came = bare.next(SILENCE).await.map_err(|error| unavailable(DOING, error))?;
            self.take(&mut bare, &came, &mut last).await.map_err(|error| unavailable(DOING, error))?;
        }
    }

    async fn make(&self, doing: &'static str, inbox: String) -> StoreResult<()> {
        let config = push::Config {
            deliver_subject: inbox,
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.from },
            ack_policy: AckPolicy::None,
            filter_subjects: self.subjects.clone(),
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: FORGET,
            memory_storage: true,
            num_replicas: 1,
            ..push::Config::default()
        };
        let (context, stream) = (&self.engine.shared.store.context, self.engine.shared.names.intake());
        let made = context.create_consumer_on_stream(config, stream).await;
        made.map(|_| ()).map_err(|error| nats_error(doing, error))
    }

    /// Takes a message, a heartbeat, or the question whether we keep up.
    async fn take(&mut self, bare: &mut Bare, came: &Came, last: &mut u64) -> io::Result<()> {
        if came.reply.is_empty() {
            return Ok(());
        }
        if came.reply.starts_with(b"$JS.FC.") {
            return bare.answer(&came.reply).await;
        }
        let place = place(&came.reply).ok_or_else(|| io::Error::other("a message without its place"))?;
        if place.number != *last + 1 || place.sequence < self.from {
            return Err(io::Error::other("a message is missing"));
        }
        (*last, self.from, self.failures) = (place.number, place.sequence + 1, 0);
        (self.arrived)(&place, came);
        Ok(())
    }
}

/// Where a message is from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// In the stream.
    pub(super) sequence: u64,
    /// Among those of this consumer, without gaps.
    number: u64,
    /// When the server had it.
    pub(super) at: Timestamp,
}

/// Read from where a message would be acknowledged: `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<number>.<time>.<pending>`,
/// in later servers with a domain and an account before the stream and more at the end.
fn place(reply: &[u8]) -> Option<Place> {
    let parts: Vec<&str> = std::str::from_utf8(reply).ok()?.split('.').collect();
    let at = match (parts.as_slice(), parts.len()) {
        (["$JS", "ACK", ..], 9) => 5,
        (["$JS", "ACK", ..], 11..) => 7,
        _ => return None,
    };
    let nanos: i64 = parts[at + 2].parse().ok()?;
    let time = Timestamp::from_millis(nanos.div_euclid(1_000_000));
    Some(Place { sequence: parts[at].parse().ok()?, number: parts[at + 1].parse().ok()?, at: time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_in_both_forms() {
        let at = Timestamp::from_millis(1_795_556_424_253);
        let expected = Some(Place { sequence: 12, number: 8, at });
        assert_eq!(place(b"$JS.ACK.IN.1fboOY4m.1.12.8.1795556424253276366.0"), expected);
        assert_eq!(place(b"$JS.ACK.hub.acc.IN.1fboOY4m.1.12.8.1795556424253276366.0.x"), expected);
        assert_eq!(place(b"$JS.ACK.IN.1"), None);
        assert_eq!(place(b"_INBOX.1"), None);
    }
}
