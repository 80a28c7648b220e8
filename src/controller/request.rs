//! ElevationRequest: fetch, parse, step, apply. What is decided is core's; here is what it is decided on, and the writing.

use std::sync::Arc;

use kube::api::ListParams;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tidegate_api::{ElevationRequest, JitPolicy, ManagedEndpoint};
use tidegate_core::endpoint::Endpoint;
use tidegate_core::envelope;
use tidegate_core::guard::Guard;
use tidegate_core::interval::Instant;
use tidegate_core::lifecycle::{self, EventKind, Step, step};
use tidegate_core::part::{Header, SCHEMA, next_sequence};
use tidegate_core::policy::Policy;
use tidegate_core::request::{Lookup, Request, Status};

use super::error::Error;
use super::{Context, Guarded, apply, read, requeue};
use crate::convert::ConvertError;
use crate::{audit, clock, convert};

/// What a request refers to.
struct Referred {
    policy: Lookup<Policy>,
    endpoint: Lookup<Endpoint>,
}

/// One pass over a request. First on what the caches say; whatever would change its state is judged again on policy and endpoint
/// read live and on a guard that has just been confirmed, because a cache is no proof and what people saw is what is granted.
///
/// # Errors
/// See [`Error`].
pub async fn reconcile(object: Arc<Guarded<ElevationRequest>>, context: Arc<Context>) -> Result<Action, Error> {
    let object = read(&object)?;
    let request = convert::request(object)?;
    let mut step = cached(object, &context).judge(&request, &context.guard.verdict());
    if changes_state(&request, &step) {
        let (referred, guard) = futures::future::join(live(object, &context), confirmed(&context)).await;
        step = unless_granted(&request, referred)?.judge(&request, &guard);
    }
    let wake = step.wake;
    record(object, request, step, &context).await?;
    Ok(requeue(wake))
}

/// After a gap in the protection: takes up what is there and does not count it, before anything is judged again.
///
/// # Errors
/// See [`Error`]: something is not taken up yet.
pub async fn sweep(context: &Arc<Context>) -> Result<(), Error> {
    let fetch = |source| Error::Fetch { what: "the requests after a gap", source };
    let all = Api::<Guarded<ElevationRequest>>::all(context.client.clone());
    for object in all.list(&ListParams::default()).await.map_err(fetch)? {
        let Ok(object) = read(&object) else { continue };
        match disbelieve(object, context).await {
            // No status of it can be written, so none that grants either; it must not hold up all others.
            Err(error) if error.is_invalid() => {
                tracing::error!(request = object.name_any(), %error, "a request cannot be recorded and is set aside");
            }
            result => result?,
        }
    }
    Ok(())
}

async fn disbelieve(object: &ElevationRequest, context: &Context) -> Result<(), Error> {
    let Ok(request) = convert::request(object) else { return Ok(()) };
    if request.is_taken_up() {
        return Ok(());
    }
    let step = live(object, context).await?.judge(&request, &Guard::Repaired);
    record(object, request, step, context).await
}

/// What can be relied on now. An API server that does not say is no reason to keep access that has ended.
async fn confirmed(context: &Context) -> Guard {
    context.guard.confirm(&context.client).await.unwrap_or_else(|unknown| Guard::Waiting(unknown.to_string()))
}

impl Referred {
    fn judge(&self, request: &Request, guard: &Guard) -> Step {
        step(request, &lifecycle::Context { policy: &self.policy, endpoint: &self.endpoint, guard }, clock::now())
    }
}

fn changes_state(request: &Request, step: &Step) -> bool {
    let before = request.status.as_ref().map(|status| status.state);
    let after = step.status.as_ref().map(|status| status.state);
    let decided = |status: &Option<Status>| status.as_ref().map_or(0, |status| status.decisions.len());
    before != after || step.sign.is_some() || decided(&request.status) != decided(&step.status)
}

/// What was granted ends by revocation, deadline or deletion even if the objects it refers to cannot be read at the moment;
/// nothing new is granted on them.
fn unless_granted(request: &Request, referred: Result<Referred, Error>) -> Result<Referred, Error> {
    let granted = request.status.as_ref().is_some_and(|status| status.state.is_granted());
    referred.or_else(|error| {
        let why = error.to_string();
        let unreadable = Referred { policy: Lookup::Unreadable(why.clone()), endpoint: Lookup::Unreadable(why) };
        if granted { Ok(unreadable) } else { Err(error) }
    })
}

// === fetch ===

