//! One person asks without end: what others notice of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use tidegate_test_support::ControlPlane;
use tidegate_test_support::clock::Stopwatch;

use crate::fleet::{CONCURRENCY, Fleet};
use crate::table::{Table, percentile};
use crate::{DEADLINE, controller, stop};

/// Others' judgements that are measured before, and the most that are while the crowd asks or waits.
const MEASURED: usize = 30;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(300);
/// How long others are measured from the crowd's first request on.
const MEASURING: Duration = Duration::from_secs(120);

/// So many requests of one person, as fast as the API server takes them.
pub async fn section(control_plane: &ControlPlane, wishes: usize) -> Result<String> {
    let (crowd, others) = (Fleet::create(control_plane, 1).await?, Fleet::create(control_plane, 1).await?);
    let running = controller(control_plane).await?;
    let over = AtomicBool::new(false);
    // The first ones also pay for connections.
    times(&others, "warm", 5, &over).await?;
    let alone = times(&others, "alone", MEASURED, &over).await?;

    let started = Stopwatch::start();
    let asking = async {
        let crowd = &crowd;
        let each = stream::iter(0..wishes).map(|n| async move { crowd.ask_first(&format!("er-{n}")).await });
        each.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        Ok(started.elapsed())
    };
    let measuring = async {
        tokio::time::sleep(MEASURING).await;
        over.store(true, Ordering::Relaxed);
        Ok(())
    };
    let beside = times(&others, "beside", usize::MAX, &over);
    let (asked, (), beside) = futures::future::try_join3(asking, measuring, beside).await?;
    let all = crowd.all().await?;
    let judged = all.iter().filter(|r| r.status.as_ref().is_some_and(|status| status.state.is_some())).count();
    stop(&running).await?;

    let mut table = Table::new(["another one's request is judged", "measured", "median", "p90"]);
    let (usual, then) = (percentile(alone.clone(), 0.5), percentile(beside.clone(), 0.5));
    for (when, times) in [("usually", alone), ("beside the crowd", beside)] {
        let at = |place: f64| format!("{:.0} ms", percentile(times.clone(), place) * 1e3);
        table.row([when.to_owned(), times.len().to_string(), at(0.5), at(0.9)]);
    }
    Ok(format!(
        "### One person asks without end\n{wishes} requests by one person, made in {:.0} s; {judged} of them are judged (most declined) after \
         {} s. Meanwhile another one asks every {} ms: from the wish to the judgement, as a client sees it that asks for it all the \
         time.\n\n\
         {table}\n- {:.2} times the usual time at the median. Target 2: {}.\n",
        asked.as_secs_f64(),
        MEASURING.as_secs(),
        PAUSE.as_millis(),
        then / usual,
        if then / usual <= 2.0 { "met" } else { "missed" },
    ))
}

/// Seconds from wish to judgement, again and again until there are so many or it is over. Each is taken away again, so that there is
/// always room for the next.
async fn times(fleet: &Fleet<'_>, name: &str, count: usize, over: &AtomicBool) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    while times.len() < count && !over.load(Ordering::Relaxed) {
        let name = format!("er-{name}-{}", times.len());
        let watch = Stopwatch::start();
        fleet.ask_first(&name).await?;
        while fleet.one(&name).await?.status.and_then(|status| status.state).is_none() {
            ensure!(watch.elapsed() < DEADLINE, "{name} was not judged");
        }
        times.push(watch.elapsed().as_secs_f64());
        fleet.delete(&name).await?;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(times)
}
