//! One person makes many requests at once; somebody else's request is judged while most of them still wait.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use tidegate_api::ElevationRequest;
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::eventually;

use crate::course::PATIENCE;
use crate::fleet::Fleet;
use crate::installation::Installation;
use crate::record::Recorder;

/// Requests of one person at once.
const CROWD: usize = 300;
/// Judgements of others that are measured, alone and beside the crowd.
const MEASURED: usize = 5;
/// As many must wait for it to prove something.
const BACKLOG: usize = 30;
/// How long all of them may take, beside nine other tests.
const ALL: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_asks_without_end_does_not_hold_up_others() -> Result<()> {
    let (installation, controller) = Installation::start().await?;
    let recorder = Recorder::start(installation.control_plane).await?;
    let (crowd, others) = (Fleet::new(&installation, "crowd").await?, Fleet::new(&installation, "others").await?);
    // The first judgements also pay for connections.
    judged(&others, "warm").await?;
    let usual = judged(&others, "usual").await?;

    let asking: Api<ElevationRequest> = Api::namespaced(crowd.alice.client().await?, crowd.name());
    let wishes = (0..CROWD).map(|number| crowd.wish(&format!("er-{number}"), "5m")).collect::<Result<Vec<_>>>()?;
    let params = PostParams::default();
    try_join_all(wishes.iter().map(|wish| asking.create(&params, wish))).await?;
    let waiting = waits(&crowd).await?;
    let beside = judged(&others, "beside").await?;
    let left = waits(&crowd).await?;
    println!(
        "{CROWD} requests by one person: {waiting} wait, {left} after {MEASURED} of another, each in {beside:?}, usually {usual:?}"
    );
    ensure!(waiting >= BACKLOG, "only {waiting} of {CROWD} wait: that is no crowd");
    ensure!(left * 2 >= waiting, "{waiting} waited, {left} after it: others have waited for most of them");

    eventually("a judgement of each", ALL, async || {
        let open = waits(&crowd).await?;
        ensure!(open == 0, "{open} of {CROWD} wait");
        Ok(())
    })
    .await?;
    controller.sound()?;
    recorder.check().await
}

/// How many of a fleet's requests nobody has judged.
async fn waits(fleet: &Fleet<'_>) -> Result<usize> {
    let requests = fleet.requests().await?.list(&Default::default()).await?;
    Ok(requests.iter().filter(|r| r.status.as_ref().is_none_or(|status| status.state.is_none())).count())
}

/// The median time from the wish to its judgement. Each is taken away again, so that there is always room for the next.
async fn judged(fleet: &Fleet<'_>, name: &str) -> Result<Duration> {
    let asking: Api<ElevationRequest> = Api::namespaced(fleet.alice.client().await?, fleet.name());
    let all = fleet.requests().await?;
    let mut times = Vec::new();
    for number in 0..MEASURED {
        let name = format!("er-{name}-{number}");
        let watch = Stopwatch::start();
        asking.create(&PostParams::default(), &fleet.wish(&name, "5m")?).await?;
        // Asked as often as the server answers, so that a pause between two questions is not what is measured.
        while all.get(&name).await?.status.and_then(|status| status.state).is_none() {
            ensure!(watch.elapsed() < PATIENCE, "{name} was not judged in {PATIENCE:?}");
        }
        times.push(watch.elapsed());
        all.delete(&name, &DeleteParams::default()).await?;
    }
    times.sort();
    times.get(MEASURED / 2).copied().context("nothing was measured")
}
