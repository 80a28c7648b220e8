//! Whatever a request hangs on is deleted, and so is the request itself, in every state: access ends, the record says why, and nothing
//! is kept from going. One namespace for each case.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::DeleteParams;
use tidegate_api::names::FLEET;
use tidegate_test_support::eventually;

use crate::agent::{SOON, Watching};
use crate::fleet::{ENDPOINT, Fleet, POLICY, condition, in_seconds};
use crate::guard;
use crate::installation::{Installation, breakable, shared};

/// Where a request is when something is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Pending,
    /// To begin in two hours: nothing is signed yet.
    Approved,
    /// To begin in half an hour: the grant is signed.
    Signed,
    Active,
    /// Given back before its time.
    Ended,
}

const PLACES: [Place; 5] = [Place::Pending, Place::Approved, Place::Signed, Place::Active, Place::Ended];

/// The request of every case.
pub const REQUEST: &str = "er-1";

/// A fleet with a request in this place, and the agent where there is access to end.
pub struct Case<'a> {
    pub place: Place,
    pub fleet: Fleet<'a>,
    pub agent: Option<Watching>,
}

impl<'a> Case<'a> {
    pub async fn prepare(installation: &'a Installation, prefix: &str, place: Place) -> Result<Self> {
        let fleet = Fleet::new(installation, prefix).await?;
        let agent = if place == Place::Active { Some(fleet.agent().await?) } else { None };
        match place {
            Place::Pending => {
                fleet.ask(REQUEST, "30m").await?;
                fleet.in_state(REQUEST, "Pending", SOON).await?;
                Self::is_kept(&fleet).await?;
            }
            Place::Approved => Self::scheduled(&fleet, 2 * 3600).await?,
            Place::Signed => Self::scheduled(&fleet, 1800).await?,
            Place::Active | Place::Ended => drop(fleet.granted(REQUEST, "30m").await?),
        }
        if let Some(agent) = &agent {
            agent.started(REQUEST, SOON).await?;
        }
        if place == Place::Ended {
            fleet.decide(&fleet.alice, REQUEST, "end").await?;
            fleet.in_state(REQUEST, "Ended", SOON).await?;
        }
        Ok(Self { place, fleet, agent })
    }

    /// The finalizer comes right after the first status; until then a deletion is the API server's alone, and nobody tells of it.
    async fn is_kept(fleet: &Fleet<'_>) -> Result<()> {
        let requests = fleet.requests().await?;
        eventually("the finalizer", SOON, async || {
            let finalizers = requests.get(REQUEST).await?.metadata.finalizers;
            ensure!(finalizers.is_some_and(|all| !all.is_empty()));
            Ok(())
        })
        .await
    }

    async fn scheduled(fleet: &Fleet<'_>, seconds: i64) -> Result<()> {
        let mut wish = fleet.wish(REQUEST, "30m")?;
        wish.spec.start_time = Some(Time(in_seconds(seconds)?));
        fleet.ask_for(&wish).await?;
        fleet.in_state(REQUEST, "Pending", SOON).await?;
        fleet.decide(&fleet.bob, REQUEST, "approve").await?;
        let approved = fleet.in_state(REQUEST, "Scheduled", SOON).await?;
        let signed = approved.status.is_some_and(|status| status.signed.is_some());
        ensure!(signed == (seconds < 3600), "signed: {signed}, {seconds} s ahead");
        Ok(())
    }

    /// The access that there was has ended, for one of these reasons by the agent's word.
    async fn access_ends(&self, reasons: &[&str]) -> Result<()> {
        let Some(agent) = &self.agent else { return Ok(()) };
        let ended = agent.ended(REQUEST, SOON * 2).await?;
        ensure!(reasons.iter().any(|reason| ended.0["reason"] == *reason), "{reasons:?} were expected: {}", ended.0);
        Ok(())
    }

