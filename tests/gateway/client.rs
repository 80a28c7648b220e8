//! An agent's side of the connection, small enough to break it in every way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gate::{Gate, SOON};
use crate::pki::{Authority, Identity};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// Its name in a handshake.
    pub fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// One connection. Dropping it cuts it.
pub struct Connection {
    sender: Sender,
    driver: JoinHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A client that trusts this authority and shows this certificate.
pub fn config(
    authority: &Authority,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let builder = ClientConfig::builder_with_protocol_versions(versions).with_root_certificates(roots);
    match identity.cloned() {
        Some(Identity { chain, key, .. }) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    }
}

pub async fn handshake(gate: &Gate, config: Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(gate.address).await?;
    TlsConnector::from(config).connect("localhost".try_into().unwrap(), tcp).await
}

impl Connection {
    pub async fn open(gate: &Gate, identity: Option<&Identity>, protocol: Protocol) -> std::io::Result<Self> {
        let mut config = config(&gate.authority, identity, &[&rustls::version::TLS13]);
        config.alpn_protocols = vec![protocol.alpn().to_vec()];
        Self::over(handshake(gate, Arc::new(config)).await?, protocol).await
    }

    pub async fn over(stream: TlsStream<TcpStream>, protocol: Protocol) -> std::io::Result<Self> {
        let io = TokioIo::new(stream);
        let (sender, driver) = match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await.map_err(std::io::Error::other)?;
                (Sender::Http1(sender), tokio::spawn(async { drop(connection.await) }))
            }
            Protocol::Http2 => {
                let executor = TokioExecutor::new();
                let (sender, connection) = http2::handshake(executor, io).await.map_err(std::io::Error::other)?;
                (Sender::Http2(sender), tokio::spawn(async { drop(connection.await) }))
            }
        };
        Ok(Self { sender, driver })
    }

    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
        let answer = async {
            let response = match &mut self.sender {
                Sender::Http1(sender) => {
                    *request.uri_mut() = request.uri().path().parse().unwrap();
                    sender.send_request(request).await?
                }
                Sender::Http2(sender) => sender.send_request(request).await?,
            };
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        tokio::time::timeout(SOON, answer).await.expect("an answer within the deadline")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn etag(&self) -> String {
        self.header("etag").expect("an entity tag").to_owned()
    }

    /// The stable code of a problem; its form is checked on the way.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(problem["detail"].as_str().is_some_and(|text| text.ends_with('.')), "{problem}");
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// One call on a connection of its own.
pub async fn call(gate: &Gate, identity: Option<&Identity>, request: Request<Full<Bytes>>) -> Answer {
    Connection::open(gate, identity, Protocol::Http1).await.unwrap().send(request).await.unwrap()
}

pub fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(format!("https://localhost{path}")).header("host", "localhost");
    request.body(Full::new(body.into())).unwrap()
}

pub fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path, Bytes::new())
}

/// A poll that is held for up to `wait` seconds while this tag holds.
pub fn poll(known: Option<&str>, wait: Duration) -> Request<Full<Bytes>> {
    let mut request = get("/v1/snapshot");
    let headers = request.headers_mut();
    headers.insert("prefer", format!("wait={}", wait.as_secs()).parse().unwrap());
    if let Some(tag) = known {
        headers.insert("if-none-match", tag.parse().unwrap());
    }
    request
}
