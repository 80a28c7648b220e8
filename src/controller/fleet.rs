//! Fleet: parse, compile and sign the fleet part, count. It is signed anew within its freshness and soon after a change; settings
//! that do not parse keep the last good ones, and what is locked and revoked is said all the same.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use tidegate_api as api;
use tidegate_core::envelope::{Signed, sequence_after};
use tidegate_core::fleet::{FleetBody, FleetView, PolicyInForce, Revoked, Settings, to_name};
use tidegate_core::interval::Instant;
use tidegate_core::name::FleetRef;
use tidegate_core::part::{Part, PartKind};
use tidegate_core::policy::MAX_COMPILED;
use tidegate_core::state::State;

use super::error::Error;
use super::policy::{ready, stalled, unsigned};
use super::{Context, Guarded, apply, in_fleet, read, requeue};
use crate::clock;
use crate::convert::{self, ConvertError, Wanted};

/// Many changes at once make one part, as each wakes every endpoint of the fleet: two parts are at least so far apart. Locks do not
/// wait.
const SPACING: Duration = Duration::from_secs(2);

/// One pass over a fleet.
///
/// # Errors
/// See [`Error`].
pub async fn reconcile(object: Arc<Guarded<api::Fleet>>, context: Arc<Context>) -> Result<Action, Error> {
    let object = read(&object)?;
    let now = clock::now();
    let fleet = context.fleet(&object.namespace().unwrap_or_default()).await?;
    let previous = Previous::of(object)?;
    let (settings, mut conditions) = settings(object, || previous.part.as_ref().map(|part| part.body.clone()));
    let view = View::of(object, &context, &settings);
    let uid = object.uid().unwrap_or_default();
    let uid = uid.parse().map_err(|error| ConvertError::new("metadata.uid", error))?;
    let body = settings.compile(&uid, view.compiled_from(&previous, &settings, now), now);
    let edge = FleetBody::next_edge(&view.locks, now);
    let (mut signed, failed) = match previous.sign(body, &settings, &context, &fleet, now) {
        Ok(signed) => (signed, None),
        Err(error) => {
            conditions = unsigned(&error);
            (previous.kept(now), Some(error))
        }
    };
    if let Some(bytes) = signed.bytes.filter(|bytes| *bytes > MAX_COMPILED) {
        conditions = too_large(bytes);
        signed.part = previous.signed.as_ref().map(convert::from_signed);
    }
    let generation = object.metadata.generation;
    let before = object.status.clone().unwrap_or_default();
    let status = api::FleetStatus {
        observed_generation: generation,
        conditions: convert::merge(&before.conditions, conditions, generation, &convert::time(now)),
        endpoints: Some(view.counts()),
        requests: Some(context.counts(object.namespace(), |_| true)),
        signed: signed.part,
    };
    apply::status_if_changed(&context.client, object, status).await?;
    let wake = edge.map_or(signed.renew_at, |edge| edge.min(signed.renew_at));
    failed.map_or_else(|| Ok(requeue(Some(wake))), Err)
}

/// The settings that requests are held to.
#[must_use]
pub fn settings_of(object: &api::Fleet) -> Settings {
    // Only settings that do not read need the last part, and it is large.
    settings(object, || Previous::of(object).ok()?.part.map(|part| part.body)).0
}

/// The settings in force, and what is said of those that are written.
fn settings(object: &api::Fleet, previous: impl FnOnce() -> Option<FleetBody>) -> (Settings, Vec<Wanted>) {
    let written = convert::settings(object).map_err(|error| ("Invalid", error.to_string())).and_then(|settings| {
        let bytes = serde_json::to_vec(&settings.blocklists).map_or(0, |json| json.len());
        if bytes <= MAX_COMPILED {
            return Ok(settings);
        }
        Err(("TooLarge", format!("spec.blocklists: {bytes} bytes, at most {MAX_COMPILED} can be sent to an endpoint")))
    });
    match written {
        Ok(settings) => (settings, vec![ready(true, "Compiled", "signed for every endpoint".to_owned())]),
        Err((reason, message)) => {
            let kept = previous().map_or_else(Settings::default, |body| Settings {
                freshness: body.freshness,
                blocklists: body.blocklists,
                // Who is who has nothing to do with a blocklist that does not read.
                accounts: convert::fleet_accounts(object).unwrap_or_default(),
                ..Settings::default()
            });
            let message = format!("{message}; the last freshness and blocklists stay in force");
            (kept, vec![ready(false, reason, message), stalled(reason, "the Fleet")])
        }
    }
}

/// Nothing can be signed: what agents hold ages, and then nothing new starts.
fn too_large(bytes: usize) -> Vec<Wanted> {
    let message = format!(
        "{bytes} bytes of policies, Locks and blocklists, at most {MAX_COMPILED} can be sent to an endpoint; the last part stays, and \
         nothing starts once it is older than freshness: shorten spec.blocklists, or delete policies or Locks"
    );
    vec![ready(false, "TooLarge", message), stalled("TooLarge", "something")]
}

/// What was signed last.
struct Previous {
    signed: Option<Signed>,
    part: Option<Part<FleetBody>>,
}

struct Next {
    part: Option<api::Signed>,
    renew_at: Instant,
    /// Of a part that was signed now.
    bytes: Option<usize>,
}

impl Previous {
    fn of(object: &api::Fleet) -> Result<Self, Error> {
        let signed = object.status.as_ref().and_then(|status| status.signed.as_ref());
        let signed = signed.map(convert::signed).transpose()?;
        let part = signed.as_ref().and_then(|signed| signed.envelope.read_unverified::<FleetBody>().ok());
        Ok(Self { signed, part })
    }

