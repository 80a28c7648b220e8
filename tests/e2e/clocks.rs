//! The wall clock of the controller's computer is set while it runs, and wrong from the start: nothing begins or ends early or
//! late by the endpoint's measure, and the status keeps up. The API server, the gateways, the agents and the tests have the true time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;
use tidegate_api::ElevationRequest;
use tidegate_test_support::{Controller, Gateway, WallClock, clock, eventually, servers};

use crate::agent::{SOON, Watching};
use crate::fleet::{Fleet, condition, in_seconds};
use crate::installation::{Breakable, READY, breakable};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// How far what happened may be from what was due, and a time in the status from the true one: half a second that an answer leaves
/// open, and a machine that is busy with other tests.
const NEAR: SignedDuration = SignedDuration::from_secs(3);
/// How soon the status has to say what is so, after the clock was set.
const CAUGHT_UP: Duration = Duration::from_secs(30);

/// An installation whose controller has a wall clock of its own.
async fn under(wall: impl FnOnce(&WallClock) -> Result<()>) -> Result<(Breakable, WallClock)> {
    let mut broken = breakable().await?;
    broken.installation.controller.process.sigterm()?;
    broken.installation.controller.process.ended(SOON).await?;
    let control_plane = broken.installation.control_plane;
    let own = WallClock::create(control_plane.sandbox())?;
    wall(&own)?;
    broken.installation.controller = Controller::start_anew_with(control_plane, |command| own.of(command)).await?;
    broken.installation.controller.ready(READY).await?;
    Ok((broken, own))
}

/// Sets the controller's wall clock and waits until it says so, in a line that carries the time it believes the computer has.
async fn set(controller: &Controller, wall: &WallClock, from: i64, to: i64) -> Result<()> {
    let before = controller.process.stderr.position();
    wall.set(to)?;
    let told = |line: &str| line.contains("the wall clock of this computer was set");
    let line = controller.process.stderr.wait_for("word of the step", before, SOON, told).await?;
    let line: Value = serde_json::from_str(&line)?;
    let said = line["fields"]["seconds"].as_i64().or(line["seconds"].as_i64()).context("no seconds")?;
    ensure!((said - (to - from)).abs() <= 1, "{said} s instead of {} s", to - from);
    let stamp: Timestamp = line["timestamp"].as_str().context("no timestamp")?.parse()?;
    let ahead = stamp.duration_since(clock::now()).as_secs();
    ensure!((ahead - to).abs() <= 10, "the process did not see the clock that was set: {ahead} s ahead, not {to} s");
    Ok(())
}

fn near(what: &str, said: Timestamp, truth: Timestamp) -> Result<()> {
    let by = said.duration_since(truth);
    ensure!(by.abs() <= NEAR, "{what}: {said}, by {by:?} from {truth}");
    Ok(())
}

fn span(request: &ElevationRequest) -> Result<(Timestamp, Timestamp)> {
    let status = request.status.as_ref().context("no status")?;
    let (start, end) = (status.start_time.as_ref(), status.expiration_time.as_ref());
    Ok((start.context("no start")?.0, end.context("no end")?.0))
}

/// What the endpoint did and what the status says of request `name`, once it is over: one start and one end, when they were due.
async fn over(fleet: &Fleet<'_>, agent: &Watching, name: &str) -> Result<()> {
    let ended = agent.ended(name, CAUGHT_UP).await?;
    let expired = fleet.in_state(name, "Expired", CAUGHT_UP).await?;
    let (start, end) = span(&expired)?;
    near(&format!("the end of {name}"), ended.time()?, end)?;
    ensure!(ended.0["reason"] == "expired", "{}", ended.0);
    near(&format!("the status' end of {name}"), condition(&expired, "Finished")?.last_transition_time.0, end)?;
    let [started] = &agent.all("started", name)[..] else { anyhow::bail!("{name} started more than once") };
    near(&format!("the start of {name}"), started.time()?, start)?;
    ensure!((started.start()?, started.end()?) == (start, end), "{} is not {start} to {end}", started.0);
    ensure!(agent.all("ended", name).len() == 1, "{name} ended more than once");
    Ok(())
}

