//! Following a stream from a sequence on, in order, across reconnections and restarts of the server.
//!
//! A consumer without acknowledgements is made for it, and made anew from the first message that has not been handed out
//! whenever one is missing or the server falls silent. (The library's own ordered consumer begins with the stream's first
//! message again if that happens before it has delivered one.)

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use fanfare_core::clock::Clock;
use fanfare_core::ports::StoreResult;
use futures_util::{FutureExt, StreamExt};

use crate::Shared;
use crate::error::{corrupt, nats_error};
use crate::shares::Holding;
use crate::store::Store;

/// How long the server may be silent before it is asked again.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long one request for messages stands.
const STANDS: Duration = Duration::from_secs(30);
/// How long the server keeps the consumer of a process that has gone.
const FORGET: Duration = Duration::from_secs(30);
/// How long to wait before a server that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(200);

/// What is followed.
#[derive(Clone, Debug)]
pub(crate) struct Follow {
    pub(crate) stream: String,
    pub(crate) subject: String,
    pub(crate) headers_only: bool,
    /// The first sequence to hand out.
    pub(crate) from: u64,
    /// How many messages are asked for at once.
    pub(crate) ahead: usize,
}

/// A followed stream.
pub(crate) struct Following {
    store: Store,
    clock: Arc<dyn Clock>,
    what: Follow,
    consumer: Option<Consumer>,
}

struct Consumer {
    messages: pull::Stream,
    /// The number of the last message of this consumer: they are numbered without gaps.
    last: u64,
}

impl Following {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, what: Follow) -> Self {
        Self { store, clock, what, consumer: None }
    }

    /// The sequence from which on messages have not been handed out.
    pub(crate) fn from(&self) -> u64 {
        self.what.from
    }

    /// Waits for the next message, however long the server is away. Dropped, it loses nothing.
    pub(crate) async fn next(&mut self, doing: &'static str) -> StoreResult<(u64, Message)> {
        loop {
            let Some(consumer) = self.consumer.as_mut() else {
                match make(&self.store, doing, &self.what).await {
                    Ok(consumer) => self.consumer = Some(consumer),
                    Err(error) if error.is_retryable() => {
                        tracing::debug!(stream = self.what.stream, error = %fanfare_runtime::tasks::report(&error), "cannot follow; trying again");
                        self.clock.sleep(PAUSE).await;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            };
            let come = consumer.messages.next().await;
            if let Some(message) = self.take(doing, come)? {
                return Ok(message);
            }
        }
    }

    /// The next message, if it is here already.
    pub(crate) fn ready(&mut self, doing: &'static str) -> StoreResult<Option<(u64, Message)>> {
        while let Some(come) = self.consumer.as_mut().and_then(|consumer| consumer.messages.next().now_or_never()) {
            if let Some(message) = self.take(doing, come)? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Takes what the consumer says; anything but the message that follows ends the consumer.
    fn take(
        &mut self,
        doing: &'static str,
        come: Option<Result<Message, pull::MessagesError>>,
    ) -> StoreResult<Option<(u64, Message)>> {
        let Some(Ok(message)) = come else {
            self.consumer = None;
            return Ok(None);
        };
        let info = message.info().map_err(|error| corrupt(doing, error))?;
        let (sequence, number) = (info.stream_sequence, info.consumer_sequence);
        match self.consumer.as_mut() {
            Some(consumer) if number == consumer.last + 1 && sequence >= self.what.from => {
                consumer.last = number;
                self.what.from = sequence + 1;
                Ok(Some((sequence, message)))
            }
            _ => {
                self.consumer = None;
                Ok(None)
            }
        }
    }
}

/// Hands every message to `arrived`, in order, for as long as a partition is held. Where it cannot go on, the partition is given
/// up, so that somebody else looks after it.
pub(crate) async fn while_held(
    shared: &Shared,
    holding: &Holding,
    what: Follow,
    doing: &'static str,
    mut arrived: impl FnMut(u64, &Message),
) {
    let stream = what.stream.clone();
    let mut following = Following::new(shared.store.clone(), Arc::clone(&shared.clock), what);
    let shutdown = shared.tasks.shutdown();
    loop {
        let come = tokio::select! {
            () = shutdown.cancelled() => return,
            () = holding.lost() => return,
            come = following.next(doing) => come,
        };
        match come {
            Ok((sequence, message)) => arrived(sequence, &message),
            Err(error) => {
                let error = fanfare_runtime::tasks::report(&error);
                tracing::error!(%error, stream, "a partition cannot be followed; giving it up");
                holding.lose();
                return;
            }
        }
    }
}

async fn make(store: &Store, doing: &'static str, what: &Follow) -> StoreResult<Consumer> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: what.from.max(1) },
        ack_policy: AckPolicy::None,
        filter_subject: what.subject.clone(),
        headers_only: what.headers_only,
        inactive_threshold: FORGET,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let made = store.context.create_consumer_on_stream(config, what.stream.as_str()).await;
    let made = made.map_err(|error| nats_error(doing, error))?;
    let messages =
        made.stream().max_messages_per_batch(what.ahead).heartbeat(HEARTBEAT).expires(STANDS).messages().await;
    Ok(Consumer { messages: messages.map_err(|error| nats_error(doing, error))?, last: 0 })
}