fn cached(object: &ElevationRequest, context: &Context) -> Referred {
    let namespace = object.namespace().unwrap_or_default();
    let policy = context.policies.get(&ObjectRef::new(&object.spec.policy_name).within(&namespace));
    let endpoint = context.endpoints.get(&ObjectRef::new(&object.spec.endpoint_name).within(&namespace));
    Referred {
        policy: lookup(policy.as_deref(), convert::policy),
        endpoint: lookup(endpoint.as_deref(), convert::endpoint),
    }
}

async fn live(object: &ElevationRequest, context: &Context) -> Result<Referred, Error> {
    let namespace = object.namespace().unwrap_or_default();
    let policy = get::<JitPolicy>(context, &namespace, &object.spec.policy_name, "JitPolicy");
    let endpoint = get::<ManagedEndpoint>(context, &namespace, &object.spec.endpoint_name, "ManagedEndpoint");
    let (policy, endpoint) = futures::future::try_join(policy, endpoint).await?;
    Ok(Referred {
        policy: lookup(policy.as_ref(), convert::policy),
        endpoint: lookup(endpoint.as_ref(), convert::endpoint),
    })
}

async fn get<K>(context: &Context, namespace: &str, name: &str, what: &'static str) -> Result<Option<Guarded<K>>, Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let api = Api::<Guarded<K>>::namespaced(context.client.clone(), namespace);
    api.get_opt(name).await.map_err(|source| Error::Fetch { what, source })
}

/// An object that is being deleted is as good as gone: nothing new may hang on it.
fn lookup<K: Resource, T>(found: Option<&Guarded<K>>, parse: impl Fn(&K) -> Result<T, ConvertError>) -> Lookup<T> {
    let Some(found) = found else { return Lookup::Missing };
    if found.meta().deletion_timestamp.is_some() {
        return Lookup::Missing;
    }
    match read(found).map_err(|e| e.to_string()).and_then(|object| parse(object).map_err(|e| e.to_string())) {
        Ok(parsed) => Lookup::Found(parsed),
        Err(why) => Lookup::Unreadable(why),
    }
}

// === apply ===

/// Writes what the step says, in one compare-and-set, then tells it. The finalizer comes after the first status and goes with
/// the last one, so it is never between an approval and its delivery.
async fn record(object: &ElevationRequest, request: Request, step: Step, context: &Context) -> Result<(), Error> {
    let Some(status) = step.status.clone() else { return Ok(()) };
    let now = clock::now();
    let signed = match &step.sign {
        Some(grant) => Some(sign(object, grant.clone(), context, now).await?),
        None => object.status.as_ref().and_then(|status| status.signed.clone()),
    };
    let next = convert::request_status(object, &status, signed, now);
    let mut written = object.clone();
    if object.status.as_ref() != Some(&next) {
        written.status = Some(next);
        written = apply::status(&context.client, &written).await?;
        tell(object, &request, &step, context, now).await;
    }
    let keep = status.accepted_at.is_some() && !status.state.is_final();
    if !keep || object.metadata.deletion_timestamp.is_none() {
        apply::finalizer(&context.client, &written, keep).await?;
    }
    Ok(())
}

async fn sign(
    object: &ElevationRequest,
    grant: tidegate_core::grant::GrantBody,
    context: &Context,
    now: Instant,
) -> Result<tidegate_api::Signed, Error> {
    let fleet = context.fleet(&object.namespace().unwrap_or_default()).await?;
    let header = Header {
        schema: SCHEMA,
        trust_domain: context.trust_domain.clone(),
        fleet,
        sequence: next_sequence(None, now),
        issued_time: now,
    };
    Ok(convert::from_signed(&envelope::sign(grant, header, &context.keys.signing)?))
}

/// Audit lines, Events and the metric of what has been written.
async fn tell(object: &ElevationRequest, request: &Request, step: &Step, context: &Context, now: Instant) {
    let judged = Request { status: step.status.clone(), ..request.clone() };
    if let Ok(fleet) = object.namespace().unwrap_or_default().parse() {
        for event in &step.events {
            audit::record(&mut std::io::stdout().lock(), &fleet, &judged, event, now);
        }
    }
    if step.events.iter().any(|event| event.kind == EventKind::Expired)
        && let Some(granted) = judged.status.as_ref().and_then(|status| status.granted)
    {
        context.metrics.expired(granted.end.until(now));
    }
    apply::tell(&context.recorder, object, &step.events).await;
}
