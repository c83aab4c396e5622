//! A certificate authority for the tests, created anew each time.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

pub struct CertificateAuthority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl CertificateAuthority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // OpenSSL takes a certificate whose subject equals its issuer for self-signed, so the
        // authority has its own name.
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    /// Its own certificate as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A file in the authority's folder: `ca.pem`, or one that [`CertificateAuthority::sign`]
    /// wrote.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path of such a file, as the value of a setting.
    pub fn path(&self, name: &str) -> String {
        self.file(name).to_str().unwrap().to_owned()
    }

    /// The options of a Redis that accepts TLS on a further port with a certificate for a host, and requires one of
    /// its clients.
    pub fn redis_options(&self, host: &str) -> Vec<String> {
        self.sign("redis", host);
        let options = [
            ("--tls-port", "PORT".to_owned()),
            ("--tls-cluster", "yes".to_owned()),
            ("--tls-replication", "yes".to_owned()),
            ("--tls-cert-file", self.path("redis.pem")),
            ("--tls-key-file", self.path("redis.key")),
            ("--tls-ca-cert-file", self.path("ca.pem")),
        ];
        let options = options.map(|(name, value)| [name.to_owned(), value]);
        options.into_iter().flatten().collect()
    }

    /// The settings of a service that trusts this authority and shows a certificate of it to Redis.
    pub fn service_settings(&self) -> Vec<String> {
        self.sign("client", "duologue");
        let settings = [
            ("--redis-ca", "ca.pem"),
            ("--redis-cert", "client.pem"),
            ("--redis-key", "client.key"),
        ];
        let settings = settings.map(|(name, file)| [name.to_owned(), self.path(file)]);
        settings.into_iter().flatten().collect()
    }

    /// Writes a certificate for a host and its key to `<name>.pem` and `<name>.key`.
    pub fn sign(&self, name: &str, host: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
        std::fs::write(self.file(&format!("{name}.pem")), cert.pem()).unwrap();
    }
}
