//! The harness keeps its own promises: people are who they say, rights arrive, what is shipped is in force, and nothing is
//! left behind, however the process ends.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, test_kill_process_group};
use serde_json::Value;
use tidegate_test_support::{ControlPlane, control_plane, eventually};

/// Killing processes and removing a folder; bounded for a busy machine.
const CLEAN_DEADLINE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn people_are_who_their_certificates_say() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let alice = control_plane.person_in("alice@corp", Some("developers"))?;
    let said: Value = serde_json::from_str(&alice.kubectl(["auth", "whoami", "-o", "json"]).await?.ok()?)?;
    let who = &said["status"]["userInfo"];
    assert_eq!(who["username"], "alice@corp");
    assert_eq!(who["groups"], serde_json::json!(["developers", "system:authenticated"]));

    let refused = alice.kubectl(["get", "secrets", "-n", "kube-system"]).await?;
    refused.refused("User \"alice@corp\" cannot list resource \"secrets\"")?;

    let folder = control_plane.sandbox().folder().to_owned();
    let groups = groups(&control_plane);
    drop(control_plane);
    assert_eq!(left_behind(&folder, &groups), Vec::<String>::new(), "after the drop");
    Ok(())
}

#[tokio::test]
async fn what_is_shipped_is_in_force_and_roles_arrive() -> Result<()> {
    let control_plane = control_plane().await?;
    control_plane.apply("config/samples").await?;
    let fleet = control_plane.namespace("harness").await?;
    let bob = fleet.person("bob@corp", "tidegate-approver").await?;
    let can = |verb: &'static str| bob.kubectl(["auth", "can-i", verb, "jitpolicies/dev-tools", "-n", fleet.name()]);
    assert_eq!(can("approve").await?.ok()?.trim(), "yes");
    assert_eq!(can("request").await?.stdout.trim(), "no");
    Ok(())
}

#[tokio::test]
async fn kill_9_of_the_harness_leaves_no_process_and_no_file() -> Result<()> {
    let mut victim = Victim::start()?;
    let (folder, groups) = victim.announcement()?;
    assert!(folder.is_dir(), "{} is not there to begin with", folder.display());
    for group in &groups {
        assert!(lives(*group), "process group {group} is not there to begin with");
    }
    victim.child.kill()?;
    victim.child.wait()?;
    eventually("a clean end", CLEAN_DEADLINE, async || {
        let left = left_behind(&folder, &groups);
        if left.is_empty() { Ok(()) } else { bail!("{left:?}") }
    })
    .await
}

/// Not a test: the process that `kill_9_of_the_harness…` kills. Says what it has started and waits for its input to end.
#[tokio::test]
#[ignore = "run by kill_9_of_the_harness_leaves_no_process_and_no_file"]
async fn victim() -> Result<()> {
    let control_plane = ControlPlane::start().await?;
    let folder = control_plane.sandbox().folder().display();
    println!("victim {}", serde_json::json!([folder.to_string(), groups(&control_plane)]));
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}

struct Victim {
    child: Child,
}

impl Victim {
    fn start() -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["--ignored", "--exact", "victim", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self { child })
    }

    /// The folder and process groups of the control plane it has started.
    fn announcement(&mut self) -> Result<(PathBuf, Vec<u32>)> {
        let stdout = self.child.stdout.take().context("stdout is not a pipe")?;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            // The test runner writes its own words before ours on the same line.
            if let Some((_runner, json)) = line.split_once("victim [") {
                return Ok(serde_json::from_str(&format!("[{json}"))?);
            }
        }
        bail!("the victim ended before its control plane was ready")
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // Already dead when the test went well.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn groups(control_plane: &ControlPlane) -> Vec<u32> {
    [&control_plane.etcd, &control_plane.api_server, &control_plane.controller_manager]
        .map(|process| process.id())
        .to_vec()
}

fn lives(group: u32) -> bool {
    i32::try_from(group).ok().and_then(Pid::from_raw).is_some_and(|group| test_kill_process_group(group).is_ok())
}

fn left_behind(folder: &Path, groups: &[u32]) -> Vec<String> {
    let processes = groups.iter().filter(|group| lives(**group)).map(|group| format!("process group {group}"));
    let files = folder.exists().then(|| format!("folder {}", folder.display()));
    processes.chain(files).collect()
}
