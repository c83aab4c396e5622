//! The certificate of HTTPS, for deployments without a reverse proxy. It can be reloaded when its
//! files change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::SystemTime;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0}: {1}")]
    Pem(PathBuf, rustls::pki_types::pem::Error),
    #[error("the certificate and the key do not match: {0}")]
    Mismatch(#[from] rustls::Error),
}

/// A certificate chain with its key, and the files they come from.
pub struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    current: RwLock<Loaded>,
}

struct Loaded {
    key: Arc<CertifiedKey>,
    /// Modification times of the two files.
    modified: Modified,
}

type Modified = [Option<SystemTime>; 2];

impl Certificate {
    /// Reads a certificate chain and its key.
    pub fn open(cert: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        let current = RwLock::new(Loaded::read(cert, key)?);
        Ok(Arc::new(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            current,
        }))
    }

    /// Reads the files again if they changed; returns whether they did. An error leaves the
    /// previous certificate in use.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        if modified(&self.cert, &self.key) == self.current().modified {
            return Ok(false);
        }
        let loaded = Loaded::read(&self.cert, &self.key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(true)
    }

    /// The settings of a server that presents this certificate (TLS 1.2 and 1.3).
    pub fn server_config(self: &Arc<Self>) -> Result<rustls::ServerConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        Ok(config)
    }

    fn current(&self) -> RwLockReadGuard<'_, Loaded> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().key.clone())
    }
}

/// Prints only a path: `ResolvesServerCert` requires `Debug`, and a key must not be printed.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cert.display())
    }
}

impl Loaded {
    fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        // Read before the files, so that the next check notices a change in between.
        let modified = modified(cert, key);
        let chain =
            CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|e| TlsError::Pem(cert.to_owned(), e))?;
        let key =
            PrivateKeyDer::from_pem_file(key).map_err(|e| TlsError::Pem(key.to_owned(), e))?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        Ok(Self {
            key: Arc::new(key),
            modified,
        })
    }
}

fn modified(cert: &Path, key: &Path) -> Modified {
    [cert, key].map(|file| file.metadata().and_then(|data| data.modified()).ok())
}
