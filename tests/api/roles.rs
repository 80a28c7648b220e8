//! The example bindings of config/samples at work: what somebody may decide who has a right on one policy, on one stage of another,
//! or on one fleet, and that this is all. Every attempt is a dry run by a person who has nothing else.

use std::ffi::OsStr;
use std::time::Duration;

use anyhow::Result;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use tidegate_api::names::DECISION_PREFIX;
use tidegate_api::{ElevationRequest, JitPolicy};
use tidegate_test_support::{Identity, assets, control_plane, eventually, objects};
use tokio::sync::OnceCell;

use crate::fleet::{Judged as _, Tried, annotate};

/// The fleet of the samples, and another that the samples do not know.
const FLEET: &str = "berlin";
const ELSEWHERE: &str = "default";
/// Alice's request under dev-tools, and the administrator's under toolchain.
const TOOLS: &str = "roles-tools";
const INSTALL: &str = "roles-install";
/// The API server reads roles from a watch, which lags.
const ARRIVED_DEADLINE: Duration = Duration::from_secs(10);

/// What somebody of the samples may try.
struct Person {
    identity: Identity,
}

/// The samples, applied once, with a request under each policy.
async fn samples() -> Result<()> {
    static APPLIED: OnceCell<Result<(), String>> = OnceCell::const_new();
    let apply = async || -> Result<()> {
        let control_plane = control_plane().await?;
        control_plane.apply("config/samples").await?;
        let admin = control_plane.admin();
        for file in ["roles-narrow.yaml", "rolebindings-narrow.yaml"] {
            let path = assets::repository().join("config/samples/further").join(file);
            admin.kubectl([OsStr::new("apply"), OsStr::new("-f"), path.as_os_str()]).await?.ok()?;
        }
        for (fleet, name, policy) in
            [(FLEET, TOOLS, "dev-tools"), (FLEET, INSTALL, "toolchain"), (ELSEWHERE, TOOLS, "dev-tools")]
        {
            let request = objects::request(name, policy, "ws-042", "alice", admin.user())?;
            let requests: Api<ElevationRequest> = Api::namespaced(admin.client().await?, fleet);
            requests.create(&PostParams::default(), &request).await?;
        }
        // One wait is for all: the authorizer sees bindings in their order, and these are the last.
        let (carol, dan) = (Person::named("carol@corp").await?, Person::named("dan@corp").await?);
        eventually("the right of carol", ARRIVED_DEADLINE, async || Ok(carol.decides(FLEET, TOOLS, "deny").await??))
            .await?;
        eventually("the right of dan", ARRIVED_DEADLINE, async || {
            Ok(dan.decides(FLEET, INSTALL, "deny stage=security").await??)
        })
        .await?;
        let bob = Person::named("bob@corp").await?;
        eventually("the right of bob", ARRIVED_DEADLINE, async || Ok(bob.decides(FLEET, TOOLS, "deny").await??))
            .await?;
        Ok(())
    };
    let applied = APPLIED.get_or_init(async || apply().await.map_err(|error| format!("{error:#}"))).await;
    applied.clone().map_err(anyhow::Error::msg)
}

impl Person {
    async fn named(user: &str) -> Result<Self> {
        Ok(Self { identity: control_plane().await?.person(user)? })
    }

    /// Writes this as the first decision.
    async fn decides(&self, fleet: &str, request: &str, what: &str) -> Result<Tried<ElevationRequest>> {
        let requests: Api<ElevationRequest> = Api::namespaced(self.identity.client().await?, fleet);
        let decision = annotate(&format!("{DECISION_PREFIX}1"), &format!("{} {what}", self.identity.user()));
        Ok(requests.patch(request, &PatchParams::default().dry_run(), &Patch::Merge(&decision)).await)
    }

    async fn may(&self, fleet: &str, request: &str, what: &str) -> Result<()> {
        self.decides(fleet, request, what).await?.allowed(&format!("{what} on {request}"))?;
        Ok(())
    }

