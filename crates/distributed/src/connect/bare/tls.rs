//! TLS for it, with the same roots and the same certificate as the other connection has.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Stream;
use crate::config::NatsConfig;

/// Shakes hands.
pub(super) async fn wrap(
    stream: Box<dyn Stream>,
    host: &str,
    config: &NatsConfig,
) -> io::Result<TlsStream<Box<dyn Stream>>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(client(config)?)).connect(name, stream).await
}

/// Files are read anew for each connection: they may have changed.
fn client(config: &NatsConfig) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if config.ca_file.is_empty() {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        for certificate in certificates(&config.ca_file)? {
            roots.add(certificate).map_err(io::Error::other)?;
        }
    }
    let client = ClientConfig::builder().with_root_certificates(roots);
    if config.cert_file.is_empty() {
        return Ok(client.with_no_client_auth());
    }
    let key = PrivateKeyDer::from_pem_file(&config.key_file).map_err(io::Error::other)?;
    client.with_client_auth_cert(certificates(&config.cert_file)?, key).map_err(io::Error::other)
}

fn certificates(path: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(io::Error::other)
}
