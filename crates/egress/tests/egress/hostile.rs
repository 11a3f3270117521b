//! Every receiver that misbehaves, at once: each ends in its own class, in its time, with what is recorded of it in bounds, and
//! its connection closed.

use std::time::Duration;

use fanfare_core::attempt::{LoggedHeaders, OutcomeClass};
use fanfare_core::clock::Timestamp;
use fanfare_core::ids::AttemptId;
use fanfare_egress::EgressConfig;
use fanfare_testkit::Authority;
use fanfare_testkit::hostile::{Hostile, everybody};
use futures_util::future::join_all;

use super::server::{Client, LONG, loopback, url};

/// How long those get that would take any time.
const SHORT: Duration = Duration::from_millis(1500);

async fn meet(client: &Client, receiver: &Hostile) {
    let name = receiver.name;
    let timeout = if receiver.stalls { SHORT } else { LONG };
    let answer = client.post(&url(&receiver.url()), &loopback(), timeout).await;
    assert_eq!((answer.outcome, answer.status), (receiver.outcome, receiver.status), "{name}: {answer:?}");
    match (receiver.error, &answer.error) {
        (None, None) => {}
        (Some(part), Some(error)) => assert!(error.contains(part) && !error.contains("hidden"), "{name}: {error}"),
        (expected, found) => panic!("{name}: the error is {found:?} and should be {expected:?}"),
    }
    assert!(!receiver.stalls || answer.took >= SHORT, "{name} took {:?}", answer.took);
    assert!(answer.body.bytes.len() <= 16 * 1024, "{name}");
    let headers: usize = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    assert!(headers <= 64 * 1024, "{name}");
    let phases = answer.phases;
    let came_to = |outcomes: &[OutcomeClass]| outcomes.contains(&receiver.outcome);
    assert_eq!(phases.connect_us.is_none(), came_to(&[OutcomeClass::Connect, OutcomeClass::Tls]), "{name}: {phases:?}");
    assert_eq!(phases.first_byte_us.is_some(), answer.status.is_some(), "{name}: {phases:?}");
    assert!(!phases.reused, "{name}");

    let attempt = answer.into_attempt(AttemptId(Default::default()), 1, Timestamp::EPOCH, LoggedHeaders::default());
    let stored = serde_json::to_vec(&attempt).unwrap();
    assert_eq!(serde_json::from_slice::<fanfare_core::attempt::Attempt>(&stored).unwrap(), attempt, "{name}");
    if receiver.closes {
        receiver.is_left_alone().await;
    }
}

#[tokio::test]
async fn each_ends_in_its_own_class_in_its_time_and_leaves_nothing_open() {
    let authority = Authority::new();
    let receivers = everybody(&authority).await;
    let ca_file = authority.ca_file().display().to_string();
    let client = Client::new(&EgressConfig { ca_file, ..EgressConfig::default() });
    join_all(receivers.iter().map(|receiver| meet(&client, receiver))).await;
    drop(client);
    join_all(receivers.iter().map(Hostile::is_left_alone)).await;
}
