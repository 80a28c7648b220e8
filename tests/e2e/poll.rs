//! One poll with the certificate of an agent that has been enrolled, to see what the gateway itself answers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::agent::SOON;

/// What a gateway answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The ETag, with its quotes.
    pub etag: Option<String>,
    /// The body; null if it is no JSON.
    pub body: Value,
}

/// The key and certificate of an enrolled agent, as they lie in its state.
pub struct Certified {
    config: Arc<ClientConfig>,
}

// === impl Certified ===

impl Certified {
    /// Reads them from an agent's folder; a later change there changes nothing here.
    pub fn of(folder: &Path) -> Result<Self> {
        let state = folder.join("state");
        let bundle: Value = serde_json::from_slice(&std::fs::read(state.join("trust.json"))?)?;
        let mut roots = RootCertStore::empty();
        for authority in
            bundle["certificateAuthorities"].as_array().with_context(|| format!("no authorities in {bundle}"))?
        {
            let pem = authority.as_str().context("not PEM")?;
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes())?)?;
        }
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(state.join("identity/certificate.pem"))?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(state.join("identity/key.pem"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?;
        let config = builder.with_root_certificates(roots).with_client_auth_cert(chain, key)?;
        Ok(Self { config: Arc::new(config) })
    }

    /// `GET /v1/snapshot`, not held.
    pub async fn poll(&self, gateway: SocketAddr) -> Result<Answer> {
        tokio::time::timeout(SOON, self.ask(gateway)).await.context("no answer")?
    }

    async fn ask(&self, gateway: SocketAddr) -> Result<Answer> {
        let tcp = TcpStream::connect(gateway).await?;
        let name = ServerName::from(gateway.ip());
        let tls = TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        let driver = tokio::spawn(connection);
        let request = Request::get("/v1/snapshot").header(header::HOST, gateway.to_string());
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let etag = response.headers().get(header::ETAG).map(|tag| tag.to_str().map(str::to_owned)).transpose()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        driver.abort();
        Ok(Answer { status, etag, body: serde_json::from_slice(&body).unwrap_or_default() })
    }
}
