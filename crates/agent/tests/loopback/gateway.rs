//! A small gateway over real TLS on loopback. What it serves is a [`Cluster`]'s, shared by all its gateways and changed
//! by the test; what it was asked comes back on a channel.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tidegate_core::name::Digest;
use tidegate_core::trust::TrustBundle;
use tidegate_core::wire::{
    EnrollPending, EnrollRequest, EnrollResponse, Have, Problem, ProblemCode, Rejected, SnapshotBody,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::fixture::{Controller, ENDPOINT, FAR, Served};

/// Nothing new: answered after this time at the latest.
const HOLD: Duration = Duration::from_secs(2);

/// What all gateways of a test serve.
pub struct Cluster {
    pub controller: Controller,
    script: Mutex<Script>,
    changed: watch::Sender<u64>,
}

struct Script {
    approved: bool,
    denied: bool,
    uid: &'static str,
    served: Option<Arc<Served>>,
    problem: Option<ProblemCode>,
    bundle: TrustBundle,
    /// Certificates end when this year begins.
    year: i32,
    /// The next snapshot has no parts, whatever the agent has.
    forgetful: bool,
    /// What a status report is answered with, if not with 204.
    deaf: Option<ProblemCode>,
}

/// One call that a gateway saw.
#[derive(Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A listener and its connections; all are cut on drop.
pub struct Gateway {
    pub url: String,
    pub calls: mpsc::UnboundedReceiver<Call>,
    task: JoinHandle<()>,
}

/// How a gateway shows itself.
pub struct Face {
    pub usage: ExtendedKeyUsagePurpose,
    pub name: &'static str,
    pub version: &'static SupportedProtocolVersion,
    /// Its clock stands at the beginning of 1990.
    pub slow: bool,
}

/// A clock that stands at the beginning of 1990.
#[derive(Debug)]
struct Slow;

impl TimeProvider for Slow {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(631_152_000)))
    }
}

// === impl Cluster ===

impl Cluster {
    pub fn new() -> Arc<Self> {
        let controller = Controller::new();
        let script = Script {
            approved: false,
            denied: false,
            uid: "uid-1",
            served: None,
            problem: None,
            bundle: controller.bundle(),
            year: FAR,
            forgetful: false,
            deaf: None,
        };
        Arc::new(Self { controller, script: Mutex::new(script), changed: watch::channel(0).0 })
    }

    /// Approves every enrolment from now on.
    pub fn approve(&self) {
        self.change(|script| script.approved = true);
    }

    /// Denies every enrolment from now on.
    pub fn deny(&self) {
        self.change(|script| script.denied = true);
    }

    /// Serves this from now on.
    pub fn serve(&self, served: Served) -> String {
        let etag = served.etag.clone();
        self.change(|script| script.served = Some(Arc::new(served)));
        etag
    }

    /// Answers every poll with this problem, or stops doing so. Enrolments wait again.
    pub fn fail(&self, problem: Option<ProblemCode>) {
        self.change(|script| (script.problem, script.approved) = (problem, false));
    }

    /// Vouches for another controller's signing key from now on.
    pub fn trust(&self, controller: &Controller) {
        self.change(|script| script.bundle = controller.bundle());
    }

    /// Certificates issued from now on end when this year begins.
    pub fn issue_until(&self, year: i32) {
        self.change(|script| script.year = year);
    }

    /// Leaves every part out of the next snapshot, as if the agent had said to have them, and serves this.
    pub fn serve_without_parts(&self, served: Served) {
        self.script.lock().unwrap().forgetful = true;
        self.serve(served);
    }

    /// Answers every status report with this problem, or takes them.
    pub fn deafen(&self, problem: Option<ProblemCode>) {
        self.change(|script| script.deaf = problem);
    }

    fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
        self.changed.send_modify(|version| *version += 1);
    }

    async fn answer(&self, call: &Call, has_certificate: bool) -> Response<Full<Bytes>> {
        match call.path.as_str() {
            "/v1/trust" => json(200, &self.script.lock().unwrap().bundle),
            "/v1/enroll" => self.enrol(&call.body),
            "/v1/snapshot" if has_certificate => self.snapshot(&call.headers).await,
            "/v1/status" if has_certificate => self.status(),
            "/v1/snapshot" | "/v1/status" => problem(ProblemCode::CertificateRequired),
            _ => problem(ProblemCode::NotFound),
        }
    }

    fn status(&self) -> Response<Full<Bytes>> {
        match self.script.lock().unwrap().deaf {
            Some(code) => problem(code),
            None => Response::builder().status(204).body(Full::default()).unwrap(),
        }
    }

    fn enrol(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let EnrollRequest { csr, .. } = serde_json::from_slice(body).unwrap();
        let script = self.script.lock().unwrap();
        if script.denied {
            return problem(ProblemCode::Denied);
        }
        if script.approved {
            let id = format!("{ENDPOINT}/{}", script.uid);
            let certificate = self.controller.issue(&csr, &id, ExtendedKeyUsagePurpose::ClientAuth, script.year);
            return json(200, &EnrollResponse { certificate });
        }
        let name = format!("berlin.ws-042.{}", &Digest::of(csr.as_bytes()).to_hex()[..16]);
        json(202, &EnrollPending { certificate_signing_request: name, message: "approve it".to_owned() })
    }

    async fn snapshot(&self, headers: &HeaderMap) -> Response<Full<Bytes>> {
        let said = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let mut changed = self.changed.subscribe();
        let news = async {
            loop {
                changed.borrow_and_update();
                let (code, served) = {
                    let script = self.script.lock().unwrap();
                    (script.problem, script.served.clone())
                };
                if let Some(code) = code {
                    return problem(code);
                }
                let rejected = Rejected::parse(&said("tidegate-rejected")).map(|rejected| rejected.manifest);
                let known = |etag: &String| said("if-none-match") == *etag || rejected.as_ref() == Some(etag);
                if let Some(served) = served.filter(|served| !known(&served.etag)) {
                    let forgetful = std::mem::take(&mut self.script.lock().unwrap().forgetful);
                    let everything = || Have::of(served.body.parts.keys());
                    let have = if forgetful { everything() } else { Have::parse(&said("tidegate-have")) };
                    return full(&served, &have);
                }
                changed.changed().await.unwrap();
            }
        };
        let unchanged = || Response::builder().status(304).body(Full::default()).unwrap();
        let mut response = tokio::time::timeout(HOLD, news).await.unwrap_or_else(|_| unchanged());
        response.headers_mut().insert("tidegate-reconnect-window", "0".parse().unwrap());
        response
    }
}

fn full(served: &Served, have: &Have) -> Response<Full<Bytes>> {
    let parts = served.body.parts.iter().filter(|(digest, _)| !have.holds(digest));
    let parts = parts.map(|(digest, envelope)| (*digest, envelope.clone())).collect();
    let mut response = json(200, &SnapshotBody { manifest: served.body.manifest.clone(), parts });
    response.headers_mut().insert("etag", served.etag.parse().unwrap());
    response
}

fn problem(code: ProblemCode) -> Response<Full<Bytes>> {
    json(code.status(), &Problem::new(code, format!("{code:?} by the test")))
}

fn json(status: u16, body: &impl serde::Serialize) -> Response<Full<Bytes>> {
    let response = Response::builder().status(StatusCode::from_u16(status).unwrap()).header("retry-after", "1");
    response.body(Full::from(serde_json::to_vec(body).unwrap())).unwrap()
}

// === impl Gateway ===

impl Face {
    /// A proper gateway.
    pub fn proper() -> Self {
        Self {
            usage: ExtendedKeyUsagePurpose::ServerAuth,
            name: "127.0.0.1",
            version: &rustls::version::TLS13,
            slow: false,
        }
    }

    fn config(&self, controller: &Controller) -> ServerConfig {
        let mut params = CertificateParams::new(vec![self.name.to_owned()]).unwrap();
        params.extended_key_usages = vec![self.usage.clone()];
        let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let chain = vec![params.signed_by(&key, &controller.authority).unwrap().der().clone()];
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(controller.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let verifier = verifier.allow_unauthenticated().build().unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let clock: Arc<dyn TimeProvider> = if self.slow { Arc::new(Slow) } else { Arc::new(DefaultTimeProvider) };
        let builder = ServerConfig::builder_with_details(provider, clock);
        let builder = builder.with_protocol_versions(&[self.version]).unwrap();
        builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap()
    }
}

impl Gateway {
    /// Listens on a free port.
    pub async fn start(cluster: &Arc<Cluster>) -> Self {
        Self::with(cluster, Face::proper(), 0).await
    }

    /// Listens on this port, shown like this.
    pub async fn with(cluster: &Arc<Cluster>, face: Face, port: u16) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(face.config(&cluster.controller)));
        let (seen, calls) = mpsc::unbounded_channel();
        let task = tokio::spawn(accept(listener, acceptor, cluster.clone(), seen));
        Self { url, calls, task }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    cluster: Arc<Cluster>,
    seen: mpsc::UnboundedSender<Call>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, cluster, seen) = (acceptor.clone(), cluster.clone(), seen.clone());
        connections.spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let has_certificate = stream.get_ref().1.peer_certificates().is_some();
            let service = service_fn(|request: Request<Incoming>| async {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let call = Call { method: head.method, path: head.uri.path().to_owned(), headers: head.headers, body };
                let response = cluster.answer(&call, has_certificate).await;
                let _ = seen.send(call);
                Ok::<_, Infallible>(response)
            });
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
