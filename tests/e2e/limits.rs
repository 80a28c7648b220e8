//! What one person may have open, under parallel requests; and the Fleet that is made where nobody made one and it is needed.

use anyhow::{Context, Result, ensure};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;
use tidegate_api as api;
use tidegate_test_support::{eventually, objects};

use crate::agent::SOON;
use crate::fleet::{ENDPOINT, Fleet, POLICY, condition};
use crate::installation::shared;

/// Requests created at once.
const AT_ONCE: usize = 50;

#[tokio::test]
async fn of_50_requests_at_once_exactly_as_many_as_allowed_get_through() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "parallel").await?;
    let allowed = 3;
    let settings = fleet.fleets().await?;
    let patch = kube::api::Patch::Merge(json!({"spec": {"maxOpenRequests": allowed}}));
    settings.patch("fleet", &Default::default(), &patch).await?;
    let mine: Api<api::ElevationRequest> = Api::namespaced(fleet.alice.client().await?, fleet.name());
    let wishes: Vec<api::ElevationRequest> =
        (0..AT_ONCE).map(|n| fleet.wish(&format!("er-{n}"), "5m")).collect::<Result<_>>()?;
    let params = PostParams::default();
    futures::future::try_join_all(wishes.iter().map(|wish| mine.create(&params, wish))).await?;

    let all = fleet.requests().await?;
    let (pending, declined) = eventually("a judgement of each", SOON * 3, async || {
        let requests = all.list(&Default::default()).await?;
        let state = |r: &api::ElevationRequest| r.status.as_ref().and_then(|s| s.state.clone()).unwrap_or_default();
        let in_state = |word: &str| requests.iter().filter(|r| state(r) == word).cloned().collect::<Vec<_>>();
        let (pending, declined) = (in_state("Pending"), in_state("Declined"));
        ensure!(pending.len() + declined.len() == AT_ONCE, "{} and {}", pending.len(), declined.len());
        Ok((pending, declined))
    })
    .await?;
    assert_eq!(pending.len(), allowed);
    for request in &declined {
        let accepted = condition(request, "Accepted")?;
        assert_eq!(accepted.reason, "TooManyOpenRequests");
        assert!(accepted.message.contains("end it or wait"), "{}", accepted.message);
    }
    // One place is free again as soon as one is given back.
    let first = pending.first().and_then(|r| r.metadata.name.clone()).context("none pending")?;
    fleet.decide(&fleet.alice, &first, "end").await?;
    fleet.in_state(&first, "Withdrawn", SOON).await?;
    fleet.ask("er-next", "5m").await?;
    fleet.in_state("er-next", "Pending", SOON).await?;
    Ok(())
}

