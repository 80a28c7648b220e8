//! Gathers a history: the API server's audit log, a watch of its own straight at the API server, what agents print and keep.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;
use tidegate_api::ElevationRequest;
use tidegate_test_support::log::Log;
use tidegate_test_support::{ControlPlane, clock};
use tokio::task::JoinHandle;

use crate::agent::Watching;
use crate::checker::{Floor, History, Said, Version, check};

/// Records from when it is made.
pub struct Recorder {
    control_plane: &'static ControlPlane,
    versions: Arc<Mutex<Vec<Version>>>,
    watching: JoinHandle<()>,
    agents: Mutex<Agents>,
}

/// Agents by the name of their endpoint: every process' output, in order, and the folder they share.
#[derive(Default)]
struct Agents {
    outputs: Vec<(String, Log)>,
    folders: BTreeMap<String, PathBuf>,
    floors: Vec<Floor>,
}

// === impl Recorder ===

impl Recorder {
    /// Starts to record.
    pub async fn start(control_plane: &'static ControlPlane) -> Result<Self> {
        let versions = Arc::<Mutex<Vec<Version>>>::default();
        let (api, seen) = (Api::<ElevationRequest>::all(control_plane.admin().client().await?), Arc::clone(&versions));
        let watching = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event {
                    let object = serde_json::to_value(object).ok();
                    lock(&seen).extend(object.as_ref().and_then(Version::read));
                }
            }
        });
        Ok(Self { control_plane, versions, watching, agents: Mutex::default() })
    }

    /// Also records this agent of `endpoint` (`<namespace>/<name>`), from its first line on.
    pub fn agent(&self, endpoint: &str, agent: &Watching) {
        let mut agents = lock(&self.agents);
        agents.outputs.push((endpoint.to_owned(), agent.agent.process.stdout.clone()));
        agents.folders.insert(endpoint.to_owned(), agent.agent.folder.clone());
    }

    /// Reads what the agents have on disk now.
    pub fn look(&self) {
        let mut agents = lock(&self.agents);
        let read = |(agent, folder): (&String, &PathBuf)| {
            // Not there yet, before the first snapshot.
            let text = std::fs::read_to_string(folder.join("state/floors.json")).ok()?;
            Some(floors(agent, &serde_json::from_str(&text).ok()?))
        };
        let found: Vec<Floor> = agents.folders.iter().filter_map(read).flatten().collect();
        agents.floors.extend(found);
    }

    /// What has been recorded so far.
    pub async fn history(&self) -> Result<History> {
        self.look();
        // The end of everything, whatever the watch has missed.
        let now = Api::<ElevationRequest>::all(self.control_plane.admin().client().await?);
        let now = now.list(&ListParams::default()).await?;
        let now = now.items.iter().filter_map(|object| Version::read(&serde_json::to_value(object).ok()?));
        let path = self.control_plane.audit_log();
        let log = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        // A server that was killed leaves half a line.
        let stored = log.lines().filter_map(|line| stored(&serde_json::from_str(line).ok()?));
        let requests = stored.chain(lock(&self.versions).iter().cloned()).chain(now).collect();
        let agents = lock(&self.agents);
        let said = agents.outputs.iter().flat_map(|(agent, log)| {
            let lines = log.lines().into_iter();
            lines.filter_map(|line| said(agent, &serde_json::from_str(&line).ok()?)).collect::<Vec<_>>()
        });
        Ok(History { requests, agents: said.collect(), floors: agents.floors.clone(), until: clock::now() })
    }

    /// Checks everything recorded so far, and says how much that was.
    ///
    /// # Errors
    /// Names every violation; also when nothing was recorded, which proves nothing.
    pub async fn check(&self) -> Result<()> {
        let history = self.history().await?;
        let violations: Vec<String> = check(&history).iter().map(ToString::to_string).collect();
        ensure!(violations.is_empty(), "invariants:\n{}", violations.join("\n"));
        let History { requests, agents, floors, until: _ } = &history;
        ensure!(!requests.is_empty(), "nothing was recorded");
        println!(
            "checked I1-I4 over {} stored versions of requests, {} words of agents, {} floors on disk",
            requests.len(),
            agents.len(),
            floors.len()
        );
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// What an audit event says was stored of a request.
fn stored(event: &Value) -> Option<Version> {
    let dry = event["requestURI"].as_str()?.contains("dryRun=");
    let taken = event["responseStatus"]["code"].as_i64().is_some_and(|code| code < 300);
    if dry || !taken || event["objectRef"]["resource"] != "elevationrequests" {
        return None;
    }
    Version::read(&event["responseObject"])
}

fn said(agent: &str, report: &Value) -> Option<Said> {
    let started = match report["event"].as_str()? {
        "started" => true,
        "ended" => false,
        _ => return None,
    };
    let instant = |field: &str| report[field].as_str()?.parse().ok();
    let source = &report["source"];
    // What a policy gives ahead has no request.
    let uid = if source["kind"] == "grant" { source["uid"].as_str()?.to_owned() } else { return None };
    Some(Said { agent: agent.to_owned(), uid, started, at: instant("time")?, end: instant("endTime")? })
}

fn floors(agent: &str, file: &Value) -> Vec<Floor> {
    let floor = |part: &str, sequence: &Value| {
        Some(Floor { agent: agent.to_owned(), part: part.to_owned(), sequence: sequence.as_u64()? })
    };
    let own = ["fleet", "placement"].into_iter().filter_map(|part| floor(part, &file[part]));
    let policies = file["policies"].as_object().into_iter().flatten();
    own.chain(policies.filter_map(|(uid, sequence)| floor(uid, sequence))).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
