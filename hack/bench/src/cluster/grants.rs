//! Approvals and ends, many at once: how fast the controller gets them written, beside a client that does nothing but write.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use kube::api::PostParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tidegate_api::ElevationRequest;
use tidegate_test_support::{ControlPlane, Controller, clock};

use crate::calls::{Which, calls, more};
use crate::fleet::{CONCURRENCY, Fleet, in_seconds, is_in};
use crate::processor::{for_one, spent};
use crate::table::{Table, percentile};
use crate::{controller, stop, ttl};

/// The heading of the ends.
pub const ENDS: &str = "### Ends at one instant\n";

/// So many approved at once, and ten times as many.
pub async fn section(control_plane: &ControlPlane, requests: usize, rounds: usize) -> Result<String> {
    let mut table = Table::new(["requests", "round", "Active per second", "bare client, per second", "ratio"]);
    let mut ratios = Vec::new();
    let mut last = None;
    for (count, rounds) in [(requests, rounds), (requests * 10, 1)] {
        for round in 1..=rounds {
            let Approved { ours, bare, calls, time, bare_time } = approved(control_plane, count).await?;
            last = Some((calls, time, bare_time));
            let ratio = ours / bare;
            ratios.push((count, ours, ratio));
            table.row([
                count.to_string(),
                round.to_string(),
                format!("{ours:.0}"),
                format!("{bare:.0}"),
                format!("{ratio:.2}"),
            ]);
        }
    }
    let worst = ratios.iter().map(|(_, _, ratio)| *ratio).fold(f64::INFINITY, f64::min);
    let (calls, time, bare_time) = last.context("nothing was measured")?;
    let rate = |of: usize| {
        let rates: Vec<f64> = ratios.iter().filter(|(count, ..)| *count == of).map(|(_, rate, _)| *rate).collect();
        percentile(rates, 0.5)
    };
    Ok(format!(
        "### Approvals at once\nSo many requests are approved while no controller runs; then one starts. Counted from the first to the \
         last, as a watch sees them. The bare client writes as many statuses of the same size over these requests, as the same account, \
         {CONCURRENCY} at a time (as many as the controller has passes), while no controller runs; the same watch counts them.\n\n{table}\n- Target 0.8: {}; the smallest ratio is {worst:.2}. Ten \
         times the requests come at {:.2} times the rate.\n- For one Active the API server is asked: {calls}. The bare client \
         only updates statuses, so the ratio says what it costs to read endpoint, policy, settings, Locks and admission policies live \
         before each grant.\n- Processor time for one Active, in the last row: {time}; for one bare write: {bare_time}. The client \
         also watches in both. The rest is waiting: what is read comes before what is written, and a read that many share begins only when \
         the one before it has ended.\n",
        if worst >= 0.8 { "met" } else { "missed" },
        rate(requests * 10) / rate(requests),
    ))
}

/// How fast requests become Active beside bare writes, and what one costs.
pub struct Approved {
    /// Active a second.
    ours: f64,
    /// Bare writes a second.
    bare: f64,
    /// What the controller asked of the API server for one.
    calls: String,
    /// Processor time for one Active.
    time: String,
    /// Processor time for one bare write.
    bare_time: String,
}

/// So many are approved while no controller runs; then one does, and after it a client that only writes.
pub async fn approved(control_plane: &ControlPlane, count: usize) -> Result<Approved> {
    let fleet = Fleet::create(control_plane, count).await?;
    let first = controller(control_plane).await?;
    fleet.ask(count, &json!({"duration": "1h"})).await?;
    stop(&first).await?;
    fleet.approve(count).await?;
    let (before, idle) = (calls(&fleet, Which::All)?, spent()?);
    let second = Controller::start(control_plane).await?;
    let times = fleet.until(count, |request| is_in(request, "Active")).await?;
    let time = for_one(&idle, &spent()?, count);
    stop(&second).await?;
    let asked = more(&before, &calls(&fleet, Which::All)?);
    let each = |(what, times): (&String, &usize)| {
        let each = *times as f64 / count as f64;
        (each >= 0.05).then(|| format!("{each:.2} {what}"))
    };
    let asked: Vec<String> = asked.iter().filter_map(each).collect();
    let (bare, bare_time) = bare(&fleet).await?;
    Ok(Approved { ours: rate(&times), bare, calls: asked.join(", "), time, bare_time })
}

