//! Which certificates are trusted, and how it is said when one is not.

use std::path::PathBuf;
use std::sync::Arc;

use fanfare_core::attempt::OutcomeClass;
use fanfare_egress::{Answer, Egress, EgressConfig};
use fanfare_telemetry::Metrics;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::server::{Client, LONG, Server, loopback, post, serve};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// An authority whose root lies in a PEM file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    fn client(&self) -> Client {
        Client::new(&EgressConfig { ca_file: text(self.dir.path().join("ca.pem")), ..EgressConfig::default() })
    }

    /// A server whose certificate this authority signed.
    async fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Server {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        tls_server(&certificate, &key).await
    }
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

async fn tls_server(certificate: &rcgen::Certificate, key: &KeyPair) -> Server {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                serve(&mut stream, OK).await;
            }
        }
    })
    .await
}

fn assert_tls(answer: &Answer, said: &str) {
    assert_eq!((answer.outcome, answer.error.as_deref()), (OutcomeClass::Tls, Some(said)));
}

#[tokio::test]
async fn an_authority_of_the_ca_file_is_trusted_and_its_connections_are_reused() {
    let authority = Authority::new();
    let server = authority.server("localhost", |_| ()).await;
    let client = authority.client();
    let first = client.post(&server.https("/"), &loopback(), LONG).await;
    assert_eq!(first.outcome, OutcomeClass::Success, "{first:?}");
    assert!(first.phases.dns_us.is_some() && first.phases.connect_us.is_some());
    assert!(client.post(&server.https("/"), &loopback(), LONG).await.phases.reused);
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_named() {
    let authority = Authority::new();
    let client = authority.client();
    let right = authority.server("localhost", |_| ()).await;
    assert_tls(&post(&right.https("/"), LONG).await, "the certificate's issuer is not trusted");

    let wrong_name = authority.server("receiver.example", |_| ()).await;
    let answer = client.post(&wrong_name.https("/"), &loopback(), LONG).await;
    assert_tls(&answer, "the certificate is for another name");

    let expired = authority.server("localhost", |params| params.not_after = date_time_ymd(2001, 1, 1)).await;
    let answer = client.post(&expired.https("/"), &loopback(), LONG).await;
    assert_tls(&answer, "the certificate has expired");

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "signed by itself");
    let self_signed = params.self_signed(&key).unwrap();
    let server = tls_server(&self_signed, &key).await;
    let answer = client.post(&server.https("/"), &loopback(), LONG).await;
    assert_tls(&answer, "the certificate's issuer is not trusted");
}

#[tokio::test]
async fn a_port_without_tls_and_a_broken_handshake_are_named() {
    let plain = Server::start(|mut stream| async move {
        use tokio::io::AsyncWriteExt as _;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert_tls(&post(&plain.https("/"), LONG).await, "the receiver does not speak TLS on this port");

    let closing = Server::start(|stream| async move { drop(stream) }).await;
    assert_tls(&post(&closing.https("/"), LONG).await, "the connection was closed during the TLS handshake");
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_is_a_connect_failure() {
    let silent = Server::start(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let client = Client::new(&EgressConfig { connect_timeout: "200ms".parse().unwrap(), ..EgressConfig::default() });
    let answer = client.post(&silent.https("/"), &loopback(), LONG).await;
    assert_eq!(answer.outcome, OutcomeClass::Connect);
    assert_eq!(answer.error.as_deref(), Some("no connection within 200ms"));
}

#[test]
fn a_ca_file_that_is_missing_or_empty_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let missing = text(dir.path().join("missing.pem"));
    let empty = text(dir.path().join("empty.pem"));
    std::fs::write(&empty, "no certificates here\n").unwrap();
    for (path, said) in [(missing, "cannot read certificates"), (empty, "holds no certificate")] {
        let config = EgressConfig { ca_file: path.clone(), ..EgressConfig::default() };
        let error = Egress::new(&config, Metrics::new("test")).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(&path), "{error}");
    }
}
