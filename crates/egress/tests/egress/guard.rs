//! What the guard refuses, and that nothing is connected to then.

use fanfare_core::attempt::OutcomeClass;
use fanfare_core::egress::EgressPolicy;
use fanfare_egress::EgressConfig;

use super::server::{Client, LONG, Server, loopback, url};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn private_addresses_are_refused_as_literals_and_behind_names() {
    let server = Server::answering(OK).await;
    let client = Client::new(&EgressConfig::default());
    let port = server.address.port();
    let elsewhere = EgressPolicy::new(&["10.0.0.0/8".parse().unwrap()]);
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
        for policy in [EgressPolicy::default(), elsewhere.clone()] {
            let answer = client.post(&url(&format!("https://{host}:{port}/?token=hidden")), &policy, LONG).await;
            assert_eq!(answer.outcome, OutcomeClass::EgressDenied, "{host}: {answer:?}");
            assert!(!answer.error.unwrap().contains("hidden"));
        }
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn http_goes_to_exceptions_only() {
    let server = Server::answering(OK).await;
    let client = Client::new(&EgressConfig::default());
    let port = server.address.port();
    for host in ["127.0.0.1", "localhost"] {
        let to = url(&format!("http://{host}:{port}/"));
        assert_eq!(client.post(&to, &loopback(), LONG).await.outcome, OutcomeClass::Success);
        let answer = client.post(&to, &EgressPolicy::default(), LONG).await;
        assert_eq!(answer.outcome, OutcomeClass::EgressDenied);
    }
    let public = client.post(&url("http://192.0.43.8/"), &loopback(), LONG).await;
    assert_eq!(public.outcome, OutcomeClass::EgressDenied);
    let error = public.error.unwrap();
    assert!(error.contains("192.0.43.8") && error.contains("use https"), "{error}");
    let by_name = client.post(&url("http://fanfare.example/"), &EgressPolicy::default(), LONG).await;
    assert_eq!(by_name.outcome, OutcomeClass::EgressDenied);
}