#[tokio::test]
async fn a_namespace_without_a_fleet_gets_one_when_somebody_asks_and_not_before() -> Result<()> {
    let installation = shared().await?;
    let namespace = installation.control_plane.namespace("fleetless").await?;
    let alice = namespace.person("alice@corp", "tidegate-requester").await?;
    let admin = installation.control_plane.admin().client().await?;
    let policies: Api<api::JitPolicy> = Api::namespaced(admin.clone(), namespace.name());
    policies.create(&PostParams::default(), &objects::policy_on_request(POLICY)?).await?;
    let endpoints: Api<api::ManagedEndpoint> = Api::namespaced(admin.clone(), namespace.name());
    let endpoint = objects::endpoint(ENDPOINT, alice.user(), "alice")?;
    endpoints.create(&PostParams::default(), &endpoint).await?;
    eventually("a look at both", SOON, async || {
        let (policy, endpoint) = (policies.get(POLICY).await?, endpoints.get(ENDPOINT).await?);
        let signed = (policy.status.and_then(|s| s.signed), endpoint.status.and_then(|s| s.signed));
        ensure!(signed.0.is_some() && signed.1.is_some(), "{signed:?}");
        Ok(())
    })
    .await?;
    let fleets: Api<api::Fleet> = Api::namespaced(admin.clone(), namespace.name());
    ensure!(fleets.get_opt("fleet").await?.is_none(), "whoever sets it up would find theirs taken");

    let mut wish = objects::request("er-1", POLICY, ENDPOINT, "alice", alice.user())?;
    wish.spec.duration = Some("5m".to_owned());
    let mine: Api<api::ElevationRequest> = Api::namespaced(alice.client().await?, namespace.name());
    mine.create(&PostParams::default(), &wish).await?;
    let made = eventually("the fleet", SOON, async || {
        let fleet = fleets.get("fleet").await?;
        ensure!(fleet.status.as_ref().is_some_and(|status| status.signed.is_some()), "not signed: {:?}", fleet.status);
        Ok(fleet)
    })
    .await?;
    assert_eq!((made.spec.max_open_requests, made.spec.freshness.as_str()), (1, "15m"));
    let ready = made.status.context("no status")?.conditions;
    assert_eq!((ready[0].type_.as_str(), ready[0].reason.as_str()), ("Ready", "Compiled"));
    // Somebody's own settings, server-side: no conflict with the controller, which owns no field.
    let own = json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "fleet"}, "spec": {"freshness": "5m"}});
    let params = kube::api::PatchParams::apply("somebody");
    fleets.patch("fleet", &params, &kube::api::Patch::Apply(own)).await?;
    // A deleted one comes back when it is needed again, with the defaults.
    fleets.delete("fleet", &DeleteParams::default()).await?;
    let requests: Api<api::ElevationRequest> = Api::namespaced(admin, namespace.name());
    requests.delete("er-1", &DeleteParams::default()).await?;
    wish.metadata.name = Some("er-2".to_owned());
    mine.create(&PostParams::default(), &wish).await?;
    eventually("the fleet again", SOON, async || {
        let fleet = fleets.get("fleet").await?;
        ensure!(fleet.metadata.uid != made.metadata.uid && fleet.spec.freshness == "15m", "{:?}", fleet.spec);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_request_says_what_its_program_must_be_like_and_the_grant_holds_that_one_program() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "program").await?;
    let mut policy = objects::policy_on_request("single")?;
    policy.spec.elevation = serde_json::from_value(json!({
        "mode": "Application",
        "applications": [{"name": "toolchain", "folderPath": {"path": "/opt/toolchain/**"}}],
    }))?;
    fleet.policies().await?.create(&PostParams::default(), &policy).await?;
    let ask = async |name: &str, application: Option<serde_json::Value>| -> Result<()> {
        let mut wish = objects::request(name, "single", ENDPOINT, "alice", fleet.alice.user())?;
        wish.spec.application = application.map(serde_json::from_value).transpose()?;
        fleet.ask_for(&wish).await
    };
    ask("er-none", None).await?;
    ask("er-other", Some(json!({"path": "/home/alice/x.run"}))).await?;
    for (name, reason, text) in [
        ("er-none", "ApplicationRequired", "name the one you need"),
        (
            "er-other",
            "ApplicationNotCovered",
            "/home/alice/x.run is in no policy for you on ws-042; single allows /opt/toolchain/**",
        ),
    ] {
        let declined = fleet.in_state(name, "Declined", SOON).await?;
        let accepted = condition(&declined, "Accepted")?;
        assert_eq!(accepted.reason, reason);
        assert!(accepted.message.contains(text), "{}", accepted.message);
    }
    ask("er-1", Some(json!({"path": "/opt/toolchain/setup", "arguments": ["install"]}))).await?;
    fleet.in_state("er-1", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-1", "approve").await?;
    let active = fleet.in_state("er-1", "Active", SOON).await?;
    let envelope = active.status.and_then(|status| status.signed).context("no grant")?.envelope;
    let payload = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, envelope.payload)?;
    let grant: serde_json::Value = serde_json::from_slice(&payload)?;
    assert_eq!(grant["application"], json!({"path": "/opt/toolchain/setup", "arguments": ["install"]}));
    assert!(grant["elevation"].get("applications").is_none(), "never the policy's list: {grant}");
    Ok(())
}

#[tokio::test]
async fn a_policy_that_is_too_large_says_what_to_cut_and_what_was_right_stays_in_force() -> Result<()> {
    let fleet = Fleet::new(shared().await?, "large").await?;
    let api = fleet.policies().await?;
    let before = eventually("the signed policy", SOON, async || {
        api.get(POLICY).await?.status.and_then(|status| status.signed).context("unsigned")
    })
    .await?;
    let digests: Vec<String> = (0..64).map(|n| format!("{n:0128x}")).collect();
    let items: Vec<_> =
        (0..64).map(|n| json!({"name": format!("item-{n}"), "fileHash": {"sha512": digests}})).collect();
    let patch = json!({"spec": {"elevation": {"mode": "Application", "applications": items}}});
    api.patch(POLICY, &Default::default(), &kube::api::Patch::Merge(patch)).await?;
    let (ready, after) = eventually("TooLarge", SOON, async || {
        let status = api.get(POLICY).await?.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready").context("no Ready")?.clone();
        ensure!(ready.reason == "TooLarge", "{ready:?}");
        Ok((ready, status.signed))
    })
    .await?;
    assert!(ready.message.contains("of them are spec.elevation.applications: shorten it"), "{}", ready.message);
    assert!(ready.message.contains("the last version that was right stays in force"), "{}", ready.message);
    assert_eq!(after.context("no part")?.digest, before.digest);
    // Nobody can ask under terms that are not in force.
    fleet.ask("er-1", "5m").await?;
    let declined = fleet.in_state("er-1", "Declined", SOON).await?;
    let accepted = condition(&declined, "Accepted")?;
    assert_eq!(accepted.reason, "PolicyNotReady");
    assert!(accepted.message.contains("spec.elevation.applications: shorten it"), "{}", accepted.message);
    Ok(())
}
