//! The shipped processes: controller and gateway as their shipped ServiceAccounts, with exactly the shipped RBAC, and the
//! agent. Each is a `Process` with the addresses it says it listens on.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::DeleteParams;
use serde_json::Value;
use tidegate_api::names::{CONTROLLER, GATEWAY};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::assets;
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::identity::{Identity, Said};
use crate::process::Process;

/// The namespace of the shipped installation.
pub const SYSTEM_NAMESPACE: &str = "tidegate-system";

/// How long a process may take to listen, and the controller to make its keys.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// A running controller.
pub struct Controller {
    /// Logs, signals, end.
    pub process: Process,
    /// Health, readiness and metrics, over plain HTTP.
    pub admin: SocketAddr,
}

/// A running gateway.
pub struct Gateway {
    /// Logs, signals, end.
    pub process: Process,
    /// Where agents connect, over TLS.
    pub agents: SocketAddr,
    /// Health, readiness and metrics, over plain HTTP.
    pub admin: SocketAddr,
    /// A copy of ConfigMap `tidegate-trust`, a file for each key (`trust.json`, `pin`).
    pub trust: PathBuf,
}

/// A running agent.
pub struct Agent {
    /// Logs, signals, end; what it prints is in `stdout`.
    pub process: Process,
    /// Its working folder and `HOME`, for what it keeps on disk; outlives it.
    pub folder: PathBuf,
}

// === impl Controller ===

impl Controller {
    /// Starts one; returns once it listens, which is before it leads.
    ///
    /// # Errors
    /// When it is not built, ends, or does not listen within 30 s.
    pub async fn start(control_plane: &ControlPlane) -> Result<Self> {
        Self::start_with(control_plane, |_as_it_is| {}).await
    }

    /// Likewise, with what `change` adds to its arguments and environment.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_with(control_plane: &ControlPlane, change: impl FnOnce(&mut Command)) -> Result<Self> {
        let identity = control_plane.service_account(SYSTEM_NAMESPACE, CONTROLLER).await?;
        Self::start_as(control_plane, &identity, change).await
    }

    /// Starts one as `identity`, its ServiceAccount on a way of its own to the API server, which need not be there, with what
    /// `change` adds.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_as(
        control_plane: &ControlPlane,
        identity: &Identity,
        change: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let mut command = as_identity("controller", identity)?;
        command.args(["--namespace", SYSTEM_NAMESPACE, "--admin-address", "127.0.0.1:0"]);
        change(&mut command);
        let process = Process::spawn(control_plane.sandbox(), "controller", command)?;
        let admin = listener(&process, "admin").await?;
        Ok(Self { process, admin })
    }

    /// Starts one that need not wait for the Lease of a controller that was killed: it is deleted first. Nobody may lead at that time.
    ///
    /// # Errors
    /// As `start`, and when the Lease cannot be deleted.
    pub async fn start_anew(control_plane: &ControlPlane) -> Result<Self> {
        Self::start_anew_with(control_plane, |_as_it_is| {}).await
    }

    /// Likewise, with what `change` adds to its arguments and environment.
    ///
    /// # Errors
    /// As `start_anew`.
    pub async fn start_anew_with(control_plane: &ControlPlane, change: impl FnOnce(&mut Command)) -> Result<Self> {
        let leases: Api<Lease> = Api::namespaced(control_plane.admin().client().await?, SYSTEM_NAMESPACE);
        match leases.delete(CONTROLLER, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error).context("cannot delete the Lease that was left behind"),
        }
        Self::start_with(control_plane, change).await
    }

    /// The name it has chosen for itself, as it stands in the Lease and in the API server's audit log.
    ///
    /// # Errors
    /// When it has not said within 30 s that it stands by.
    pub async fn name(&self) -> Result<String> {
        let stands_by = |line: &str| said(line, "standing by").is_some();
        let line = self.process.stderr.wait_for("its name", 0, START_DEADLINE, stands_by).await?;
        let name = said(&line, "standing by").and_then(|fields| Some(fields.get("replica")?.as_str()?.to_owned()));
        name.with_context(|| format!("no name in {line}"))
    }

    /// Waits until `/readyz` answers 200, which does not mean that it leads.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn ready(&self, deadline: Duration) -> Result<()> {
        ready("the controller's readiness", &self.process, self.admin, deadline).await
    }

    /// Waits until it leads and its admission guard has passed: from then on what people write counts. On a new installation a request
    /// that is made earlier is declined.
    ///
    /// # Errors
    /// When it has not within `deadline`.
    pub async fn guard_passes(&self, deadline: Duration) -> Result<()> {
        guard_passes(self.admin, deadline)
            .await
            .with_context(|| format!("its log ends:\n{}", self.process.stderr.tail(20)))
    }
}

