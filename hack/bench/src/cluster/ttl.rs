//! The peer for ends: Jobs that finished at one instant, and kube-controller-manager's TTL-after-finished controller, which deletes them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::{ControlPlane, clock};

use crate::fleet::{CONCURRENCY, in_seconds};

/// How long after its end's instant each Job was deleted.
pub async fn deleted(control_plane: &ControlPlane, count: usize) -> Result<Vec<Duration>> {
    let namespace = control_plane.namespace("bench-jobs").await?;
    let jobs: Api<Job> = Api::namespaced(control_plane.admin().client().await?, namespace.name());
    let seconds = i64::try_from(30 + count / 40)?;
    let finished = in_seconds(0)?;
    let (jobs_ref, names) = (&jobs, |n: usize| format!("job-{count}-{n}"));
    let each = stream::iter(0..count).map(|n| async move {
        let name = names(n);
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
            "spec": {"ttlSecondsAfterFinished": seconds, "template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "main", "image": "none"}],
            }}},
        });
        jobs_ref.create(&PostParams::default(), &serde_json::from_value(job)?).await?;
        let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": finished, "lastProbeTime": finished});
        let status = json!({"status": {
            "startTime": finished, "completionTime": finished, "succeeded": 1,
            "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
        }});
        jobs_ref.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        anyhow::Ok(())
    });
    each.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
    let due = finished + jiff::SignedDuration::from_secs(seconds);
    let until_due = Duration::try_from(due.duration_since(clock::now()))?;
    let times = gone(&jobs, count).await?;
    Ok(times.into_iter().map(|time| time.saturating_sub(until_due)).collect())
}

/// When each was gone, since the call.
async fn gone(jobs: &Api<Job>, count: usize) -> Result<Vec<Duration>> {
    let started = Stopwatch::start();
    let since = || started.elapsed();
    let list = jobs.list_metadata(&Default::default()).await?;
    ensure!(list.items.len() == count, "{} of {count} Jobs before their time is up", list.items.len());
    let mut version = list.metadata.resource_version.unwrap_or_default();
    let (mut seen, mut times) = (BTreeSet::new(), Vec::new());
    while seen.len() < count {
        ensure!(since() < crate::DEADLINE, "{} of {count} Jobs are gone", seen.len());
        let mut events = Box::pin(jobs.watch_metadata(&WatchParams::default().timeout(60), &version).await?);
        while let Some(event) = events.try_next().await? {
            let (WatchEvent::Added(job) | WatchEvent::Modified(job) | WatchEvent::Deleted(job)) = &event else {
                continue;
            };
            version = job.resource_version().unwrap_or_default();
            if matches!(event, WatchEvent::Deleted(_)) && seen.insert(job.name_any()) {
                times.push(since());
            }
            if seen.len() == count {
                break;
            }
        }
    }
    Ok(times)
}