    async fn may_not(&self, fleet: &str, request: &str, what: &str, text: &str) -> Result<()> {
        let by = if text.contains("cannot patch") { "elevationrequests" } else { "decisions.tidegate.dev" };
        self.decides(fleet, request, what).await?.refused(&format!("{what} on {request}"), by, text)
    }
}

#[tokio::test]
async fn a_right_on_one_policy_decides_under_that_policy_only() -> Result<()> {
    samples().await?;
    let carol = Person::named("carol@corp").await?;
    for what in ["approve", "approve for=5m stage=security: seen", "deny", "revoke", "end"] {
        carol.may(FLEET, TOOLS, what).await?;
    }
    let other = "approve on jitpolicies/toolchain is required";
    carol.may_not(FLEET, INSTALL, "approve", other).await?;
    carol.may_not(FLEET, INSTALL, "approve stage=security", other).await?;
    carol.may_not(FLEET, INSTALL, "deny", other).await?;
    carol.may_not(FLEET, INSTALL, "revoke", "revoke on jitpolicies/toolchain is required").await?;
    carol.may_not(FLEET, INSTALL, "end", "only the requester ends a request").await?;
    carol.may_not(ELSEWHERE, TOOLS, "approve", "cannot patch resource").await
}

#[tokio::test]
async fn a_right_on_one_stage_decides_that_stage_and_nothing_else() -> Result<()> {
    samples().await?;
    let dan = Person::named("dan@corp").await?;
    for what in ["approve stage=security", "approve for=5m stage=security: seen", "deny stage=security"] {
        dan.may(FLEET, INSTALL, what).await?;
    }
    let general = "approve on jitpolicies/toolchain is required";
    dan.may_not(FLEET, INSTALL, "approve", general).await?;
    dan.may_not(FLEET, INSTALL, "deny", general).await?;
    dan.may_not(FLEET, INSTALL, "approve: stage=security", general).await?;
    let stage = "approve on jitpolicies/toolchain is required, or on its stage jitpolicies/managers";
    dan.may_not(FLEET, INSTALL, "approve stage=managers", stage).await?;
    dan.may_not(FLEET, INSTALL, "revoke stage=security", "revoke on jitpolicies/toolchain is required").await?;
    dan.may_not(FLEET, INSTALL, "end stage=security", "only the requester ends a request").await?;
    let other = "approve on jitpolicies/dev-tools is required, or on its stage jitpolicies/security";
    dan.may_not(FLEET, TOOLS, "approve stage=security", other).await?;
    dan.may_not(ELSEWHERE, TOOLS, "approve stage=security", "cannot patch resource").await
}

#[tokio::test]
async fn a_right_on_one_fleet_ends_at_its_border() -> Result<()> {
    samples().await?;
    let bob = Person::named("bob@corp").await?;
    for request in [TOOLS, INSTALL] {
        for what in ["approve", "approve stage=security", "deny", "revoke", "end"] {
            bob.may(FLEET, request, what).await?;
        }
    }
    bob.may_not(ELSEWHERE, TOOLS, "approve", "cannot patch resource").await
}

#[tokio::test]
async fn a_narrow_right_to_decide_is_no_right_to_ask_or_to_change_a_policy() -> Result<()> {
    samples().await?;
    for user in ["carol@corp", "dan@corp"] {
        let person = control_plane().await?.person(user)?;
        let requests: Api<ElevationRequest> = Api::namespaced(person.client().await?, FLEET);
        requests.get(TOOLS).await.allowed("reading a request")?;
        let wish = objects::request("own", "dev-tools", "ws-042", "alice", user)?;
        requests.create(&PostParams::default(), &wish).await.refused("asking", user, "cannot create resource")?;
        let policies: Api<JitPolicy> = Api::namespaced(person.client().await?, FLEET);
        let wider = Patch::Merge(serde_json::json!({"spec": {"suspended": true}}));
        let tried = policies.patch("dev-tools", &PatchParams::default(), &wider).await;
        tried.refused("changing a policy", user, "cannot patch resource")?;
    }
    Ok(())
}
