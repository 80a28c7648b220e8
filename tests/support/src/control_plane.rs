//! Starts etcd, kube-apiserver and kube-controller-manager, waits until they are ready, and hands out identities. It knows
//! nothing of Tidegate: see `install` and `servers`.

mod programs;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::OnceCell;

use self::programs::Programs;
use crate::assets;
use crate::eventually::eventually;
use crate::identity::{Cluster, Identity};
use crate::pki::Authority;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::sandbox::Sandbox;

/// It is ready in 3 to 5 s; the rest is for a machine that builds something else at the same time.
const READY_DEADLINE: Duration = Duration::from_secs(90);
/// After its store was gone the API server's client of it waits up to 120 s, and a fifth, between two tries (gRPC's connection backoff).
const BACK_DEADLINE: Duration = Duration::from_secs(180);

/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(3);

/// How often a start is tried: a port that was free may be taken before the server binds it.
const ATTEMPTS: usize = 3;

/// How long a ServiceAccount token is valid, in seconds: longer than any test run.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// A running control plane. Everything of it is gone after the drop, or after the death of this process.
pub struct ControlPlane {
    /// The API server, for faults.
    pub api_server: Process,
    /// Its store, for faults.
    pub etcd: Process,
    /// Built-in controllers: namespace deletion, garbage collection, aggregation of roles.
    pub controller_manager: Process,
    sandbox: Arc<Sandbox>,
    authority: Authority,
    cluster: Cluster,
    admin: Identity,
    programs: Programs,
    store: String,
    /// Those that were started again.
    again: Mutex<Vec<Process>>,
    minor: u32,
}

/// The control plane that all tests of this binary share, with Tidegate installed; started by the first that asks.
///
/// # Errors
/// When it does not start; all callers get the same text.
pub async fn control_plane() -> Result<&'static ControlPlane> {
    static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
    let start = ControlPlane::start_installed;
    let shared = SHARED.get_or_init(async || start().await.map_err(|error| format!("{error:#}"))).await;
    shared.as_ref().map_err(|text| anyhow!("{text}"))
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts a new one, empty, on free ports of 127.0.0.1.
    ///
    /// # Errors
    /// When the programs are not built, or it is not ready within 90 s; the text has the last lines of who failed.
    pub async fn start() -> Result<Self> {
        let programs = assets::control_plane_programs()?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&programs).await {
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") => {
                    attempt += 1
                }
                result => return result,
            }
        }
    }

    /// Starts a new one with Tidegate installed on it and no process of it running.
    ///
    /// # Errors
    /// As `start` and `install`.
    pub async fn start_installed() -> Result<Self> {
        let started = Self::start().await?;
        started.install().await?;
        Ok(started)
    }

    async fn start_once(folder: &Path) -> Result<Self> {
        let sandbox = Sandbox::create()?;
        let authority = Authority::create()?;
        let programs = Programs::prepare(&sandbox, folder, &authority)?;
        let (etcd, store) = programs.etcd()?;
        let (api_server, server) = programs.api_server(&store)?;

        let cluster = Cluster { server, authority: authority.pem(), kubectl: folder.join("kubectl") };
        let identity = |user: &str, group: Option<&str>| {
            Identity::by_certificate(&sandbox, &cluster, user, &authority.client(user, group)?)
        };
        let admin = identity("tidegate-test-admin", Some("system:masters"))?;
        let minor = ready(&admin.client().await?, &etcd, &api_server).await?;
        let controller_manager =
            programs.controller_manager(identity("system:kube-controller-manager", None)?.kubeconfig())?;
        let again = Mutex::default();
        Ok(Self {
            api_server,
            etcd,
            controller_manager,
            sandbox,
            authority,
            cluster,
            admin,
            programs,
            store,
            again,
            minor,
        })
    }

    /// A member of `system:masters`: RBAC does not bind it, admission does.
    #[must_use]
    pub fn admin(&self) -> &Identity {
        &self.admin
    }

    /// A person with a user name such as `alice@corp` and, so far, no rights.
    ///
    /// # Errors
    /// When the credential cannot be made.
    pub fn person(&self, user: &str) -> Result<Identity> {
        self.person_in(user, None)
    }

    /// A person in a group.
    ///
    /// # Errors
    /// When the credential cannot be made.
    pub fn person_in(&self, user: &str, group: Option<&str>) -> Result<Identity> {
        Identity::by_certificate(&self.sandbox, &self.cluster, user, &self.authority.client(user, group)?)
    }

    /// An existing ServiceAccount, by a token from TokenRequest, valid for a day.
    ///
    /// # Errors
    /// When it does not exist, or the API server gives no token.
    pub async fn service_account(&self, namespace: &str, name: &str) -> Result<Identity> {
        let api: Api<ServiceAccount> = Api::namespaced(self.admin.client().await?, namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let granted = api.create_token_request(name, &PostParams::default(), &request).await?;
        let token = granted.status.context("a TokenRequest was answered without a token")?.token;
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Identity::by_token(&self.sandbox, &self.cluster, &user, &token)
    }

    /// The folder and watchdog of this control plane, for further processes and files.
    #[must_use]
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.cluster.server
    }

    /// The API server's audit log, one JSON event a line: writes, of requests with their bodies, and reads of the shipped
    /// ServiceAccounts.
    #[must_use]
    pub fn audit_log(&self) -> &Path {
        &self.programs.audit_log
    }

    /// A proxy in front of its API server.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn proxy(&self) -> Result<Proxy> {
        Proxy::start(&self.cluster)
    }

    /// Waits until its API server answers again. A question asked too early may hang, so each waits for a moment only.
    ///
    /// # Errors
    /// When it does not within 180 s.
    pub async fn answers(&self) -> Result<()> {
        let client = self.admin.client().await?;
        eventually("the API server's readiness", BACK_DEADLINE, async || {
            let asked = client.request_text(http::Request::get("/readyz").body(Vec::new())?);
            tokio::time::timeout(ANSWER, asked).await??;
            Ok(())
        })
        .await
    }

    /// Starts the API server again, after its end, where it was; returns at once.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn api_server_again(&self) -> Result<()> {
        let process = self.programs.api_server_at(&self.store, &self.cluster.server)?;
        self.again.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        Ok(())
    }

    /// Starts the store again, after its end, with what it has stored; returns at once.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn etcd_again(&self) -> Result<()> {
        let process = self.programs.etcd_at(&self.store)?;
        self.again.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        Ok(())
    }

    /// The API server's minor version: 36 for 1.36.3.
    #[must_use]
    pub fn minor(&self) -> u32 {
        self.minor
    }
}

/// Waits until the API server is ready, as long as it and its store live. Says its minor version.
async fn ready(client: &kube::Client, etcd: &Process, api_server: &Process) -> Result<u32> {
    let ready = eventually("the API server's readiness", READY_DEADLINE, async || {
        // The inner error ends the wait: a dead child never becomes ready.
        if let Err(dead) = etcd.lives().and_then(|()| api_server.lives()) {
            return Ok(Err(dead));
        }
        client.request_text(http::Request::get("/readyz").body(Vec::new())?).await?;
        Ok(Ok(()))
    });
    let logs = || format!("etcd:\n{}kube-apiserver:\n{}", etcd.stderr.tail(5), api_server.stderr.tail(20));
    ready.await.with_context(logs)??;
    let version = client.apiserver_version().await?;
    version.minor.parse().with_context(|| format!("not a minor version: {}", version.minor))
}
