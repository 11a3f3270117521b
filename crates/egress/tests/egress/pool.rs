//! Which requests share connections.

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::egress::EgressPolicy;
use fanfare_egress::EgressConfig;

use super::server::{Client, LONG, Server, loopback};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Loopback too, but another policy.
fn wider() -> EgressPolicy {
    EgressPolicy::new(&["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()])
}

#[tokio::test]
async fn the_second_request_finds_the_connection_of_the_first() {
    let server = Server::answering(OK).await;
    let client = Client::new(&EgressConfig::default());
    let first = client.post(&server.http("/"), &loopback(), LONG).await;
    let second = client.post(&server.http("/other"), &loopback(), LONG).await;
    assert!(!first.phases.reused && first.phases.connect_us.is_some());
    assert!(second.phases.reused && second.phases.connect_us.is_none() && second.phases.dns_us.is_none());
    assert_eq!((server.connections(), client.connections("new"), client.connections("reused")), (1, 1, 1));
}

#[tokio::test]
async fn a_name_is_looked_up_for_a_new_connection_only() {
    let server = Server::answering(OK).await;
    let client = Client::new(&EgressConfig::default());
    let to = super::server::url(&format!("http://localhost:{}/", server.address.port()));
    let first = client.post(&to, &loopback(), LONG).await;
    assert_eq!(first.outcome, OutcomeClass::Success, "{first:?}");
    assert!(first.phases.dns_us.is_some());
    let second = client.post(&to, &loopback(), LONG).await;
    assert!(second.phases.reused && second.phases.dns_us.is_none());
}

#[tokio::test]
async fn connections_are_not_shared_between_policies() {
    let server = Server::answering(OK).await;
    let client = Client::new(&EgressConfig::default());
    assert!(!client.post(&server.http("/"), &loopback(), LONG).await.phases.reused);
    assert!(!client.post(&server.http("/"), &wider(), LONG).await.phases.reused);
    assert_eq!(server.connections(), 2);
    let stranger = EgressPolicy::new(&["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(client.post(&server.http("/"), &stranger, LONG).await.outcome, OutcomeClass::EgressDenied);
    assert!(client.post(&server.http("/"), &loopback(), LONG).await.phases.reused);
}

#[tokio::test]
async fn the_policy_that_was_not_used_for_longest_makes_room() {
    let server = Server::answering(OK).await;
    let client = Client::new(&EgressConfig { policy_clients: 1, ..EgressConfig::default() });
    for policy in [loopback(), wider(), loopback()] {
        assert!(!client.post(&server.http("/"), &policy, LONG).await.phases.reused);
    }
    assert!(client.post(&server.http("/"), &loopback(), LONG).await.phases.reused);
}

#[tokio::test]
async fn a_failed_connection_is_neither_new_nor_reused() {
    let client = Client::new(&EgressConfig::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = super::server::url(&format!("http://{}/", listener.local_addr().unwrap()));
    drop(listener);
    let answer = client.post(&to, &loopback(), LONG).await;
    assert_eq!(answer.outcome, OutcomeClass::Connect);
    assert_eq!((client.connections("new"), client.connections("reused")), (0, 0));
    assert!(!answer.phases.reused);
}

#[tokio::test]
async fn many_at_once_count_each_connection_once() {
    let server = Server::answering(OK).await;
    let client = Client::new(&EgressConfig::default());
    let (to, policy) = (server.http("/"), loopback());
    for _ in 0..5 {
        let together = std::array::from_fn::<_, 8, _>(|_| client.post(&to, &policy, LONG));
        let [a, b, c, d, e, f, g, h] = together;
        let answers = tokio::join!(a, b, c, d, e, f, g, h);
        assert_eq!(answers.0.outcome, OutcomeClass::Success);
        assert_eq!(answers.7.outcome, OutcomeClass::Success);
    }
    assert_eq!(client.connections("new") + client.connections("reused"), 40);
    assert!(client.connections("new") <= server.connections() as u64);
    assert!(client.connections("reused") > 0);
}
