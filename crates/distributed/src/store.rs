//! What every port needs of JetStream: publishing in windows, and reading single messages back.
//!
//! Reads that must be as new as the last answer ask the stream's leader; what cannot change any more, such as the message
//! under a sequence, is read from whichever server has it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{Context, PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{DirectGetErrorKind, RawMessageError, RawMessageErrorKind, State, Stream};
use bytes::Bytes;
use fanfare_core::clock::Timestamp;
use fanfare_core::ports::{StoreError, StoreErrorKind, StoreResult};
use fanfare_telemetry::Metrics;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::error::{corrupt, nats_error, unavailable};
use crate::message::Draft;
use crate::names::Names;

/// The most messages of one call that are on their way at once.
const CHUNK: usize = 256;

/// A stored message.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
    /// How many more there were that the request matches; 0 where the server does not say.
    pub(crate) more: u64,
}

/// JetStream, as the ports use it. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) context: Context,
    window: Arc<Semaphore>,
    chunk: usize,
    timeout: Duration,
    names: Arc<Names>,
    metrics: Metrics,
}

/// What a message that is expected somewhere was answered.
#[derive(Clone, Debug)]
pub(crate) enum Placed {
    /// It stands under this sequence.
    At(u64),
    /// The last message on its subject is another one.
    Conflict,
}

#[derive(Serialize)]
pub(crate) struct BatchRequest<'a> {
    #[serde(rename = "seq", skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<u64>,
    #[serde(rename = "next_by_subj", skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<&'a str>,
    #[serde(rename = "multi_last", skip_serializing_if = "<[&str]>::is_empty")]
    pub(crate) last_of: &'a [&'a str],
    pub(crate) batch: usize,
}

#[derive(Deserialize)]
struct Deleted {
    success: bool,
}

impl Store {
    pub(crate) fn new(context: Context, window: usize, timeout: Duration, names: &Names, metrics: &Metrics) -> Self {
        Self {
            context,
            window: Arc::new(Semaphore::new(window)),
            chunk: window.min(CHUNK),
            timeout,
            names: Arc::new(names.clone()),
            metrics: metrics.clone(),
        }
    }

    fn count(&self, stream: &'static str, result: &'static str) {
        self.metrics.nats_publishes.with_label_values(&[stream, result]).inc();
    }

    /// An error of a publish, counted.
    fn failed(&self, doing: &'static str, stream: &'static str, error: PublishError) -> StoreError {
        let error = nats_error(doing, error);
        self.count(stream, if error.kind == StoreErrorKind::Full { "full" } else { "failed" });
        error
    }

    /// A handle on a stream; nothing is asked of the server.
    pub(crate) async fn stream(&self, doing: &'static str, name: &str) -> StoreResult<Stream<()>> {
        self.context.get_stream_no_info(name).await.map_err(|error| nats_error(doing, error))
    }

    /// Publishes in order, and waits until all of it is durable. Callers take the room in the window for a whole chunk at
    /// once and wait for nothing else while they have it.
    pub(crate) async fn publish_all(&self, doing: &'static str, drafts: Vec<Draft>) -> StoreResult<Vec<PublishAck>> {
        let mut answers = Vec::with_capacity(drafts.len());
        let mut drafts = drafts.into_iter().peekable();
        while drafts.peek().is_some() {
            let chunk: Vec<Draft> = drafts.by_ref().take(self.chunk).collect();
            let room = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let _room = self.window.acquire_many(room).await.map_err(|error| unavailable(doing, error))?;
            let mut sent: Vec<(&'static str, PublishAckFuture)> = Vec::with_capacity(chunk.len());
            for draft in chunk {
                let stream = self.names.stream_of(&draft.subject);
                let (subject, message) = draft.into_parts();
                let answer = self.context.send_publish(subject, message).await;
                sent.push((stream, answer.map_err(|error| self.failed(doing, stream, error))?));
            }
            for (stream, answer) in sent {
                let answer = answer.await.map_err(|error| self.failed(doing, stream, error))?;
                self.count(stream, if answer.duplicate { "duplicate" } else { "stored" });
                answers.push(answer);
            }
        }
        Ok(answers)
    }

    pub(crate) async fn publish(&self, doing: &'static str, draft: Draft) -> StoreResult<PublishAck> {
        let mut answers = self.publish_all(doing, vec![draft]).await?;
        answers.pop().ok_or_else(|| unavailable(doing, "no answer"))
    }

    /// Publishes a message that says what it expects.
    pub(crate) async fn place(&self, doing: &'static str, draft: Draft) -> StoreResult<Placed> {
        let stream = self.names.stream_of(&draft.subject);
        let (subject, message) = draft.into_parts();
        let _room = self.window.acquire().await.map_err(|error| unavailable(doing, error))?;
        let sent = self.context.send_publish(subject, message).await;
        match sent.map_err(|error| self.failed(doing, stream, error))?.await {
            Ok(answer) => {
                self.count(stream, if answer.duplicate { "duplicate" } else { "stored" });
                Ok(Placed::At(answer.sequence))
            }
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                self.count(stream, "conflict");
                Ok(Placed::Conflict)
            }
            Err(error) => Err(self.failed(doing, stream, error)),
        }
    }