    async fn delete_request(&self) -> Result<()> {
        self.fleet.requests().await?.delete(REQUEST, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The request is not there any more: nothing keeps it.
    async fn is_gone(&self) -> Result<()> {
        let requests = self.fleet.requests().await?;
        eventually(&format!("the end of {REQUEST}, {:?}", self.place), SOON * 2, async || {
            match requests.get_opt(REQUEST).await? {
                None => Ok(()),
                Some(left) => bail!("finalizers {:?}, status {:?}", left.metadata.finalizers, left.status),
            }
        })
        .await
    }

    /// The state that the request ends in when what it is for is deleted, with a message that says so.
    async fn falls(&self, declined: &str, message: &str) -> Result<()> {
        let (state, told_by) = match self.place {
            Place::Pending => ("Declined", "Accepted"),
            Place::Approved | Place::Signed | Place::Active => ("Revoked", "Active"),
            Place::Ended => ("Ended", "Active"),
        };
        let request = self.fleet.in_state(REQUEST, state, SOON * 2).await?;
        let told = condition(&request, told_by)?;
        match self.place {
            Place::Pending => ensure!(told.reason == declined, "{told:?}"),
            Place::Approved | Place::Signed | Place::Active => ensure!(told.message == message, "{told:?}"),
            Place::Ended => {}
        }
        ensure!(condition(&request, "Finished")?.status == "True");
        Ok(())
    }
}

/// `check` on a case in each place, at the same time.
async fn in_every_place(prefix: &str, check: impl AsyncFn(&Case<'_>) -> Result<()>) -> Result<()> {
    let installation = shared().await?;
    let cases = PLACES.map(|place| {
        let check = &check;
        async move {
            let case = Case::prepare(installation, prefix, place).await?;
            check(&case).await.with_context(|| format!("{place:?}"))
        }
    });
    try_join_all(cases).await?;
    Ok(())
}

#[tokio::test]
async fn a_deleted_policy_ends_what_was_asked_under_it() -> Result<()> {
    in_every_place("no-policy", async |case| {
        case.fleet.policies().await?.delete(POLICY, &DeleteParams::default()).await?;
        case.falls("PolicyNotFound", "JitPolicy dev-tools was deleted").await?;
        case.access_ends(&["absent"]).await?;
        case.delete_request().await?;
        case.is_gone().await
    })
    .await
}

#[tokio::test]
async fn a_deleted_endpoint_ends_what_was_asked_for_it() -> Result<()> {
    in_every_place("no-endpoint", async |case| {
        case.fleet.endpoints().await?.delete(ENDPOINT, &DeleteParams::default()).await?;
        case.falls("EndpointNotFound", "ManagedEndpoint ws-042 was deleted").await?;
        case.access_ends(&["certificateVoid"]).await?;
        case.delete_request().await?;
        case.is_gone().await
    })
    .await
}

#[tokio::test]
async fn a_deleted_request_is_gone_as_soon_as_its_end_is_known() -> Result<()> {
    in_every_place("no-request", async |case| {
        case.delete_request().await?;
        case.access_ends(&["absent"]).await?;
        case.is_gone().await?;
        let event = match case.place {
            Place::Pending => "Withdrawn",
            Place::Approved | Place::Signed | Place::Active => "Revoked",
            Place::Ended => "Ended",
        };
        let told = |line: &str| line.contains(case.fleet.name()) && line.contains(&format!("\"event\":\"{event}\""));
        let stdout = &case.fleet.installation.controller.process.stdout;
        stdout.wait_for(&format!("the audit line {event}"), 0, SOON, told).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deleted_fleet_comes_again_ends_every_grant_of_before_and_holds_nothing_up() -> Result<()> {
    in_every_place("no-fleet", async |case| {
        let fleets = case.fleet.fleets().await?;
        let before = fleets.get(FLEET).await?.metadata.uid;
        fleets.delete(FLEET, &DeleteParams::default()).await?;
        eventually("another Fleet, signed", SOON, async || {
            let fleet = fleets.get(FLEET).await?;
            ensure!(fleet.metadata.uid != before && fleet.status.is_some_and(|status| status.signed.is_some()));
            Ok(())
        })
        .await?;
        // Without its part nothing holds; with the new one every grant of before is void. The agent says what it saw first.
        case.access_ends(&["absent", "revoked"]).await?;
        match case.place {
            // Asked again, it is granted: nothing waits for the Fleet that was.
            Place::Pending => {
                case.fleet.decide(&case.fleet.bob, REQUEST, "approve").await?;
                case.fleet.in_state(REQUEST, "Active", SOON).await?;
            }
            Place::Approved | Place::Signed => drop(case.fleet.in_state(REQUEST, "Scheduled", SOON).await?),
            Place::Active => drop(case.fleet.in_state(REQUEST, "Active", SOON).await?),
            Place::Ended => drop(case.fleet.in_state(REQUEST, "Ended", SOON).await?),
        }
        case.delete_request().await?;
        case.is_gone().await
    })
    .await
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_everything_in_it() -> Result<()> {
    in_every_place("no-namespace", async |case| {
        let namespaces: Api<Namespace> = Api::all(case.fleet.admin().client().await?);
        namespaces.delete(case.fleet.name(), &DeleteParams::default()).await?;
        // Whichever goes first, the endpoint or the request.
        case.access_ends(&["certificateVoid", "absent"]).await?;
        eventually("the end of the namespace", Duration::from_secs(60), async || {
            match namespaces.get_opt(case.fleet.name()).await? {
                None => Ok(()),
                Some(left) => bail!("{:?}", left.status),
            }
        })
        .await
    })
    .await
}

#[tokio::test]
async fn while_requests_are_held_whatever_is_deleted_holds_nothing_up() -> Result<()> {
    let broken = breakable().await?;
    let [policy, endpoint, request, settings, namespace] = {
        let fleet = async |prefix| Fleet::new(&broken.installation, prefix).await;
        [
            fleet("held-policy").await?,
            fleet("held-endpoint").await?,
            fleet("held-request").await?,
            fleet("held-fleet").await?,
            fleet("held-namespace").await?,
        ]
    };
    guard::delete_binding().carry_out(&policy).await?;
    for fleet in [&policy, &endpoint, &request, &settings, &namespace] {
        fleet.ask(REQUEST, "30m").await?;
        fleet.in_state(REQUEST, "Held", SOON).await?;
    }
    let now = DeleteParams::default();
    policy.policies().await?.delete(POLICY, &now).await?;
    endpoint.endpoints().await?.delete(ENDPOINT, &now).await?;
    request.requests().await?.delete(REQUEST, &now).await?;
    settings.fleets().await?.delete(FLEET, &now).await?;
    let namespaces: Api<Namespace> = Api::all(namespace.admin().client().await?);
    namespaces.delete(namespace.name(), &now).await?;

    // Nothing was granted and nothing is kept: these go although nothing is judged.
    eventually("the end of the held request and of the namespace", Duration::from_secs(60), async || {
        let left = request.requests().await?.get_opt(REQUEST).await?.map(|left| left.metadata.finalizers);
        let with_it = namespaces.get_opt(namespace.name()).await?.map(|left| left.status);
        ensure!(left.is_none() && with_it.is_none(), "{left:?} {with_it:?}");
        Ok(())
    })
    .await?;
    for fleet in [&policy, &endpoint, &settings] {
        fleet.in_state(REQUEST, "Held", SOON).await?;
    }
    guard::repair(&policy).await?;
    for fleet in [&policy, &endpoint, &settings] {
        let declined = fleet.in_state(REQUEST, "Declined", SOON).await?;
        ensure!(condition(&declined, "Accepted")?.reason == "AdmissionUnprotected");
        fleet.requests().await?.delete(REQUEST, &now).await?;
        ensure!(fleet.requests().await?.get_opt(REQUEST).await?.is_none(), "something keeps it");
    }
    Ok(())
}