    /// Has its time come, whatever it says? One from the future, by a clock that was set back, has.
    fn is_due(&self, settings: &Settings, now: Instant) -> bool {
        self.part.as_ref().is_none_or(|part| {
            let issued = part.header.issued_time;
            now >= settings.renew_at(issued) || now < issued
        })
    }

    /// It is served on, until `renew_at`.
    fn kept(&self, renew_at: Instant) -> Next {
        Next { part: self.signed.as_ref().map(convert::from_signed), renew_at, bytes: None }
    }

    /// The part to serve: the previous one while it says the same and is fresh, or was signed just now.
    fn sign(
        &self,
        body: FleetBody,
        settings: &Settings,
        context: &Context,
        fleet: &FleetRef,
        now: Instant,
    ) -> Result<Next, Error> {
        let issuer = context.issuer(fleet);
        let due = self.is_due(settings, now);
        let same_locks = self.part.as_ref().filter(|part| part.body.locked == body.locked);
        let spaced = same_locks.map(|part| part.header.issued_time.plus(SPACING)).filter(|at| now < *at);
        let differs = self.part.as_ref().is_none_or(|part| part.body != body);
        if let Some(again) = spaced.filter(|_| differs && !due) {
            return Ok(self.kept(again));
        }
        let signed = if due {
            Some(tidegate_core::envelope::sign_next(self.signed.as_ref(), body, issuer, now)?)
        } else {
            tidegate_core::envelope::sign_if_changed(self.signed.as_ref(), body, issuer, now)?
        };
        let issued_at = match (&signed, &self.part) {
            (None, Some(part)) => part.header.issued_time,
            (Some(_), _) | (None, None) => now,
        };
        let part = signed.as_ref().or(self.signed.as_ref()).map(convert::from_signed);
        let bytes = signed.as_ref().map(|signed| signed.envelope.payload.len());
        if bytes.is_some() {
            context.metrics.signed(PartKind::Fleet);
        }
        Ok(Next { part, renew_at: settings.renew_at(issued_at), bytes })
    }
}

/// The fleet as cached.
struct View {
    policies: Vec<PolicyInForce>,
    locks: Vec<tidegate_core::lock::Lock>,
    endpoints: Vec<tidegate_core::endpoint::Endpoint>,
    total: usize,
    revoked: Vec<EndedEarly>,
    given_back: Vec<EndedEarly>,
}

/// What to name as revoked, and when it ended.
type EndedEarly = (Revoked, Option<Instant>);

impl View {
    fn of(object: &api::Fleet, context: &Context, settings: &Settings) -> Self {
        let namespace = object.namespace();
        let policies = in_fleet(&context.policies, namespace.as_deref());
        let in_force = policies.iter().filter_map(|policy| in_force(read(policy).ok()?));
        let endpoints = in_fleet(&context.endpoints, namespace.as_deref());
        let parsed = endpoints.iter().filter_map(|endpoint| convert::endpoint(read(endpoint).ok()?).ok());
        let requests = in_fleet(&context.requests, namespace.as_deref());
        Self {
            // Switched off for everybody: nothing is granted ahead either.
            policies: if context.suspended { Vec::new() } else { in_force.collect() },
            locks: context.locks_of(namespace.as_deref()).locks,
            total: endpoints.len(),
            endpoints: parsed.map(|endpoint| endpoint.with_accounts_of(&settings.accounts)).collect(),
            revoked: requests.iter().filter_map(|r| ended_early(read(r).ok()?, State::Revoked)).collect(),
            given_back: requests.iter().filter_map(|r| ended_early(read(r).ok()?, State::Ended)).collect(),
        }
    }

    fn compiled_from<'a>(&'a self, previous: &'a Previous, settings: &Settings, now: Instant) -> FleetView<'a> {
        let part = previous.part.as_ref().map(|part| &part.body);
        FleetView {
            policies: self.policies.clone(),
            locks: &self.locks,
            endpoints: &self.endpoints,
            revoked: to_name(self.revoked.clone(), part),
            given_back: to_name(self.given_back.clone(), part),
            previous: part,
            sequence: sequence_after::<FleetBody>(previous.signed.as_ref(), now),
            prune: previous.is_due(settings, now),
        }
    }

    fn counts(&self) -> api::FleetEndpointCounts {
        api::FleetEndpointCounts { total: i64::try_from(self.total).unwrap_or(i64::MAX), ..Default::default() }
    }
}

/// The version of a policy that is in force: signed, not suspended, not on its way out.
fn in_force(policy: &api::JitPolicy) -> Option<PolicyInForce> {
    if policy.spec.suspended || policy.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let signed = policy.status.as_ref()?.signed.as_ref()?;
    Some(PolicyInForce { uid: policy.uid()?.parse().ok()?, sequence: u64::try_from(signed.sequence).ok()? })
}

/// A request whose grant ended in this way before its time.
fn ended_early(request: &api::ElevationRequest, state: State) -> Option<EndedEarly> {
    let status = request.status.as_ref()?;
    let ended = status.state.as_deref() == Some(state.as_str());
    let not_after = status.expiration_time.as_ref().map(convert::instant)?;
    ended.then_some((Revoked { request: request.uid()?.parse().ok()?, not_after }, convert::finished_at(request)))
}

/// Makes the Fleet of a namespace that has none and needs one, as a request is open or kept there, or a computer has joined: by then whoever sets
/// the namespace up has written theirs. Applied without values, so that it owns none: whoever writes a Fleet later does not meet a conflict.
///
/// # Errors
/// [`Error::Write`]
pub async fn ensure(context: &Context, namespace: &str) -> Result<(), Error> {
    let exists = in_fleet(&context.fleets, Some(namespace)).iter().any(|fleet| fleet.name_any() == api::names::FLEET);
    if exists || context.is_going(namespace) { Ok(()) } else { apply::fleet(&context.client, namespace).await }
}