/// Statuses a second that a client writes which does nothing else, as the same watch sees them, and the processor time for one.
async fn bare(fleet: &Fleet<'_>) -> Result<(f64, String)> {
    let api = Api::<ElevationRequest>::namespaced(fleet.controller.client().await?, &fleet.name);
    let mut all = fleet.all().await?;
    all.iter_mut().for_each(reverse);
    let messages: HashMap<String, Vec<String>> =
        all.iter().map(|request| (request.name_any(), messages(request))).collect();
    let api = &api;
    let write = async |request: ElevationRequest| {
        api.replace_status(&request.name_any(), &PostParams::default(), &request).await
    };
    let count = all.len();
    let writes =
        async { anyhow::Ok(stream::iter(all).map(write).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?) };
    let idle = spent()?;
    let seen = fleet.until(count, |request| messages.get(&request.name_any()) == Some(&self::messages(request)));
    let (times, mut written) = futures::future::try_join(seen, writes).await?;
    let time = for_one(&idle, &spent()?, count);
    // As it was, or the next controller would have to put it right while something else is measured.
    written.iter_mut().for_each(reverse);
    stream::iter(written).map(write).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
    Ok((rate(&times), time))
}

/// Its conditions say something else, as long as before; twice is the same again.
fn reverse(request: &mut ElevationRequest) {
    for condition in request.status.iter_mut().flat_map(|status| &mut status.conditions) {
        condition.message = condition.message.chars().rev().collect();
    }
}

fn messages(request: &ElevationRequest) -> Vec<String> {
    let conditions = request.status.iter().flat_map(|status| &status.conditions);
    conditions.map(|condition| condition.message.clone()).collect()
}

/// Per second, from the first to the last.
fn rate(times: &[Duration]) -> f64 {
    let took = times.iter().max().zip(times.iter().min()).map(|(last, first)| (*last - *first).as_secs_f64());
    took.map_or(0.0, |took| (times.len() - 1) as f64 / took)
}

/// Ends at one instant, beside Jobs whose time after their end is up at one instant.
pub async fn ends(control_plane: &ControlPlane, requests: usize) -> Result<String> {
    let mut table = Table::new(["what", "at one instant", "median", "p99", "last", "per second"]);
    let mut rates = Vec::new();
    for count in [requests, requests * 10] {
        let mut ours = expired(control_plane, count).await?;
        let mut jobs = ttl::deleted(control_plane, count).await?;
        for (what, late) in [("Expired, Tidegate", &mut ours), ("Job deleted, TTL controller", &mut jobs)] {
            late.sort();
            let at = |place: f64| percentile(late.iter().map(Duration::as_secs_f64).collect(), place);
            let rate = late.len() as f64 / at(1.0);
            rates.push(rate);
            let seconds = |time: f64| format!("{time:.2} s");
            table.row([
                what.to_owned(),
                count.to_string(),
                seconds(at(0.5)),
                seconds(at(0.99)),
                seconds(at(1.0)),
                format!("{rate:.0}"),
            ]);
        }
    }
    Ok(format!(
        "{ENDS}How long after the instant the API says so. All requests start together and end together; all Jobs \
         finished together and have the same `ttlSecondsAfterFinished` (kube-controller-manager with its client's limits lifted, as \
         ours has none). The agents end access by themselves at the instant, whatever this says.\n\n{table}\n- Ten times the ends are \
         written at {:.2} times the rate (Tidegate), {:.2} (TTL controller).\n",
        rates[2] / rates[0],
        rates[3] / rates[1],
    ))
}

/// How long after the instant each was Expired.
async fn expired(control_plane: &ControlPlane, count: usize) -> Result<Vec<Duration>> {
    let fleet = Fleet::create(control_plane, count).await?;
    let running = controller(control_plane).await?;
    // Time to ask, to approve, to be granted and to start, all of it slower than it is.
    let lead = i64::try_from(40 + count / 40)?;
    let (start, length) = (in_seconds(lead)?, 40 + count / 50);
    fleet.ask(count, &json!({"startTime": start.to_string(), "duration": format!("{length}s")})).await?;
    fleet.approve(count).await?;
    fleet.until(count, |request| is_in(request, "Scheduled")).await?;
    ensure!(clock::now() < start, "the approvals took longer than {lead} s, so not all end together");
    fleet.until(count, |request| is_in(request, "Active")).await?;
    let end = start + jiff::SignedDuration::from_secs(i64::try_from(length)?);
    let until_end = Duration::try_from(end.duration_since(clock::now()))?;
    let times = fleet.until(count, |request| is_in(request, "Expired")).await?;
    stop(&running).await?;
    Ok(times.into_iter().map(|time| time.saturating_sub(until_end)).collect())
}
