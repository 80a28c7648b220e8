//! The story: a computer enrols, alice asks, two attempts to cheat fail, bob approves, the computer knows, and it ends. Every
//! step asserts what it shows.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tidegate_api::ElevationRequest;
use tidegate_test_support::{ControlPlane, clock, eventually};

use crate::ahead;
use crate::by_hand;
use crate::narrator::Narrator;
use crate::screen::Screen;
use crate::stage::{ENDPOINT, FLEET, PUNCTUAL, SOON, Stage};

/// The request.
const REQUEST: &str = "toolchain";

/// Tells it from an empty control plane on.
///
/// # Errors
/// What did not hold.
pub async fn tell(narrator: &Narrator, control_plane: &ControlPlane, keep: bool) -> Result<()> {
    let stage = Stage::set(narrator, control_plane).await?;
    narrator.step("the computer ws-042 enrols");
    let screen = stage.enrol(narrator).await?;
    given_ahead(narrator, &screen).await?;
    asks(narrator, &stage).await?;
    cheats(narrator, &stage).await?;
    let deadline = approves(narrator, &stage, &screen).await?;
    counts_down(narrator, &screen).await?;
    ends(narrator, &stage, &screen, deadline).await?;
    looks_back(narrator, &stage).await?;
    ahead::scene(narrator, &stage, &screen).await?;
    if keep {
        by_hand::stay(narrator, &stage, &screen).await?;
    }
    Ok(())
}

async fn given_ahead(narrator: &Narrator, screen: &Screen) -> Result<()> {
    let table = screen.table(&["policy night-maintenance", "upcoming"], 0, SOON).await?;
    narrator.step("it shows what a policy gives ahead: a maintenance night that nobody has to ask for");
    narrator.output(&table.join("\n"));
    Ok(())
}

async fn asks(narrator: &Narrator, stage: &Stage<'_>) -> Result<()> {
    narrator.step("alice asks for ten seconds of elevated rights");
    let requester = if stage.control_plane.minor() >= 36 { "" } else { "\n  requester: alice@corp" };
    let request = format!(
        "apiVersion: tidegate.dev/v1alpha1\nkind: ElevationRequest\nmetadata: {{name: {REQUEST}, namespace: {FLEET}}}\n\
         spec:{requester}\n  policyName: dev-tools\n  endpointName: {ENDPOINT}\n  account: alice\n  duration: 10s\n  \
         reason: Installing the toolchain for INC-2211\n"
    );
    narrator.command("alice", "cat request.yaml");
    narrator.output(&request);
    narrator.command("alice", "kubectl create -f request.yaml");
    let file = stage.control_plane.sandbox().fresh_file("manifests", "request.yaml", &request)?;
    let file = file.to_str().context("the path of the sandbox is no text")?;
    narrator.output(&stage.alice.kubectl(["create", "-f", file]).await?.ok()?);
    let pending = in_state(stage, "Pending").await?;
    let requester = pending.spec.requester.as_deref();
    ensure!(requester == Some("alice@corp"), "spec.requester had to be alice@corp; it is {requester:?}");
    if stage.control_plane.minor() >= 36 {
        narrator.note("spec.requester was stamped by the API server: alice@corp");
    }
    narrator.kubectl(&stage.alice, &["get", "er", "-n", FLEET]).await?.ok()?;
    Ok(())
}

async fn cheats(narrator: &Narrator, stage: &Stage<'_>) -> Result<()> {
    let annotate = |decision: &str| format!("decision.tidegate.dev/1={decision}");
    let request = format!("er/{REQUEST}");
    narrator.step("mallory, who may approve too, writes an approval in bob's name: refused by the API server");
    let forged = annotate("bob@corp approve");
    let said = narrator.kubectl(&stage.mallory, &["annotate", &request, "-n", FLEET, &forged]).await?;
    said.refused("a decision must start with your own user name, mallory@corp")?;

    narrator.step("alice approves her own request: refused by the API server");
    let own = annotate("alice@corp approve");
    let said = narrator.kubectl(&stage.alice, &["annotate", &request, "-n", FLEET, &own]).await?;
    said.refused("nobody may approve their own request")?;

    let status = in_state(stage, "Pending").await?.status.unwrap_or_default();
    ensure!(status.decisions.is_empty(), "no decision had to be recorded; there are {:?}", status.decisions);
    Ok(())
}

/// Says when it ends.
async fn approves(narrator: &Narrator, stage: &Stage<'_>, screen: &Screen) -> Result<Timestamp> {
    narrator.step("bob approves, with plain kubectl");
    let approval = "decision.tidegate.dev/1=bob@corp approve: pairing with Alice";
    let said = narrator.kubectl(&stage.bob, &["annotate", &format!("er/{REQUEST}"), "-n", FLEET, approval]).await?;
    said.ok()?;
    let started = screen.news("started", REQUEST, SOON).await?;
    narrator.step("the computer knows: it has verified the controller's signature, and says");
    narrator.output(&started);
    let status = in_state(stage, "Active").await?.status.unwrap_or_default();
    Ok(status.expiration_time.context("an active request had to have an expirationTime; it has none")?.0)
}