// === impl Gateway ===

impl Gateway {
    /// Waits for the Secret and ConfigMap that the controller makes, copies them (no kubelet does it here), and starts
    /// one; returns once it listens, which is before it is ready.
    ///
    /// # Errors
    /// When the two are not there within 30 s, or it is not built, ends, or does not listen within 30 s.
    pub async fn start(control_plane: &ControlPlane) -> Result<Self> {
        Self::start_with(control_plane, |_as_it_is| {}).await
    }

    /// Likewise, with what `change` adds to its arguments and environment.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_with(control_plane: &ControlPlane, change: impl FnOnce(&mut Command)) -> Result<Self> {
        let identity = control_plane.service_account(SYSTEM_NAMESPACE, GATEWAY).await?;
        Self::start_as(control_plane, &identity, change).await
    }

    /// Starts one as `identity`, its ServiceAccount on a way of its own to the API server, with what `change` adds.
    ///
    /// # Errors
    /// As `start`.
    pub async fn start_as(
        control_plane: &ControlPlane,
        identity: &Identity,
        change: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let tls = control_plane.sandbox().fresh_folder("gateway-tls")?;
        let trust = control_plane.sandbox().fresh_folder("gateway-trust")?;
        copy_mounts(control_plane, &tls, &trust).await?;
        let mut command = as_identity("gateway", identity)?;
        command.args(["--address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0"]);
        command.arg("--tls-dir").arg(&tls).arg("--trust-dir").arg(&trust);
        change(&mut command);
        let process = Process::spawn(control_plane.sandbox(), "gateway", command)?;
        let (agents, admin) = (listener(&process, "agents").await?, listener(&process, "admin").await?);
        Ok(Self { process, agents, admin, trust })
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn ready(&self, deadline: Duration) -> Result<()> {
        ready("the gateway's readiness", &self.process, self.admin, deadline).await
    }

    /// The pin of the certificate authority, as somebody who enrols an endpoint reads it from ConfigMap `tidegate-trust`.
    ///
    /// # Errors
    /// When the controller has not written it.
    pub fn pin(&self) -> Result<String> {
        let path = self.trust.join("pin");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(text.trim().to_owned())
    }
}

// === impl Agent ===

impl Agent {
    /// Starts `tidegate-agent` with `args` in a new, empty folder.
    ///
    /// # Errors
    /// When it is not built or cannot be started.
    pub fn start<A: AsRef<OsStr>>(control_plane: &ControlPlane, args: impl IntoIterator<Item = A>) -> Result<Self> {
        Self::start_in(control_plane, control_plane.sandbox().fresh_folder("agent")?, args)
    }

    /// Starts `tidegate-agent` in a `folder` that an earlier one has left.
    ///
    /// # Errors
    /// When it is not built or cannot be started.
    pub fn start_in<A: AsRef<OsStr>>(
        control_plane: &ControlPlane,
        folder: PathBuf,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let command = agent(&folder, args)?;
        Ok(Self { process: Process::spawn(control_plane.sandbox(), "agent", command)?, folder })
    }

    /// Starts `tidegate-agent` in a new folder on a terminal of so many columns, as a person does.
    ///
    /// # Errors
    /// When it is not built or cannot be started.
    pub fn start_on_terminal<A: AsRef<OsStr>>(
        control_plane: &ControlPlane,
        columns: u16,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let folder = control_plane.sandbox().fresh_folder("agent")?;
        let command = agent(&folder, args)?;
        Ok(Self { process: Process::spawn_on_terminal(control_plane.sandbox(), "agent", command, columns)?, folder })
    }

    /// The arguments with which `watch` follows these gateways for an endpoint, `<namespace>/<name>`. Its state lies in
    /// `state` below its folder.
    ///
    /// # Errors
    /// When there is no gateway, or the pin of the first cannot be read.
    pub fn watch_args(gateways: &[&Gateway], endpoint: &str) -> Result<Vec<String>> {
        let pin = gateways.first().context("an agent needs a gateway")?.pin()?;
        let addresses = gateways.iter().map(|gateway| format!("--gateway=https://{}", gateway.agents));
        let others = [format!("--endpoint={endpoint}"), format!("--trust={pin}"), "--state-dir=state".to_owned()];
        Ok(std::iter::once("watch".to_owned()).chain(addresses).chain(others).collect())
    }
}

/// Runs the controller's program with `args` as `identity` to its end, as a Pod of a test would.
///
/// # Errors
/// When it is not built or does not end within 30 s; its own failure is in [`Said`].
pub async fn run_probe<A: AsRef<OsStr>>(identity: &Identity, args: impl IntoIterator<Item = A>) -> Result<Said> {
    let mut command = tokio::process::Command::from(as_identity("controller", identity)?);
    command.args(args).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(START_DEADLINE, command.output()).await.context("the probe does not end")??;
    Ok(Said::of(&ended))
}

