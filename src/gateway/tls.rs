//! The TLS settings of the agents' listener, from `--tls-dir`: TLS 1.3 only, client certificates of our authority verified
//! where shown, and no resumption, which would skip that check.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use tidegate_core::interval::Instant;
use tidegate_core::name::Digest;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::clock;

/// Why the files in `--tls-dir` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or not readable.
    #[error("--tls-dir: {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// A file does not hold what its name says.
    #[error("--tls-dir: {0}: {1}")]
    Pem(PathBuf, rustls::pki_types::pem::Error),
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("--tls-dir: {0}: {1}")]
    Refused(PathBuf, String),
}

/// The settings now. Connections that exist keep those they began with.
#[derive(Debug)]
pub struct Tls {
    folder: PathBuf,
    loaded: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    /// Of the files' content.
    digest: Digest,
    /// Of the first certificate in the chain.
    validity: (Instant, Instant),
    config: Arc<ServerConfig>,
}

/// Client certificates are judged by the same time as everything else.
#[derive(Debug)]
struct KeptTime;

// === impl KeptTime ===

impl TimeProvider for KeptTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(clock::now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

// === impl Tls ===

impl Tls {
    /// Reads the files in this folder.
    ///
    /// # Errors
    /// See `TlsError`.
    pub fn load(folder: &Path) -> Result<Self, TlsError> {
        let loaded = ArcSwap::from_pointee(Loaded::read(folder)?);
        Ok(Self { folder: folder.to_owned(), loaded })
    }

    /// Reads the files again; says whether they differ. On an error the settings before stay.
    ///
    /// # Errors
    /// See `TlsError`; also while the files are being replaced.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let new = Loaded::read(&self.folder)?;
        let differs = new.digest != self.loaded.load().digest;
        if differs {
            self.loaded.store(Arc::new(new));
        }
        Ok(differs)
    }

    /// The settings for the next connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.load().config)
    }

    /// First second and end of the certificate for the next connection.
    #[must_use]
    pub fn validity(&self) -> (Instant, Instant) {
        self.loaded.load().validity
    }
}

// === impl Loaded ===

impl Loaded {
    fn read(folder: &Path) -> Result<Self, TlsError> {
        let [chain, key, authorities] = ["tls.crt", "tls.key", "ca.crt"].map(|name| folder.join(name));
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| TlsError::Read(path.clone(), error));
        let (chain_pem, key_pem, authorities_pem) = (read(&chain)?, read(&key)?, read(&authorities)?);
        let digest = Digest::of(&[&chain_pem[..], b"\0", &key_pem, b"\0", &authorities_pem].concat());
        let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| TlsError::Pem(key, error))?;
        let certificates = certificates(&chain_pem, &chain)?;
        let validity = validity(&certificates)
            .ok_or_else(|| TlsError::Refused(chain.clone(), "its first certificate is not X.509".to_owned()))?;
        let mut roots = RootCertStore::empty();
        for authority in self::certificates(&authorities_pem, &authorities)? {
            roots.add(authority).map_err(|e| TlsError::Refused(authorities.clone(), e.to_string()))?;
        }
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
            .allow_unauthenticated()
            .build()
            .map_err(|e| TlsError::Refused(authorities.clone(), e.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(KeptTime))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| TlsError::Refused(chain.clone(), e.to_string()))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, private)
            .map_err(|e| TlsError::Refused(chain, e.to_string()))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { digest, validity, config: Arc::new(config) })
    }
}

fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| TlsError::Pem(path.to_owned(), error))?;
    if found.is_empty() {
        return Err(TlsError::Refused(path.to_owned(), "no certificate in it".to_owned()));
    }
    Ok(found)
}

fn validity(chain: &[CertificateDer<'_>]) -> Option<(Instant, Instant)> {
    let (_, first) = X509Certificate::from_der(chain.first()?).ok()?;
    let validity = first.validity();
    let at = |time: x509_parser::time::ASN1Time| Instant::from_second(time.timestamp());
    Some((at(validity.not_before), at(validity.not_after)))
}