/// Shows the agent's own countdown, every other second.
async fn counts_down(narrator: &Narrator, screen: &Screen) -> Result<()> {
    narrator.step("its table counts down");
    let table = screen.table(&[REQUEST, " active "], 0, SOON).await?;
    narrator.output(&table.join("\n"));
    let mut shown = u64::MAX;
    let after = screen.agent.process.stdout.position();
    let show = |row: &str| {
        let left = row.trim_end().rsplit(' ').next().and_then(|left| left.strip_suffix('s')?.parse::<u64>().ok());
        if let Some(left) = left.filter(|left| *left > 0 && left + 2 <= shown) {
            shown = left;
            narrator.output(row);
        }
    };
    screen.rows_until_end(REQUEST, after, SOON, show).await
}

async fn ends(narrator: &Narrator, stage: &Stage<'_>, screen: &Screen, deadline: Timestamp) -> Result<()> {
    let ended = screen.news("ended", REQUEST, SOON).await?;
    let at_endpoint = clock::now().duration_since(deadline);
    narrator.step("the deadline: the computer ends it by itself, and the controller writes it down");
    narrator.output(&ended);
    on_time("the end at the endpoint", at_endpoint, PUNCTUAL)?;
    ensure!(ended.contains("expired"), "it had to end because it expired; the agent says: {ended}");
    in_state(stage, "Expired").await?;
    let in_status = clock::now().duration_since(deadline);
    on_time("Expired in the status", in_status, PUNCTUAL * 2)?;
    narrator.note(&format!(
        "{:.2} s after the deadline at the endpoint, {:.2} s in the status",
        at_endpoint.as_secs_f64(),
        in_status.as_secs_f64()
    ));
    Ok(())
}

async fn looks_back(narrator: &Narrator, stage: &Stage<'_>) -> Result<()> {
    narrator.step("what is left is the record");
    let finished = ["wait", "--for=condition=Finished", &format!("er/{REQUEST}"), "-n", FLEET];
    narrator.kubectl(&stage.alice, &finished).await?.ok()?;
    let listed = narrator.kubectl(&stage.bob, &["get", "er", "-n", FLEET, "-o", "wide"]).await?.ok()?;
    ensure!(listed.contains("Expired"), "the list had to say Expired");
    eventually("all Events", SOON, async || {
        let events = stage.admin.kubectl(["get", "events", "-n", FLEET, "-o", "json"]).await?.ok()?;
        let events: Value = serde_json::from_str(&events)?;
        let is = |reason: &str| events["items"].as_array().is_some_and(|all| all.iter().any(|e| e["reason"] == reason));
        let missing: Vec<&str> = ["Accepted", "Approved", "Activated", "Applied", "Expired"]
            .into_iter()
            .filter(|reason| !is(reason))
            .collect();
        ensure!(missing.is_empty(), "there is no {missing:?}");
        Ok(())
    })
    .await?;
    narrator.note(&audit(stage).await?);
    narrator.kubectl(stage.admin, &["describe", "er", REQUEST, "-n", FLEET]).await?.ok()?;
    Ok(())
}

/// What the controller has written to its standard output, in short.
async fn audit(stage: &Stage<'_>) -> Result<String> {
    let stdout = &stage.controller.process.stdout;
    let ours = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["request"] == REQUEST).then(|| line["event"].as_str().map(str::to_owned)).flatten()
    };
    stdout.wait_for("the last audit line", 0, SOON, |line| ours(line).as_deref() == Some("Expired")).await?;
    let events: Vec<String> = stdout.lines().iter().filter_map(|line| ours(line)).collect();
    let expected = ["Accepted", "Approved", "Activated", "Applied", "Expired"];
    ensure!(events == expected, "the audit lines had to be {expected:?}; they are {events:?}");
    Ok(format!("one audit line for each transition, on the controller's standard output: {}", events.join(", ")))
}

fn on_time(what: &str, late: SignedDuration, at_most: SignedDuration) -> Result<()> {
    let range = SignedDuration::ZERO..=at_most;
    ensure!(
        range.contains(&late),
        "{what} had to come at its deadline or up to {at_most:#} later; it came {late:#} later"
    );
    Ok(())
}

async fn in_state(stage: &Stage<'_>, state: &str) -> Result<ElevationRequest> {
    let api = kube::Api::<ElevationRequest>::namespaced(stage.admin.client().await?, FLEET);
    eventually(&format!("state {state} of {REQUEST}"), Duration::from_secs(15), async || {
        let request = api.get(REQUEST).await?;
        let now = request.status.as_ref().and_then(|status| status.state.clone());
        ensure!(now.as_deref() == Some(state), "state {now:?}");
        Ok(request)
    })
    .await
}
