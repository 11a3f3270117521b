//! Names whose addresses change: what is connected to is checked, not what was found before.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fanfare_core::attempt::OutcomeClass;
use fanfare_core::egress::EgressPolicy;
use fanfare_egress::{Answer, Egress, EgressConfig, Outgoing};
use fanfare_telemetry::Metrics;
use http::HeaderMap;

use super::server::{LONG, Server, loopback, url};

/// A client whose name server gives these addresses, one answer after the other, the last again and again.
fn resolving(answers: &[&[&str]]) -> Egress {
    let parse = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
    let answers: Vec<Vec<IpAddr>> = answers.iter().map(parse).collect();
    let asked = AtomicUsize::new(0);
    let lookup = move |_: &str| {
        let number = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        Ok(answers[number].clone())
    };
    Egress::with_resolver(&EgressConfig::default(), Metrics::new("test"), Arc::new(lookup)).unwrap()
}

async fn post(egress: &Egress, to: &str, policy: &EgressPolicy) -> Answer {
    let (url, body) = (&url(to), Bytes::from_static(b"{}"));
    egress.post(Outgoing { url, policy, headers: HeaderMap::new(), body, timeout: LONG }).await
}

#[tokio::test]
async fn public_when_the_webhook_is_made_and_private_when_it_is_called() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let egress = resolving(&[&["192.0.43.8"], &["127.0.0.1"]]);
    let to = format!("https://rebinding.example:{}/", server.address.port());
    assert!(egress.resolves(&url(&to)).await);
    let answer = post(&egress, &to, &EgressPolicy::default()).await;
    assert_eq!(answer.outcome, OutcomeClass::EgressDenied, "{answer:?}");
    let error = answer.error.unwrap();
    assert!(error.contains("rebinding.example") && !error.contains("127.0.0.1"), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn allowed_for_one_delivery_and_not_for_the_next() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
    let egress = resolving(&[&["127.0.0.1"], &["10.0.0.1", "::1"], &["10.0.0.1", "fd00::1", "169.254.169.254"]]);
    let to = format!("http://rebinding.example:{}/", server.address.port());
    let policy = EgressPolicy::new(&["127.0.0.0/8".parse().unwrap()]);
    assert_eq!(post(&egress, &to, &policy).await.outcome, OutcomeClass::Success);
    for _ in 0..2 {
        let answer = post(&egress, &to, &policy).await;
        assert_eq!(answer.outcome, OutcomeClass::EgressDenied, "{answer:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn of_several_addresses_only_the_allowed_are_tried() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let egress = resolving(&[&["10.0.0.1", "169.254.169.254", "127.0.0.1", "fd00::1"]]);
    let answer = post(&egress, &format!("http://mixed.example:{}/", server.address.port()), &loopback()).await;
    assert_eq!(answer.outcome, OutcomeClass::Success, "{answer:?}");
}
