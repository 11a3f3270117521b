//! Whom requests out trust: the system's certificate authorities, and those of `egress.ca_file`.
//!
//! The store is read once and shared by all clients. The system's are read with `rustls-native-certs` rather than through
//! a platform verifier: there is one list and one vocabulary of errors for both kinds of roots,
//! and a system without any is a warning, since `ca_file` may hold all that is needed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why the client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EgressSetupError {
    /// `egress.ca_file` cannot be read, or what it holds is not PEM.
    #[error("cannot read certificates from egress.ca_file {path}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// `egress.ca_file` has no certificate in it.
    #[error("egress.ca_file {path} holds no certificate; it needs at least one in PEM form")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in `egress.ca_file` cannot be used as an authority.
    #[error("certificate {number} in egress.ca_file {path} cannot be used as an authority")]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// Which one, from 1.
        number: usize,
        /// Why not.
        source: rustls::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set TLS up")]
    Tls(#[from] rustls::Error),
}

/// The system's roots and those in `ca_file`, if it names a file.
pub(crate) fn roots(ca_file: &str) -> Result<Arc<RootCertStore>, EgressSetupError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's certificate authorities could not be read");
    }
    // Systems ship authorities that rustls cannot use; the others count.
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        tracing::warn!("the system has no certificate authorities: only those of egress.ca_file are trusted");
    }
    if !ca_file.is_empty() {
        add_file(&mut roots, Path::new(ca_file))?;
    }
    Ok(Arc::new(roots))
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), EgressSetupError> {
    let refused = |source| EgressSetupError::CaFile { path: path.to_owned(), source };
    let mut number = 0;
    for certificate in CertificateDer::pem_file_iter(path).map_err(refused)? {
        number += 1;
        roots.add(certificate.map_err(refused)?).map_err(|source| EgressSetupError::BadCertificate {
            path: path.to_owned(),
            number,
            source,
        })?;
    }
    if number == 0 {
        return Err(EgressSetupError::NoCertificate { path: path.to_owned() });
    }
    Ok(())
}

/// A configuration for one client. Each client has its own, so that TLS sessions are not shared between policies.
pub(crate) fn client_config(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(Arc::clone(roots))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