    /// The last message whose subject matches, from the stream's leader.
    pub(crate) async fn last(&self, doing: &'static str, stream: &str, subject: &str) -> StoreResult<Option<Stored>> {
        let asked = self.stream(doing, stream).await?.raw_message_builder().last_by_subject(subject).send().await;
        of_leader(doing, asked)
    }

    /// The message under a sequence. A replica that does not have it is not believed: it may be behind.
    pub(crate) async fn message(
        &self,
        doing: &'static str,
        stream: &str,
        sequence: u64,
    ) -> StoreResult<Option<Stored>> {
        let handle = self.stream(doing, stream).await?;
        match handle.direct_get(sequence).await {
            Ok(message) => return stored(doing, message).map(Some),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => {}
            Err(error) => return Err(nats_error(doing, error)),
        }
        of_leader(doing, handle.raw_message_builder().sequence(sequence).send().await)
    }

    /// The first message from a sequence on whose subject matches. Unlike [`Self::batch`] it has nothing counted.
    pub(crate) async fn next(
        &self,
        doing: &'static str,
        stream: &str,
        subject: &str,
        from: u64,
    ) -> StoreResult<Option<Stored>> {
        match self.stream(doing, stream).await?.direct_get_next_for_subject(subject, Some(from)).await {
            Ok(message) => stored(doing, message).map(Some),
            Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
            Err(error) => Err(nats_error(doing, error)),
        }
    }

    /// The same, of the stream's leader: what it does not have is not there.
    pub(crate) async fn next_of_leader(
        &self,
        doing: &'static str,
        stream: &str,
        subject: &str,
        from: u64,
    ) -> StoreResult<Option<Stored>> {
        let request = self.stream(doing, stream).await?.raw_message_builder().sequence(from).next_by_subject(subject);
        of_leader(doing, request.send().await)
    }

    /// What a stream's leader says of it: its first and last sequence, messages and bytes.
    pub(crate) async fn state(&self, doing: &'static str, stream: &str) -> StoreResult<State> {
        let info = self.stream(doing, stream).await?.get_info().await;
        info.map(|info| info.state).map_err(|error| nats_error(doing, error))
    }

    /// The sequence of a stream's last message, of its leader.
    pub(crate) async fn end(&self, doing: &'static str, stream: &str) -> StoreResult<u64> {
        Ok(self.state(doing, stream).await?.last_sequence)
    }

