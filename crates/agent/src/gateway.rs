//! One gateway: its address, and calls to it over HTTP/1.1 and TLS with everything bounded: time, headers and body. It
//! knows no route and no retry.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tidegate_core::wire::limit;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// TCP and TLS have to be up within this time.
const CONNECT: Duration = Duration::from_secs(10);

/// The address of a gateway: `https://host[:port]`, port 443 if none is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    host: String,
    port: u16,
}

/// Why a text is not the address of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("https://<host>[:<port>] is expected, without path or user name, for example https://gateway.example:8443")]
pub struct GatewayError;

/// The line to one gateway: at most one connection, kept open between calls.
pub struct Line {
    gateway: Gateway,
    tls: Arc<ClientConfig>,
    open: Option<Open>,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

/// An answer, complete.
#[derive(Debug)]
pub struct Reply {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its headers, together at most [`limit::HEADER`] bytes.
    pub headers: HeaderMap,
    /// Its body, at most as long as the caller allowed.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No TCP connection.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// No TLS: another authority, another name, an expired certificate, no TLS 1.3.
    #[error("no secure connection: {0}")]
    Tls(std::io::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke: {0}")]
    Http(#[from] hyper::Error),
    /// The answer's body broke off or is above the caller's limit.
    #[error("the answer cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// Too slow.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
}

// === impl Gateway ===

impl FromStr for Gateway {
    type Err = GatewayError;
    fn from_str(text: &str) -> Result<Self, GatewayError> {
        let uri: http::Uri = text.trim().parse().map_err(|_| GatewayError)?;
        let authority = uri.authority().ok_or(GatewayError)?;
        let plain = uri.scheme_str() == Some("https") && uri.path() == "/" && uri.query().is_none();
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let named = ServerName::try_from(host).is_ok() && !authority.as_str().contains('@');
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => 443,
            Some(port) => port.trim_start_matches(':').parse().map_err(|_| GatewayError)?,
            None => return Err(GatewayError),
        };
        if !plain || !named || port == 0 {
            return Err(GatewayError);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl Gateway {
    fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

// === impl Line ===

impl Line {
    /// A line that is not connected yet.
    #[must_use]
    pub fn new(gateway: Gateway, tls: Arc<ClientConfig>) -> Self {
        Self { gateway, tls, open: None }
    }

    /// Sends one request, whose URI is a path, and reads the whole answer. Every call must be one that may be repeated:
    /// on a kept connection that turns out to be closed it is sent again on a new one.
    ///
    /// # Errors
    /// [`CallError`]; afterwards the connection is given up.
    pub async fn call(&mut self, request: Request<Bytes>, within: Duration, most: usize) -> Result<Reply, CallError> {
        let was_open = self.open.take().filter(|open| !open.sender.is_closed());
        if let Some(open) = was_open {
            match self.exchange(open, request.clone(), within, most).await {
                Err(CallError::Http(e)) if e.is_canceled() || e.is_closed() => {
                    tracing::debug!(gateway = %self.gateway, "kept connection was closed: {e}")
                }
                other => return other,
            }
        }
        let open = self.connect().await?;
        self.exchange(open, request, within, most).await
    }

    async fn connect(&self) -> Result<Open, CallError> {
        let name = ServerName::try_from(self.gateway.host.clone())
            .map_err(|e| CallError::Connect(std::io::Error::new(std::io::ErrorKind::InvalidInput, e)))?;
        let secure = async {
            let address = (self.gateway.host.as_str(), self.gateway.port);
            let stream = TcpStream::connect(address).await.map_err(CallError::Connect)?;
            stream.set_nodelay(true).map_err(CallError::Connect)?;
            TlsConnector::from(self.tls.clone()).connect(name, stream).await.map_err(CallError::Tls)
        };
        let stream = tokio::time::timeout(CONNECT, secure).await.map_err(|_| CallError::Late(CONNECT))??;
        let (sender, connection) =
            http1::Builder::new().max_buf_size(limit::HEADER).handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!("connection ended: {e}");
            }
        });
        Ok(Open { sender, driver })
    }

    async fn exchange(
        &mut self,
        mut open: Open,
        mut request: Request<Bytes>,
        within: Duration,
        most: usize,
    ) -> Result<Reply, CallError> {
        if let Ok(host) = self.gateway.authority().parse() {
            request.headers_mut().insert(HOST, host);
        }
        let answer = async {
            open.sender.ready().await?;
            let (head, body) = open.sender.send_request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, most).collect().await.map_err(CallError::Body)?.to_bytes();
            Ok(Reply { status: head.status, headers: head.headers, body })
        };
        let reply = tokio::time::timeout(within, answer).await.unwrap_or(Err(CallError::Late(within)))?;
        self.open = Some(open);
        Ok(reply)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_gateways_are_read() {
        for (text, expected) in [
            ("https://gateway.example:8443", "https://gateway.example:8443"),
            ("https://gateway.example", "https://gateway.example:443"),
            ("https://127.0.0.1:1/", "https://127.0.0.1:1"),
            ("https://[::1]:8443", "https://[::1]:8443"),
        ] {
            assert_eq!(text.parse::<Gateway>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_plain_https_address_is_refused() {
        for bad in [
            "",
            "gateway",
            "http://g",
            "https://",
            "https://g/x",
            "https://g?x",
            "https://u@g",
            "https://g:0",
            "https://g:99999",
            "https://g g",
            "ftp://g",
            "https://-",
        ] {
            assert!(bad.parse::<Gateway>().is_err(), "{bad:?}");
        }
    }
}
