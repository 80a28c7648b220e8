//! What an object in the cache costs, as a slope over their number, beside a client-go informer of the same kind.

use std::cell::Cell;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use serde_json::Value;
use tidegate_api::ElevationRequest;
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{ControlPlane, assets, eventually};

use crate::fleet::CONCURRENCY;
use crate::{DEADLINE, controller, stop};

/// How long memory has to stay as it is to be taken for settled.
const SETTLED: Duration = Duration::from_secs(10);

/// Two looks at how many are left.
const BETWEEN_LISTS: Duration = Duration::from_secs(5);

/// Resident bytes.
struct Sample {
    objects: usize,
    ours: u64,
    informer: u64,
}

/// With all requests that are there, and again with half of them, and with none.
pub async fn section(control_plane: &ControlPlane) -> Result<String> {
    let mut samples = vec![sample(control_plane).await?];
    for one_of in [2, 1] {
        thin_out(control_plane, one_of).await?;
        samples.push(sample(control_plane).await?);
    }
    let (Some(most), Some(least)) = (samples.first(), samples.last()) else { return Ok(String::new()) };
    let slope =
        |of: fn(&Sample) -> u64| of(most).saturating_sub(of(least)) as f64 / (most.objects - least.objects) as f64;
    let (ours, informer) = (slope(|sample| sample.ours), slope(|sample| sample.informer));
    let mut table = crate::table::Table::new(["requests", "controller, resident", "client-go informer, resident"]);
    for Sample { objects, ours, informer } in &samples {
        let mib = |bytes: &u64| format!("{:.1} MiB", *bytes as f64 / f64::from(1 << 20));
        table.row([objects.to_string(), mib(ours), mib(informer)]);
    }
    Ok(format!(
        "### Memory\nResident memory of a controller that has just started and looked at everything, and of a program in Go that only \
         holds the same requests in a dynamic informer of client-go and has just collected its garbage.\n\n{table}\n- An object costs \
         {:.1} KiB in the controller, {:.1} KiB in the informer: {:.2} times as much. Target 0.6: {}.\n",
        ours / 1024.0,
        informer / 1024.0,
        ours / informer,
        if ours / informer <= 0.6 { "met" } else { "missed" },
    ))
}

async fn sample(control_plane: &ControlPlane) -> Result<Sample> {
    let running = controller(control_plane).await?;
    let ours = settled(running.process.id()).await?;
    stop(&running).await?;
    let program = assets::program("informer")?;
    let mut informer = Command::new(program)
        .env("KUBECONFIG", control_plane.admin().kubeconfig())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = std::io::BufReader::new(informer.stdout.take().context("no output")?);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line)?;
    let said: Value = serde_json::from_str(&line).context("the informer said nothing")?;
    let theirs = settled(informer.id()).await?;
    drop(informer.stdin.take());
    informer.wait()?;
    let objects = usize::try_from(said["objects"].as_u64().context("no number")?)?;
    Ok(Sample { objects, ours, informer: theirs })
}

/// Resident bytes of a process as soon as they no longer change by more than a hundredth.
async fn settled(process: u32) -> Result<u64> {
    let last = Cell::new((resident(process)?, Stopwatch::start()));
    eventually("memory that stays as it is", DEADLINE, async || {
        let now = resident(process)?;
        let (before, since) = last.get();
        if now.abs_diff(before) > before / 100 {
            last.set((now, Stopwatch::start()));
        }
        anyhow::ensure!(since.elapsed() >= SETTLED, "{now} bytes");
        Ok(now)
    })
    .await
}

fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// Deletes one of so many requests, with a controller that lets them go.
async fn thin_out(control_plane: &ControlPlane, one_of: usize) -> Result<()> {
    let running = controller(control_plane).await?;
    let client = &control_plane.admin().client().await?;
    let requests = Api::<ElevationRequest>::all(client.clone());
    let mut all = requests.list_metadata(&ListParams::default()).await?;
    // The probe's own comes back.
    all.items.retain(|object| object.namespace().as_deref() != Some(SYSTEM_NAMESPACE));
    let gone: Vec<_> = all.items.iter().step_by(one_of).collect();
    let left = all.items.len() - gone.len();
    let each = stream::iter(gone).map(|object| async move {
        let of_namespace = Api::<ElevationRequest>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
        of_namespace.delete(&object.name_any(), &DeleteParams::default()).await.map(drop)
    });
    each.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    eventually("their end", DEADLINE, async || {
        let mut now = requests.list_metadata(&ListParams::default()).await?.items;
        now.retain(|object| object.namespace().as_deref() != Some(SYSTEM_NAMESPACE));
        if now.len() != left {
            // A list of that many is work for the API server too.
            tokio::time::sleep(BETWEEN_LISTS).await;
        }
        anyhow::ensure!(now.len() == left, "{} are left, not {left}", now.len());
        Ok(())
    })
    .await?;
    stop(&running).await
}
