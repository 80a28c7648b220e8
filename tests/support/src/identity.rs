//! Somebody the API server knows: a person, a ServiceAccount, the administrator. One kubeconfig file each, for the Rust
//! client, for kubectl and for processes that run as this identity.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::pki::Credential;
use crate::sandbox::Sandbox;

/// The longest a kubectl call may take: no call of a test waits for anything but the API server.
const KUBECTL_DEADLINE: Duration = Duration::from_secs(60);

/// Where the API server is and how to know it and talk to it; what all identities of a control plane share.
#[derive(Clone)]
pub struct Cluster {
    /// `https://127.0.0.1:<port>`.
    pub server: String,
    /// The authority that signed its certificate, PEM.
    pub authority: String,
    /// The kubectl of the same version.
    pub kubectl: PathBuf,
}

/// A user name with the means to prove it. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    user: String,
    kubeconfig: PathBuf,
    home: PathBuf,
    kubectl: PathBuf,
}

/// What a kubectl call said.
#[derive(Debug)]
pub struct Said {
    /// It exited with 0.
    pub success: bool,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

// === impl Identity ===

impl Identity {
    /// `user`, who proves it with a client certificate.
    ///
    /// # Errors
    /// When the kubeconfig cannot be written.
    pub(crate) fn by_certificate(
        sandbox: &Sandbox,
        cluster: &Cluster,
        user: &str,
        credential: &Credential,
    ) -> Result<Self> {
        let proof = json!({
            "client-certificate-data": STANDARD.encode(&credential.certificate),
            "client-key-data": STANDARD.encode(&credential.key),
        });
        Self::write(sandbox, cluster, user, &proof)
    }

    /// `user`, who proves it with a bearer token, kept in a file as in a Pod.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn by_token(sandbox: &Sandbox, cluster: &Cluster, user: &str, token: &str) -> Result<Self> {
        let file = sandbox.fresh_file("identities", &format!("{user}.token"), token)?;
        Self::write(sandbox, cluster, user, &json!({ "tokenFile": file }))
    }

    fn write(sandbox: &Sandbox, cluster: &Cluster, user: &str, proof: &Value) -> Result<Self> {
        // JSON is YAML.
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tidegate", "cluster": {
                "server": cluster.server,
                "certificate-authority-data": STANDARD.encode(&cluster.authority),
            }}],
            "users": [{"name": user, "user": proof}],
            "contexts": [{"name": "tidegate", "context": {"cluster": "tidegate", "user": user}}],
            "current-context": "tidegate",
        });
        Ok(Self {
            user: user.to_owned(),
            kubeconfig: sandbox.fresh_file("identities", &format!("{user}.kubeconfig"), &kubeconfig.to_string())?,
            home: sandbox.fresh_folder(&format!("{user}.home"))?,
            kubectl: cluster.kubectl.clone(),
        })
    }

    /// The name the API server knows it by.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The kubeconfig file, for `KUBECONFIG`.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A folder of its own, for `HOME`: no cache of the real user is read or written.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// A new client. It belongs to the runtime it is made in, so each test makes its own.
    ///
    /// # Errors
    /// When the kubeconfig does not give a usable client.
    pub async fn client(&self) -> Result<kube::Client> {
        // A second installation is refused and changes nothing.
        let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        kube::Client::try_from(config).with_context(|| format!("no client for {}", self.user))
    }

    /// kubectl as this identity, to add arguments to. It is killed when its future is dropped.
    #[must_use]
    pub fn kubectl_command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs kubectl with `args` to its end, at most 60 s.
    ///
    /// # Errors
    /// When it cannot be run or does not end; its own failure is in `Said`.
    pub async fn kubectl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Said> {
        let mut command = self.kubectl_command();
        command.args(args);
        said(command).await
    }

    /// Runs a script of the documentation in `folder`, as a person who has this kubectl would, at most 60 s. It ends with the first
    /// command that fails.
    ///
    /// # Errors
    /// As `kubectl`.
    pub async fn shell(&self, folder: &Path, script: &str) -> Result<Said> {
        let kubectl = self.kubectl.display();
        let script = format!("set -euo pipefail\nkubectl() {{ '{kubectl}' \"$@\"; }}\n{script}");
        let mut command = tokio::process::Command::new("bash");
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home).stdin(Stdio::null()).kill_on_drop(true);
        command.current_dir(folder).arg("-c").arg(script);
        said(command).await
    }
}

/// Runs a command to its end.
async fn said(mut command: tokio::process::Command) -> Result<Said> {
    let output = tokio::time::timeout(KUBECTL_DEADLINE, command.output())
        .await
        .with_context(|| format!("{command:?} took more than {KUBECTL_DEADLINE:?}"))?
        .with_context(|| format!("cannot run {command:?}"))?;
    Ok(Said {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

// === impl Said ===

impl Said {
    /// Standard output of a call that worked.
    ///
    /// # Errors
    /// When the call failed; the text is what kubectl said.
    pub fn ok(self) -> Result<String> {
        if !self.success {
            bail!("kubectl failed: {}", self.stderr.trim());
        }
        Ok(self.stdout)
    }

    /// The message of a call that was refused and had to be.
    ///
    /// # Errors
    /// When the call worked, or `by` (a policy, a rule's text) is not in the message: a refusal proves something only when
    /// it names what refused.
    pub fn refused(self, by: &str) -> Result<String> {
        if self.success {
            bail!("this had to be refused by `{by}`, but it worked: {}", self.stdout.trim());
        }
        if !self.stderr.contains(by) {
            bail!("this had to be refused by `{by}`, but kubectl said: {}", self.stderr.trim());
        }
        Ok(self.stderr)
    }
}
