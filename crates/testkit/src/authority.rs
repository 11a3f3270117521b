//! A certificate authority for one test: https with a real chain, on loopback.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

/// A root, its PEM in a file, and what it issues.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    /// A new root.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Fanfare test root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("ring makes a key"))
            .expect("the parameters are complete");
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("the temporary directory is writable");
        Self { issuer, dir }
    }

    /// The root in a PEM file: what `egress.ca_file` names.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server's TLS configuration with a certificate for `localhost` and 127.0.0.1.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server_config_with(|_| {})
    }

    /// The same, with whatever is changed about the certificate: its names, or its times.
    pub fn server_config_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("ring makes a key");
        let mut params = local();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("the issuer may sign");
        serving(certificate.der().clone(), &key)
    }

    /// PEM files with a certificate for `localhost` and 127.0.0.1, good for servers and clients, and with its key.
    pub fn files(&self, name: &str) -> CertificateFiles {
        let key = KeyPair::generate().expect("ring makes a key");
        let certificate = local().signed_by(&key, &self.issuer).expect("the issuer may sign");
        let files = CertificateFiles {
            certificate: self.dir.path().join(format!("{name}.pem")),
            key: self.dir.path().join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, certificate.pem()).expect("the temporary directory is writable");
        std::fs::write(&files.key, key.serialize_pem()).expect("the temporary directory is writable");
        files
    }
}

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// The certificate, in PEM form.
    pub certificate: PathBuf,
    /// Its key, in PEM form.
    pub key: PathBuf,
}

/// A server's TLS configuration with a certificate that no authority has signed.
pub fn self_signed_config() -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("ring makes a key");
    let certificate = local().self_signed(&key).expect("the parameters are complete");
    serving(certificate.der().clone(), &key)
}

fn local() -> CertificateParams {
    CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("both are valid subject names")
}

fn serving(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key belongs to the certificate");
    Arc::new(config)
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
