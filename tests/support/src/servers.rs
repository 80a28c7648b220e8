//! The shipped processes: controller and gateway as their shipped ServiceAccounts, with exactly the shipped RBAC, and the
//! agent. Each is a `Process` with the addresses it says it listens on.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use serde_json::Value;
use tidegate_api::names::{CONTROLLER, GATEWAY};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::assets;
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::identity::Identity;
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
        let mut command = as_identity("controller", &identity)?;
        command.args(["--namespace", SYSTEM_NAMESPACE, "--admin-address", "127.0.0.1:0"]);
        change(&mut command);
        let process = Process::spawn(control_plane.sandbox(), "controller", command)?;
        let admin = listener(&process, "admin").await?;
        Ok(Self { process, admin })
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub async fn ready(&self, deadline: Duration) -> Result<()> {
        ready("the controller's readiness", &self.process, self.admin, deadline).await
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
        let tls = control_plane.sandbox().fresh_folder("gateway-tls")?;
        let trust = control_plane.sandbox().fresh_folder("gateway-trust")?;
        copy_mounts(control_plane, &tls, &trust).await?;
        let mut command = as_identity("gateway", &identity)?;
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
    let event: Value = serde_json::from_str(line).ok()?;
    // tracing nests fields unless it is told to flatten them.
    let fields = event.get("fields").unwrap_or(&event);
    let is = |key: &str, value: &str| fields.get(key).and_then(Value::as_str) == Some(value);
    if is("message", "listening") && is("listener", name) {
        fields.get("address")?.as_str()?.parse().ok()
    } else {
        None
    }
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
