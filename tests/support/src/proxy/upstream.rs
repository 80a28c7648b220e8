//! The connection behind: HTTP/1.1 over TLS to the API server, one for each connection of the caller.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderValue, Response, header, request};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::identity::Cluster;

/// Where the API server is and how it is known.
pub(super) struct Upstream {
    /// `<ip>:<port>`
    address: String,
    tls: TlsConnector,
}

/// A connection, made when it is first needed and again when the API server has closed it.
#[derive(Default)]
pub(super) struct Connection(Option<SendRequest<Full<Bytes>>>);

// === impl Upstream ===

impl Upstream {
    pub(super) fn new(cluster: &Cluster) -> Result<Self> {
        let address = cluster.server.strip_prefix("https://").context("the API server has no https address")?;
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(cluster.authority.as_bytes()) {
            roots.add(authority?)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { address: address.to_owned(), tls: TlsConnector::from(Arc::new(config)) })
    }

    /// Sends a request on `connection` and gives the answer, its body still to be read.
    pub(super) async fn send(
        &self,
        connection: &mut Connection,
        mut head: request::Parts,
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        head.headers.insert(header::HOST, HeaderValue::from_str(&self.address)?);
        // Whole on this side, and readable: the length is known anew, and nothing is compressed.
        for changed in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING, header::CONNECTION]
        {
            head.headers.remove(changed);
        }
        let sender = self.connected(connection).await?;
        let answered = sender.send_request(http::Request::from_parts(head, Full::new(body))).await;
        let mut answer = answered.context("no answer from the API server")?;
        for changed in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION] {
            answer.headers_mut().remove(changed);
        }
        Ok(answer)
    }

    async fn connected<'a>(&self, connection: &'a mut Connection) -> Result<&'a mut SendRequest<Full<Bytes>>> {
        let usable = match connection.0.as_mut() {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let tcp = TcpStream::connect(&self.address).await?;
            tcp.set_nodelay(true)?;
            let address: std::net::SocketAddr = self.address.parse()?;
            let tls = self.tls.connect(ServerName::IpAddress(address.ip().into()), tcp).await?;
            let (sender, connection_task) = handshake(TokioIo::new(tls)).await?;
            // It ends with the sender, or when the API server closes it; whoever waits for an answer is told.
            tokio::spawn(async move { drop(connection_task.await) });
            connection.0 = Some(sender);
        }
        connection.0.as_mut().context("just connected")
    }
}
