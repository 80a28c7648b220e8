//! The command lines of etcd, kube-apiserver and kube-controller-manager, and the files they share. Knows nothing of
//! readiness or of who uses them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::pki::{Authority, TokenKey};
use crate::process::Process;
use crate::sandbox::Sandbox;

/// What runs in kube-controller-manager: all that works without nodes and that an API of ours or a test leans on.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
    clusterrole-aggregation-controller,certificatesigningrequest-cleaner-controller,\
    validatingadmissionpolicy-status-controller,root-ca-certificate-publisher-controller,ttl-after-finished-controller";

/// Writes are recorded, with who made them and what admission policies noted; of the shipped ServiceAccounts reads as well. Writes
/// of requests with what was stored: a checker reads from it what was acknowledged.
const AUDIT_POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
  "rules": [
    {"level": "RequestResponse", "verbs": ["create", "update", "patch", "delete"], "resources": [{
      "group": "tidegate.dev", "resources": ["elevationrequests", "elevationrequests/status"]
    }]},
    {"level": "Metadata", "userGroups": ["system:serviceaccounts:tidegate-system"]},
    {"level": "None", "verbs": ["get", "list", "watch"]},
    {"level": "Metadata"}
  ]
}"#;

/// The programs of one control plane, ready to be started.
pub(super) struct Programs {
    /// Where the API server writes its audit log.
    pub(super) audit_log: PathBuf,
    sandbox: Arc<Sandbox>,
    folder: PathBuf,
    /// The store's folder.
    data: PathBuf,
    audit_policy: PathBuf,
    ca: PathBuf,
    serving_certificate: PathBuf,
    serving_key: PathBuf,
    token_private: PathBuf,
    token_public: PathBuf,
}

// === impl Programs ===

impl Programs {
    /// Writes the keys and settings of the programs in `folder`.
    pub(super) fn prepare(sandbox: &Arc<Sandbox>, folder: &Path, authority: &Authority) -> Result<Self> {
        let file = |name: &str, contents: &str| sandbox.fresh_file("keys", name, contents);
        let (serving, token) = (authority.loopback_server()?, TokenKey::create()?);
        Ok(Self {
            audit_log: sandbox.fresh_path("logs", "audit.json")?,
            sandbox: Arc::clone(sandbox),
            folder: folder.to_owned(),
            data: sandbox.fresh_folder("etcd")?,
            audit_policy: file("audit-policy.json", AUDIT_POLICY)?,
            ca: file("ca.pem", &authority.pem())?,
            serving_certificate: file("serving.pem", &serving.certificate)?,
            serving_key: file("serving-key.pem", &serving.key)?,
            token_private: file("token-private.pem", &token.private)?,
            token_public: file("token-public.pem", &token.public)?,
        })
    }

    /// Starts etcd on a free port, with an empty store, and says where clients reach it.
    pub(super) fn etcd(&self) -> Result<(Process, String)> {
        let address = format!("http://127.0.0.1:{}", free_port()?);
        Ok((self.etcd_at(&address)?, address))
    }

    /// Starts etcd at `address`, with what an earlier one has stored.
    pub(super) fn etcd_at(&self, address: &str) -> Result<Process> {
        let mut command = Command::new(self.folder.join("etcd"));
        command
            .arg(flag("data-dir", &self.data))
            .arg(format!("--listen-client-urls={address}"))
            .arg(format!("--advertise-client-urls={address}"))
            .arg("--listen-peer-urls=http://127.0.0.1:0");
        Process::spawn(&self.sandbox, "etcd", command)
    }

    /// Starts the API server on `store` and a free port and says where it will listen.
    pub(super) fn api_server(&self, store: &str) -> Result<(Process, String)> {
        let address = format!("https://127.0.0.1:{}", free_port()?);
        Ok((self.api_server_at(store, &address)?, address))
    }

    /// Starts the API server on `store`, to listen at `address`.
    pub(super) fn api_server_at(&self, store: &str, address: &str) -> Result<Process> {
        let port = address.rsplit(':').next().context("an address without a port")?;
        let mut command = Command::new(self.folder.join("kube-apiserver"));
        command
            .arg(format!("--etcd-servers={store}"))
            // No endpoints of the service `kubernetes`: a loopback address is not allowed in them.
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"])
            .arg(format!("--secure-port={port}"))
            .arg(flag("tls-cert-file", &self.serving_certificate))
            .arg(flag("tls-private-key-file", &self.serving_key))
            .args([flag("client-ca-file", &self.ca), "--authorization-mode=RBAC".to_owned()])
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg(flag("service-account-signing-key-file", &self.token_private))
            .arg(flag("service-account-key-file", &self.token_public))
            // Without nodes nothing mounts tokens.
            .args(["--disable-admission-plugins=ServiceAccount", "--service-cluster-ip-range=10.96.0.0/16"])
            .arg(flag("audit-log-path", &self.audit_log))
            // One file, in megabytes: at the default of 100 it would begin a new one, and whoever reads the log would miss what was before.
            .arg("--audit-log-maxsize=100000")
            .arg(flag("audit-policy-file", &self.audit_policy));
        Process::spawn(&self.sandbox, "kube-apiserver", command)
    }

    /// Starts the controller manager as the identity of `kubeconfig`.
    pub(super) fn controller_manager(&self, kubeconfig: &Path) -> Result<Process> {
        let mut command = Command::new(self.folder.join("kube-controller-manager"));
        command
            .arg(flag("kubeconfig", kubeconfig))
            .arg(flag("root-ca-file", &self.ca))
            .arg(flag("service-account-private-key-file", &self.token_private))
            .args(["--use-service-account-credentials", "--leader-elect=false", "--secure-port=0"])
            // Its client's own limit is 20 calls a second; ours has none.
            .args(["--kube-api-qps=5000", "--kube-api-burst=5000"])
            .arg(format!("--controllers={CONTROLLERS}"));
        Process::spawn(&self.sandbox, "kube-controller-manager", command)
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

/// A port that was free a moment ago. Neither etcd nor the API server reports which port it chose for 0.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?.local_addr()?.port())
}