/// Requests that are pending, active and scheduled while the clock goes from the true time to `step` seconds off and back.
async fn round(fleet: &Fleet<'_>, agent: &Watching, wall: &WallClock, step: i64) -> Result<()> {
    let controller = &fleet.installation.controller;
    let [pending, active, scheduled] =
        ["pending", "active", "scheduled"].map(|state| format!("er-{state}-{}", step.to_string().replace('-', "m")));
    fleet.ask(&pending, "3s").await?;
    let start = in_seconds(12)?;
    let mut wish = fleet.wish(&scheduled, "3s")?;
    wish.spec.start_time = Some(Time(start));
    fleet.ask_for(&wish).await?;
    for name in [&scheduled, &pending] {
        fleet.in_state(name, "Pending", SOON).await?;
    }
    fleet.decide(&fleet.bob, &scheduled, "approve").await?;
    fleet.granted(&active, "8s").await?;
    agent.started(&active, SOON).await?;
    fleet.in_state(&scheduled, "Scheduled", SOON).await?;

    set(controller, wall, 0, step).await?;
    let approved = clock::now();
    fleet.decide(&fleet.bob, &pending, "approve").await?;
    let granted = fleet.in_state(&pending, "Active", SOON).await?;
    near("the start of what was approved under the wrong clock", span(&granted)?.0, approved)?;
    for name in [&pending, &active, &scheduled] {
        over(fleet, agent, name).await.with_context(|| format!("{name}, the clock {step} s off"))?;
    }
    let begun = agent.all("started", &scheduled)[0].start()?;
    ensure!(begun == start, "{scheduled} began at {begun}, not at {start}");
    set(controller, wall, step, 0).await
}

async fn jumps(controller: &Controller, wanted: u64) -> Result<()> {
    let line = format!("\ntidegate_clock_jumps_total {wanted}\n");
    eventually(line.trim(), SOON, async || {
        let metrics = servers::admin_get(controller.admin, "/metrics").await?.1;
        ensure!(metrics.contains(&line), "{metrics}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_wall_clock_that_is_set_moves_no_start_and_no_end() -> Result<()> {
    let (broken, wall) = under(|_true| Ok(())).await?;
    let fleet = Fleet::new(&broken.installation, "clock").await?;
    let agent = fleet.agent().await?;
    for step in [10 * MINUTE, -10 * MINUTE, HOUR, -HOUR] {
        round(&fleet, &agent, &wall, step).await?;
    }
    jumps(&broken.installation.controller, 0).await
}

#[tokio::test]
async fn a_controller_and_a_gateway_started_with_a_wrong_wall_clock_go_by_the_api_servers() -> Result<()> {
    for wrong in [HOUR, -HOUR] {
        let (mut broken, wall) = under(|wall| wall.set(wrong)).await?;
        let told = |line: &str| line.contains("the time was corrected to that of the API server");
        broken.installation.controller.process.stderr.wait_for("the correction", 0, SOON, told).await?;
        let control_plane = broken.installation.control_plane;
        // Younger certificates than its clock is old.
        for gateway in &mut broken.installation.gateways {
            *gateway = Gateway::start_with(control_plane, |command| wall.of(command)).await?;
            gateway.ready(READY).await?;
        }
        let fleet = Fleet::new(&broken.installation, "wrong").await?;
        let agent = fleet.agent().await?;
        let asked = clock::now();
        let granted = fleet.granted("er-1", "4s").await?;
        let due = span(&granted)?.0;
        let late = due.duration_since(asked);
        ensure!(late >= -NEAR && late.as_secs() < 20, "granted from {due}, asked at {asked}");
        over(&fleet, &agent, "er-1").await.with_context(|| format!("the clock {wrong} s off"))?;
        jumps(&broken.installation.controller, 1).await?;
        // Set right at last: nothing moves.
        set(&broken.installation.controller, &wall, wrong, 0).await?;
        fleet.granted("er-2", "2s").await?;
        over(&fleet, &agent, "er-2").await?;
        jumps(&broken.installation.controller, 1).await?;
    }
    Ok(())
}
