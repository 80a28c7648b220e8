//! One person asks as fast as the API server takes it; others are judged within twice their usual time, measured in the same run.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use tidegate_api::ElevationRequest;
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::eventually;

use crate::course::PATIENCE;
use crate::fleet::Fleet;
use crate::installation::Installation;
use crate::record::Recorder;

/// Judgements of others that are measured, alone and beside the crowd.
const MEASURED: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_asks_without_end_does_not_hold_up_others() -> Result<()> {
    let (installation, controller) = Installation::start().await?;
    let recorder = Recorder::start(installation.control_plane).await?;
    let (crowd, others) = (Fleet::new(&installation, "crowd").await?, Fleet::new(&installation, "others").await?);
    // The first judgements also pay for connections.
    judged(&others, "warm").await?;
    let usual = judged(&others, "usual").await?;

    let asking: Api<ElevationRequest> = Api::namespaced(crowd.alice.client().await?, crowd.name());
    let params = PostParams::default();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let flood = async {
        let mut asked = 0;
        let mut stopped = stopped;
        while stopped.try_recv().is_err() {
            asking.create(&params, &crowd.wish(&format!("er-{asked}"), "5m")?).await?;
            asked += 1;
        }
        anyhow::Ok(asked)
    };
    let measure = async {
        let beside = judged(&others, "beside").await?;
        // The flood may have ended by an error, which says more.
        let _ended = stop.send(());
        Ok(beside)
    };
    let watch = Stopwatch::start();
    let (asked, beside) = futures::future::try_join(flood, measure).await?;
    let rate = f64::from(asked) / watch.elapsed().as_secs_f64();
    println!(
        "{asked} requests by one person, {:.0} a minute; others are judged in {beside:?}, usually {usual:?}",
        rate * 60.0
    );
    ensure!(asked > 50, "that is no crowd: {asked}");

    let all = crowd.requests().await?;
    eventually("a judgement of each", PATIENCE, async || {
        let requests = all.list(&Default::default()).await?;
        let open = requests.iter().filter(|r| r.status.as_ref().is_none_or(|status| status.state.is_none())).count();
        ensure!(open == 0, "{open} of {asked} wait");
        Ok(())
    })
    .await?;
    controller.process.lives()?;
    ensure!(beside <= usual * 2, "{beside:?} beside the crowd, {usual:?} without: more than twice");
    recorder.check().await
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
