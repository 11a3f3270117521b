//! One POST, from the guard to the end of the answer's body.

use std::time::Duration;

use bytes::Bytes;
use fanfare_core::attempt::{OutcomeClass, Phases, Snippet};
use fanfare_core::egress::ConnectRefusal;
use http::{HeaderMap, HeaderValue, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::Instant;
use url::Position;

use crate::answer::{Answer, micros};
use crate::classify::{self, Failure, Stage};
use crate::clients::Client;
use crate::interim::Interim;
use crate::probe::{Probe, Progress};
use crate::resolve::Denied;
use crate::{Outgoing, Shared};

/// Makes one POST.
pub(crate) async fn post(shared: &Shared, request: Outgoing<'_>) -> Answer {
    let started = Instant::now();
    let http = request.url.is_http();
    if let Err(denied) = check_before(&request) {
        return Answer::none(OutcomeClass::EgressDenied, denied.to_string(), started.elapsed());
    }
    let client = match shared.clients.get(request.policy, http) {
        Ok(client) => client,
        Err(error) => {
            let text = fanfare_runtime::tasks::report(&error);
            return Answer::none(OutcomeClass::Connect, text, started.elapsed());
        }
    };
    let probe = std::sync::Arc::<Probe>::default();
    let mut answer = probe.watch(exchange(shared, &client, &probe, request, started)).await;
    probe.note(&mut answer.phases);
    answer.took = started.elapsed();
    // Where no connection came about, neither was one found nor made.
    match probe.progress() {
        Progress::Pooled => shared.metrics.delivery_connections.with_label_values(&["reused"]).inc(),
        Progress::Connected => shared.metrics.delivery_connections.with_label_values(&["new"]).inc(),
        Progress::Resolving | Progress::Connecting => {}
    }
    answer
}

/// What the guard can say before anything is looked up: the resolver is not asked about a host that is an address, and a
/// pooled connection is not resolved at all.
fn check_before(request: &Outgoing<'_>) -> Result<(), Denied> {
    let (url, http) = (request.url, request.url.is_http());
    let refusal = match url.address() {
        Some(address) => request.policy.check_connect(address, http).err(),
        None if http && !request.policy.has_exceptions() => Some(ConnectRefusal::PlainHttp),
        None => None,
    };
    refusal.map_or(Ok(()), |refusal| Err(Denied { host: url.host().to_owned(), refusal }))
}

async fn exchange(shared: &Shared, client: &Client, probe: &Probe, request: Outgoing<'_>, started: Instant) -> Answer {
    let https = !request.url.is_http();
    let total = request.timeout;
    let first_byte = match shared.config.first_byte_timeout.get() {
        Duration::ZERO => total,
        bound => bound.min(total),
    };
    let mut outgoing = match message(request) {
        Ok(outgoing) => outgoing,
        Err(error) => {
            let text = format!("the URL cannot be asked for: {error}");
            return Answer::none(OutcomeClass::Connect, text, Duration::ZERO);
        }
    };
    let interim = Interim::default();
    interim.watch(&mut outgoing);

    let failed = |failure: Failure| Answer::none(failure.outcome, failure.text, Duration::ZERO);
    let stage = || match probe.progress() {
        Progress::Resolving => Stage::Resolving,
        Progress::Connecting => Stage::Connecting { https },
        Progress::Pooled | Progress::Connected => Stage::Connected,
    };
    // To give the request up closes its connection.
    let asked = tokio::select! {
        asked = tokio::time::timeout_at(started + first_byte, client.request(outgoing)) => asked,
        text = interim.too_many() => return Answer::none(OutcomeClass::InvalidResponse, text, Duration::ZERO),
    };
    let response = match asked {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return failed(classify::failure(&error, stage())),
        Err(_) => return failed(classify::out_of_time(stage(), first_byte)),
    };
    let head_came = Instant::now();
    let (response, mut incoming) = response.into_parts();
    let (status, headers) = (response.status.as_u16(), response.headers);
    let head = Answer {
        outcome: OutcomeClass::of_status(status),
        status: Some(status),
        error: None,
        took: Duration::ZERO,
        phases: Phases { first_byte_us: Some(micros(head_came - started)), ..Phases::default() },
        headers: HeaderMap::new(),
        body: Snippet::default(),
    };
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let allowed = shared.config.max_response_header_bytes;
    if bytes > allowed {
        let text = format!("the answer's headers have {bytes} bytes, more than the {allowed} that are allowed");
        return Answer { outcome: OutcomeClass::InvalidResponse, error: Some(text), ..head };
    }
    let mut body = Snippet::default();
    let reading = read_body(&mut incoming, &mut body, shared.config.body_snippet_bytes);
    let failure = match tokio::time::timeout_at(started + total, reading).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(classify::failure(&error, Stage::Answering { status })),
        Err(_) => Some(classify::out_of_time(Stage::Answering { status }, total)),
    };
    let phases = Phases { body_us: Some(micros(head_came.elapsed())), ..head.phases };
    let answer = Answer { headers, body, phases, ..head };
    match failure {
        None => answer,
        Some(failure) => Answer { outcome: failure.outcome, error: Some(failure.text), ..answer },
    }
}

/// The request as it is sent. `Host` and `Content-Length` are added where it is written.
fn message(request: Outgoing<'_>) -> Result<http::Request<Full<Bytes>>, http::Error> {
    let to: http::Uri = request.url.as_url()[..Position::AfterQuery].parse()?;
    let mut message = http::Request::post(to).body(Full::new(request.body))?;
    *message.headers_mut() = request.headers;
    message.headers_mut().entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    Ok(message)
}

/// Reads a body to its end or to the cap. One that ends within the cap leaves the connection fit for the next request; of
/// one that goes on, the connection is closed when the rest is dropped, unless that has come already.
async fn read_body(incoming: &mut Incoming, body: &mut Snippet, cap: usize) -> hyper::Result<()> {
    while let Some(frame) = incoming.frame().await {
        let Ok(chunk) = frame?.into_data() else { continue };
        let room = cap - body.bytes.len();
        body.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            body.truncated = true;
            break;
        }
    }
    Ok(())
}