async fn ready(what: &str, process: &Process, admin: SocketAddr, deadline: Duration) -> Result<()> {
    eventually(what, deadline, async || {
        process.lives()?;
        match admin_get(admin, "/readyz").await? {
            (200, _) => Ok(()),
            (status, body) => Err(anyhow!("/readyz says {status}: {body}")),
        }
    })
    .await
    .with_context(|| format!("its log ends:\n{}", process.stderr.tail(20)))
}

/// Waits until the admission guard of the controller with this admin listener has passed: from then on what people write counts.
///
/// # Errors
/// When it has not within `deadline`.
pub async fn guard_passes(admin: SocketAddr, deadline: Duration) -> Result<()> {
    eventually("the guard's word", deadline, async || {
        let metrics = admin_get(admin, "/metrics").await?.1;
        ensure!(metrics.contains("\ntidegate_admission_guard_ok 1\n"), "not passed");
        Ok(())
    })
    .await
}

/// A GET on an admin listener: status code and body.
///
/// # Errors
/// When nothing listens there or the answer is not HTTP.
pub async fn admin_get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).context("not an HTTP answer")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_head, body)| body);
    Ok((status, body.to_owned()))
}

fn as_identity(program: &str, identity: &Identity) -> Result<Command> {
    let mut command = Command::new(assets::program(program)?);
    command.env("KUBECONFIG", identity.kubeconfig()).env("HOME", identity.home());
    Ok(command)
}

fn agent<A: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = A>) -> Result<Command> {
    let mut command = Command::new(assets::program("tidegate-agent")?);
    command.args(args).current_dir(folder).env("HOME", folder);
    Ok(command)
}

/// The address of `{"message":"listening","listener":name,"address":…}` in the process's log.
async fn listener(process: &Process, name: &str) -> Result<SocketAddr> {
    let what = format!("the address of listener {name}");
    let line = process.stderr.wait_for(&what, 0, START_DEADLINE, |line| listening(line, name).is_some()).await?;
    listening(&line, name).with_context(|| format!("no address in {line}"))
}

fn listening(line: &str, name: &str) -> Option<SocketAddr> {
    let fields = said(line, "listening")?;
    let is_its_own = fields.get("listener").and_then(Value::as_str) == Some(name);
    is_its_own.then(|| fields.get("address")?.as_str()?.parse().ok()).flatten()
}

/// The fields of a log line with this message.
fn said(line: &str, message: &str) -> Option<Value> {
    let event: Value = serde_json::from_str(line).ok()?;
    // tracing nests fields unless it is told to flatten them.
    let fields = event.get("fields").cloned().unwrap_or(event);
    (fields.get("message").and_then(Value::as_str) == Some(message)).then_some(fields)
}

async fn copy_mounts(control_plane: &ControlPlane, tls: &Path, trust: &Path) -> Result<()> {
    let admin = control_plane.admin().client().await?;
    let secrets: Api<Secret> = Api::namespaced(admin.clone(), SYSTEM_NAMESPACE);
    let config_maps: Api<ConfigMap> = Api::namespaced(admin, SYSTEM_NAMESPACE);
    let secret = eventually("Secret tidegate-gateway-tls", START_DEADLINE, async || {
        Ok(secrets.get("tidegate-gateway-tls").await?)
    });
    let files = secret.await?.data.unwrap_or_default();
    write_files(tls, files.into_iter().map(|(name, bytes)| (name, bytes.0)).collect())?;
    let config_map =
        eventually("ConfigMap tidegate-trust", START_DEADLINE, async || Ok(config_maps.get("tidegate-trust").await?));
    let files = config_map.await?.data.unwrap_or_default();
    write_files(trust, files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect())
}

fn write_files(folder: &Path, files: BTreeMap<String, Vec<u8>>) -> Result<()> {
    for (name, contents) in files {
        let path = folder.join(name);
        std::fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_the_line_of_its_listener_only() {
        let flat = r#"{"message":"listening","listener":"admin","address":"127.0.0.1:4711"}"#;
        let nested =
            r#"{"level":"INFO","fields":{"message":"listening","listener":"admin","address":"127.0.0.1:4711"}}"#;
        for line in [flat, nested] {
            assert_eq!(listening(line, "admin"), Some(SocketAddr::from(([127, 0, 0, 1], 4711))), "{line}");
            assert_eq!(listening(line, "agents"), None, "{line}");
        }
        assert_eq!(listening("listening on 127.0.0.1:4711", "admin"), None);
    }
}