    /// Several messages by one request, in order; there may be more.
    pub(crate) async fn batch(
        &self,
        doing: &'static str,
        stream: &str,
        request: &BatchRequest<'_>,
    ) -> StoreResult<Vec<Stored>> {
        let client = self.context.client();
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| nats_error(doing, error))?;
        let body = serde_json::to_vec(request).expect("the request is a map with text keys");
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        let sent = client.publish_with_reply(subject, inbox, body.into()).await;
        sent.map_err(|error| nats_error(doing, error))?;
        let mut found = Vec::new();
        loop {
            let answer = tokio::time::timeout(self.timeout, answers.next()).await;
            let answer = answer.map_err(|_| unavailable(doing, "no answer in time"))?;
            let answer = answer.ok_or_else(|| unavailable(doing, "the connection was closed"))?;
            match answer.status.map(|status| status.as_u16()) {
                None | Some(200) => found.push(direct(doing, answer)?),
                // The end, or nothing found.
                Some(204 | 404) => return Ok(found),
                Some(status) => return Err(unavailable(doing, format!("JetStream answered with status {status}"))),
            }
        }
    }

    /// Deletes a message. The library's own request also overwrites it, which takes a hundred times as long.
    pub(crate) async fn delete(&self, doing: &'static str, stream: &str, sequence: u64) -> StoreResult<()> {
        self.remove(doing, stream, sequence, true).await
    }

    /// Deletes a message and overwrites what was stored of it.
    pub(crate) async fn erase(&self, doing: &'static str, stream: &str, sequence: u64) -> StoreResult<()> {
        self.remove(doing, stream, sequence, false).await
    }

    async fn remove(&self, doing: &'static str, stream: &str, sequence: u64, no_erase: bool) -> StoreResult<()> {
        let request = serde_json::json!({ "seq": sequence, "no_erase": no_erase });
        let asked = self.context.request(format!("STREAM.MSG.DELETE.{stream}"), &request).await;
        match asked.map_err(|error| nats_error(doing, error))? {
            Response::Ok(Deleted { success: true }) => Ok(()),
            Response::Ok(Deleted { success: false }) => Err(unavailable(doing, "the message was not deleted")),
            // Somebody else has deleted it.
            Response::Err { error } if error.code() == 404 || error.to_string().contains("no message found") => Ok(()),
            Response::Err { error } => Err(nats_error(doing, error)),
        }
    }

    /// Removes every message whose subject matches; returns how many there were.
    pub(crate) async fn purge(&self, doing: &'static str, stream: &str, subject: &str) -> StoreResult<u64> {
        let purged = self.stream(doing, stream).await?.purge().filter(subject).await;
        purged.map(|purged| purged.purged).map_err(|error| nats_error(doing, error))
    }

    /// Says something to the server under a subject of its own, such as an acknowledgement, and waits for nothing: it may be lost
    /// with the connection.
    pub(crate) async fn tell(&self, doing: &'static str, subject: &str, what: &'static str) -> StoreResult<()> {
        let told = self.context.client().publish(subject.to_owned(), Bytes::from_static(what.as_bytes())).await;
        told.map_err(|error| nats_error(doing, error))
    }

    /// Waits, but not for long, until everything that was said has gone out.
    pub(crate) async fn flush(&self) {
        let flushed = tokio::time::timeout(self.timeout, self.context.client().flush()).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::debug!("the connection to NATS could not be flushed");
        }
    }

    /// Confirms something to the server under a subject of its own, such as an acknowledgement, and waits for its word.
    pub(crate) async fn confirm(&self, doing: &'static str, subject: &str, what: &'static str) -> StoreResult<()> {
        let asked = self.context.client().request(subject.to_owned(), Bytes::from_static(what.as_bytes())).await;
        asked.map(|_| ()).map_err(|error| nats_error(doing, error))
    }
}

/// What a stream's leader answers to a request for one message.
fn of_leader(doing: &'static str, answer: Result<StreamMessage, RawMessageError>) -> StoreResult<Option<Stored>> {
    match answer {
        Ok(message) => stored(doing, message).map(Some),
        Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(nats_error(doing, error)),
    }
}

fn stored(doing: &'static str, message: StreamMessage) -> StoreResult<Stored> {
    Ok(Stored {
        sequence: message.sequence,
        at: timestamp(doing, message.time)?,
        subject: message.subject.to_string(),
        headers: message.headers,
        payload: message.payload,
        more: 0,
    })
}

/// A time of the library as ours.
pub(crate) fn timestamp(doing: &'static str, time: async_nats::datetime::DateTime) -> StoreResult<Timestamp> {
    let millis = time.unix_timestamp_nanos() / 1_000_000;
    i64::try_from(millis).map(Timestamp::from_millis).map_err(|error| corrupt(doing, error))
}

/// A message as direct reads answer it: what is known of its place is in headers, which the server puts after the message's own.
fn direct(doing: &'static str, answer: async_nats::Message) -> StoreResult<Stored> {
    let headers = answer.headers.unwrap_or_default();
    let text = |name: &'static str| headers.get_last(name).map(|value| value.as_str().to_owned());
    let number = |name: &'static str| text(name).and_then(|text| text.parse().ok());
    let missing = || corrupt(doing, "a message without its place");
    Ok(Stored {
        sequence: number("Nats-Sequence").ok_or_else(missing)?,
        at: text("Nats-Time-Stamp").and_then(|text| Timestamp::parse(&text).ok()).ok_or_else(missing)?,
        subject: text("Nats-Subject").ok_or_else(missing)?,
        more: number("Nats-Num-Pending").unwrap_or(0),
        payload: answer.payload,
        headers,
    })
}

impl Stored {
    /// How many there were in all, this one included.
    pub(crate) fn count(&self) -> u64 {
        self.more + 1
    }
}
