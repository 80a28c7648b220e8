//! Stands between a server of ours and the API server, understands what passes, and does to it what a test asks: plain HTTP on
//! loopback in, TLS out, the caller's token passed on. It counts every call. See `fault` for what can go wrong.

mod body;
mod call;
mod fault;
mod upstream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use self::body::{AnyBody, Pump};
pub use self::call::Call;
use self::fault::Rules;
pub use self::fault::{Fault, Handle};
use self::upstream::{Connection, Upstream};
use crate::identity::Cluster;

/// A running proxy. It runs on a thread of its own, so that it works whatever the test's runtime does; it ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

/// What all connections share.
struct Shared {
    rules: Arc<Rules>,
    calls: Mutex<Vec<Call>>,
    accepted: Mutex<Vec<Call>>,
    upstream: Upstream,
}

/// The caller's connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut off: {0}")]
struct CutOff(String);

// === impl Proxy ===

impl Proxy {
    /// Starts one in front of a control plane's API server, which does not have to run yet.
    ///
    /// # Errors
    /// When there is no free port, or the authority does not read.
    pub(crate) fn start(cluster: &Cluster) -> Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let upstream = Upstream::new(cluster)?;
        let shared =
            Arc::new(Shared { rules: Arc::default(), calls: Mutex::default(), accepted: Mutex::default(), upstream });
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = Arc::clone(&shared);
        std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            // Connections end with their runtime.
            runtime.block_on(serve(listener, serving, stopped));
        })?;
        Ok(Self { address, shared, stop })
    }

    /// Its address as the `server` of a kubeconfig.
    #[must_use]
    pub fn server(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on `fault` happens to the calls that match, until the handle is dropped.
    #[must_use]
    pub fn fault(&self, fault: Fault, matches: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Handle {
        self.shared.rules.add(fault, None, matches)
    }

    /// Likewise, but only to the `number`-th call that matches, from 1 on.
    #[must_use]
    pub fn fault_once(
        &self,
        fault: Fault,
        number: usize,
        matches: impl Fn(&Call) -> bool + Send + Sync + 'static,
    ) -> Handle {
        self.shared.rules.add(fault, Some(number), matches)
    }

    /// Every call so far, in the order they came.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those of them that the API server carried out, in the order in which it did.
    #[must_use]
    pub fn accepted(&self) -> Vec<Call> {
        self.shared.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    // It was bound a moment ago and is not blocking.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        let accepted = tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, Arc::clone(&shared)))),
            // Out of file descriptors, say: the next one may fare better.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One of the caller's connections, with one of its own to the API server.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let behind = Arc::new(tokio::sync::Mutex::new(Connection::default()));
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, behind) = (Arc::clone(&shared), Arc::clone(&behind));
        async move { shared.answer(request, &mut *behind.lock().await).await }
    });
    // Whatever ends the connection, the caller sees it.
    let _ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

// === impl Shared ===

impl Shared {
    async fn answer(&self, request: Request<Incoming>, behind: &mut Connection) -> Result<Response<AnyBody>, CutOff> {
        let call = Call::of(request.method(), request.uri());
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        let rule = self.rules.of(&call);
        let fault = rule.as_ref().map(|rule| rule.fault);
        if let Some(rule) = &rule {
            match rule.fault {
                Fault::HoldBefore => rule.hold().await,
                Fault::Delay(time) => tokio::time::sleep(time).await,
                Fault::Cut => return Err(CutOff("by a rule".to_owned())),
                Fault::Silent => {
                    rule.hold().await;
                    return Err(CutOff("after silence".to_owned()));
                }
                Fault::Answer(code) => return Ok(status(code)),
                Fault::HoldAfter | Fault::Mute | Fault::Gone | Fault::Duplicate | Fault::Reorder | Fault::Hide(_) => {}
            }
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| CutOff(error.to_string()))?.to_bytes();
        let answer = self.upstream.send(behind, head, body).await.map_err(|error| CutOff(format!("{error:#}")))?;
        if answer.status().is_success() {
            self.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(call.clone());
        }
        if call.verb == "watch" && answer.status().is_success() {
            let (head, body) = answer.into_parts();
            return Ok(Response::from_parts(head, Pump::start(body, call, Arc::clone(&self.rules))));
        }
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| CutOff(error.to_string()))?.to_bytes();
        if let (Some(rule), Some(Fault::HoldAfter)) = (&rule, fault) {
            rule.hold().await;
        }
        Ok(Response::from_parts(head, whole(body)))
    }
}

fn whole(bytes: Bytes) -> AnyBody {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}

/// An answer as the API server gives it, with this code.
fn status(code: u16) -> Response<AnyBody> {
    let body = body::status(code);
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = Response::new(whole(Bytes::from(json!(body).to_string())));
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}
