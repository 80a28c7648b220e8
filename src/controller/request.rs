//! ElevationRequest: fetch, parse, step, apply. What is decided is core's; here is what it is decided on, and the writing.

use std::future::ready;
use std::sync::Arc;

use futures::TryStreamExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource, ResourceExt};
use tidegate_api::names::FLEET;
use tidegate_api::{ElevationRequest, Fleet, JitPolicy, ManagedEndpoint};
use tidegate_core::delivery::{Delivery, Report, applied};
use tidegate_core::endpoint::Endpoint;
use tidegate_core::envelope;
use tidegate_core::grant::Requires;
use tidegate_core::guard::Guard;
use tidegate_core::interval::Instant;
use tidegate_core::ledger::OpenRequests;
use tidegate_core::lifecycle::{self, Event, EventKind, Step, step};
use tidegate_core::lock::Switches;
use tidegate_core::part::{Header, PartKind, SCHEMA, next_sequence};
use tidegate_core::policy::Policy;
use tidegate_core::reason::DeclineReason;
use tidegate_core::request::{Lookup, Request, Status};
use tidegate_core::state::State;

use super::error::Error;
use super::live::each;
use super::measure::Written;
use super::trace::{Course, Traced};
use super::{Context, Guarded, apply, attestation, fleet, policy, read, requeue, retention};
use crate::convert::{Beside, ConvertError};
use crate::traces::Stretch;
use crate::{audit, clock, convert};

/// How often one request is looked at after a gap, before the guard begins anew.
const TAKE_UP_TRIES: usize = 5;

/// What a request refers to.
struct Referred {
    policy: Lookup<Policy>,
    endpoint: Lookup<Endpoint>,
    fleet: lifecycle::Fleet,
    report: Report,
    attested: bool,
}

/// What is to be recorded, and how the pass came to it.
struct Judged {
    step: Step,
    course: Course,
}

/// One pass over a request. First on what the caches say; whatever would change its state is judged again on everything it refers
/// to read live and on a guard that has just been confirmed, because a cache is no proof and what people saw is what is granted. An end
/// that was granted in advance hangs on nothing but the clock, and one request too many on whose it is and how many there may be. What
/// ended long ago is taken away.
///
/// # Errors
/// See [`Error`]. What could be recorded without what could not be read has been.
pub async fn reconcile(object: Arc<Guarded<ElevationRequest>>, context: Arc<Context>) -> Result<Action, Error> {
    let _pass = context.events.pass();
    let mut course = Course::begin(clock::fine());
    let object = read(&object)?;
    let request = convert::request(object)?;
    let mut referred = referred(object, &context, cached(object, &context));
    let open = context.ledgers.beside(&namespace(object), &request, referred.endpoint.found());
    let mut step = referred.judge(&request, &open, &context.guard.verdict());
    if is_one_too_many(&request, &step) {
        referred = counted(object, &context).await?;
        let open = context.ledgers.beside(&namespace(object), &request, referred.endpoint.found());
        step = referred.judge(&request, &open, &context.guard.verdict());
    }
    let mut unread = None;
    if !changes_state(&request, &step) {
        // A write that got no answer may have left something else there than what was recorded.
        context.ledgers.note(&namespace(object), &request, referred.endpoint.found(), step.pending_until);
    } else if !is_one_too_many(&request, &step) {
        let mut guard = context.guard.verdict();
        if !ends_on_time(&request, &step) {
            let (found, confirmed) = futures::future::join(live(object, &context), confirmed(&context)).await;
            (referred, unread) = unless_granted(&request, found)?;
            match confirmed {
                Ok(confirmed) => guard = confirmed,
                Err(error) => (guard, unread) = (Guard::Waiting(error.to_string()), Some(error)),
            }
        }
        step = referred.judge_noted(object, &request, &guard, &context);
    }
    let wake = step.wake;
    let is_open = step.status.as_ref().is_some_and(|status| !status.state.is_final());
    // Without a fleet part nothing of it is granted, and nobody can tell that its grant is void.
    let needs_fleet = is_open || convert::is_kept(object);
    course.done(Stretch::Judge, clock::fine());
    let recorded = record(object, request.clone(), Judged { step, course }, &referred.report, &context).await;
    if recorded.is_err() {
        context.ledgers.keep(&namespace(object), &request, referred.endpoint.found());
    }
    recorded?;
    if needs_fleet {
        fleet::ensure(&context, &namespace(object)).await?;
    }
    let due = retention::retire(object, &request, &context).await?;
    let release = kept_until(object).filter(|end| *end > clock::now());
    unread.map_or_else(|| Ok(requeue(wake.into_iter().chain(due).chain(release).min())), Err)
}

/// When a request that ended can be let go, should no fleet part say before that its grant is over.
fn kept_until(object: &ElevationRequest) -> Option<Instant> {
    let end = object.status.as_ref().and_then(|status| status.expiration_time.as_ref());
    end.filter(|_| convert::is_kept(object) && convert::finished_at(object).is_some()).map(convert::instant)
}

/// After a gap in the protection: takes up what is there and does not count it, before anything is judged again.
///
/// # Errors
/// See [`Error`]: something is not taken up yet.
pub async fn sweep(context: &Arc<Context>) -> Result<(), Error> {
    let all = each(Api::<Guarded<ElevationRequest>>::all(context.client.clone()));
    // Writing takes longer than the pages of a list stay readable, so the list comes first; most has been taken up.
    let left = all.try_filter(|object| ready(is_left(object)));
    for object in left.try_collect::<Vec<_>>().await.map_err(after_a_gap)? {
        let Ok(object) = read(&object) else { continue };
        match take_up(object, context).await {
            // No status of it can be written, so none that grants either; it must not hold up all others.
            Err(error) if error.is_invalid() => {
                let trace_id = context.traces.of(&object.uid().unwrap_or_default()).map(tracing::field::display);
                tracing::error!(request = object.name_any(), trace_id, %error, "a request cannot be recorded and is set aside");
            }
            result => result?,
        }
    }
    Ok(())
}

/// Passes go on meanwhile and people write: what changed is looked at again, what is gone needs no taking up.
async fn take_up(listed: &ElevationRequest, context: &Context) -> Result<(), Error> {
    let api = Api::<Guarded<ElevationRequest>>::namespaced(context.client.clone(), &namespace(listed));
    let mut lost = disbelieve(listed, context).await;
    for _ in 1..TAKE_UP_TRIES {
        match lost {
            Err(error) if error.is_conflict() || error.is_gone() => {
                let Some(again) = api.get_opt(&listed.name_any()).await.map_err(after_a_gap)? else { return Ok(()) };
                let Ok(again) = read(&again) else { return Ok(()) };
                lost = disbelieve(again, context).await;
            }
            result => return result,
        }
    }
    lost
}

fn after_a_gap(source: kube::Error) -> Error {
    Error::Fetch { what: "the requests after a gap", source: Arc::new(source) }
}

/// Is there something to take up? What does not parse grants nothing.
fn is_left(object: &Guarded<ElevationRequest>) -> bool {
    let request = read(object).ok().and_then(|object| convert::request(object).ok());
    request.is_some_and(|request| !request.is_taken_up())
}

async fn disbelieve(object: &ElevationRequest, context: &Context) -> Result<(), Error> {
    let Ok(request) = convert::request(object) else { return Ok(()) };
    if request.is_taken_up() {
        return Ok(());
    }
    let mut course = Course::begin(clock::fine());
    let referred = live(object, context).await?;
    let step = referred.judge_noted(object, &request, &Guard::Repaired, context);
    course.done(Stretch::Judge, clock::fine());
    record(object, request, Judged { step, course }, &referred.report, context).await
}

/// What can be relied on now.
async fn confirmed(context: &Context) -> Result<Guard, Error> {
    context.guard.confirm(&context.client).await.map_err(Error::Guard)
}

impl Referred {
    fn judge(&self, request: &Request, open: &OpenRequests, guard: &Guard) -> Step {
        let Self { policy, endpoint, fleet, report: _, attested } = self;
        let request = &Request { attested: *attested, ..request.clone() };
        step(request, &lifecycle::Context { policy, endpoint, fleet, open, guard }, clock::now())
    }

    /// The judgement that is recorded: one at a time, as far as open requests are counted.
    fn judge_noted(&self, object: &ElevationRequest, request: &Request, guard: &Guard, context: &Context) -> Step {
        let judge = |open: &OpenRequests| self.judge(request, open, guard);
        context.ledgers.judge(&namespace(object), request, self.endpoint.found(), judge)
    }
}

fn namespace(object: &ElevationRequest) -> String {
    object.namespace().unwrap_or_default()
}

fn changes_state(request: &Request, step: &Step) -> bool {
    let ((before, decided_before), (after, decided)) = (state(&request.status), state(&step.status));
    before != after || step.sign.is_some() || decided_before != decided
}

/// It is turned away for nothing but how many are open, which the ledger knows: no reason to ask for all that a grant hangs on, once
/// for each wish of a person who wishes without end.
fn is_one_too_many(request: &Request, step: &Step) -> bool {
    let declined = step.status.as_ref().and_then(|status| status.declined);
    !request.is_judged() && declined == Some(DeclineReason::TooManyOpenRequests)
}

/// Nobody decided anything; its time is over.
fn ends_on_time(request: &Request, step: &Step) -> bool {
    let ((before, decided_before), (after, decided)) = (state(&request.status), state(&step.status));
    before == Some(State::Active) && after == Some(State::Expired) && decided_before == decided
}

/// The state, and how many decisions were taken up.
fn state(status: &Option<Status>) -> (Option<State>, usize) {
    (status.as_ref().map(|status| status.state), status.as_ref().map_or(0, |status| status.decisions.len()))
}

/// What was granted ends by revocation, deadline or deletion even if the objects it refers to cannot be read at the moment;
/// nothing new is granted on them, and why is told, so that they are read again soon.
fn unless_granted(request: &Request, referred: Result<Referred, Error>) -> Result<(Referred, Option<Error>), Error> {
    let granted = request.status.as_ref().is_some_and(|status| status.state.is_granted());
    match referred {
        Err(error) if granted => {
            let why = error.to_string();
            let unreadable = Referred {
                policy: Lookup::Unreadable(why.clone()),
                endpoint: Lookup::Unreadable(why),
                fleet: lifecycle::Fleet::default(),
                report: Report::default(),
                attested: false,
            };
            Ok((unreadable, Some(error)))
        }
        referred => Ok((referred?, None)),
    }
}

// === fetch ===

/// As cached.
fn cached(object: &ElevationRequest, context: &Context) -> Found {
    let namespace = namespace(object);
    Found {
        policy: context.policies.get(&ObjectRef::new(&object.spec.policy_name).within(&namespace)),
        endpoint: context.endpoints.get(&ObjectRef::new(&object.spec.endpoint_name).within(&namespace)),
        fleet: context.fleets.get(&ObjectRef::new(FLEET).within(&namespace)),
        switches: context.locks_of(Some(&namespace)),
    }
}

async fn live(object: &ElevationRequest, context: &Context) -> Result<Referred, Error> {
    let namespace = namespace(object);
    let Context { client, live, .. } = context;
    let policy = live.policy(client, &namespace, &object.spec.policy_name);
    let endpoint = live.endpoint(client, &namespace, &object.spec.endpoint_name);
    let (fleet, locks) = (live.fleet(client, &namespace, FLEET), live.locks(client, &namespace));
    let (policy, endpoint, fleet, locks) = futures::future::try_join4(policy, endpoint, fleet, locks).await?;
    let switches = context.switches(locks.iter());
    Ok(referred(object, context, Found { policy, endpoint, fleet, switches }))
}

/// Whom a request counts for and how many may be open, read live; the rest as cached.
async fn counted(object: &ElevationRequest, context: &Context) -> Result<Referred, Error> {
    let namespace = namespace(object);
    let Context { client, live, .. } = context;
    let endpoint = live.endpoint(client, &namespace, &object.spec.endpoint_name);
    let (endpoint, fleet) = futures::future::try_join(endpoint, live.fleet(client, &namespace, FLEET)).await?;
    Ok(referred(object, context, Found { endpoint, fleet, ..cached(object, context) }))
}

/// What was found, in the cache or live.
struct Found {
    policy: Option<Arc<Guarded<JitPolicy>>>,
    endpoint: Option<Arc<Guarded<ManagedEndpoint>>>,
    fleet: Option<Arc<Guarded<Fleet>>>,
    switches: Switches,
}

fn referred(object: &ElevationRequest, context: &Context, found: Found) -> Referred {
    let Found { policy, endpoint, fleet, switches } = found;
    let (policy, endpoint, fleet) = (policy.as_deref(), endpoint.as_deref(), fleet.as_deref());
    let fleet = fleet.and_then(|fleet| read(fleet).ok());
    let settings = fleet.map(fleet::settings_of).unwrap_or_default();
    let readable = endpoint.and_then(|endpoint| read(endpoint).ok());
    let requires = readable.zip(fleet).and_then(|(endpoint, fleet)| {
        Some(Requires {
            placement: sequence(endpoint.status.as_ref()?.signed.as_ref())?,
            fleet: sequence(fleet.status.as_ref()?.signed.as_ref())?,
            object: fleet.uid()?.parse().ok()?,
        })
    });
    let grant = object.status.as_ref().and_then(|status| status.signed.as_ref()).map(|signed| signed.digest.as_str());
    let uid = object.uid().unwrap_or_default();
    let report = readable.map(|endpoint| convert::delivery(endpoint, &uid, grant)).unwrap_or_default();
    let trust = (&context.keys.authority, context.trust_domain.as_str());
    let attested = readable
        .zip(convert::request(object).ok())
        .is_some_and(|(endpoint, request)| attestation::is_attested(object, &request, endpoint, trust, clock::now()));
    let parse = |endpoint: &ManagedEndpoint| Ok(convert::endpoint(endpoint)?.with_accounts_of(&settings.accounts));
    Referred {
        policy: lookup(policy, policy::ready_to_ask),
        endpoint: lookup(endpoint, parse),
        fleet: lifecycle::Fleet { switches, settings: settings.clone(), requires },
        report,
        attested,
    }
}

fn sequence(signed: Option<&tidegate_api::Signed>) -> Option<u64> {
    u64::try_from(signed?.sequence).ok()
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

/// Writes what the step says, in one compare-and-set, then tells it. The finalizer comes after the first status, or before it where that
/// grants already, and goes once the end is known to the fleet part; so it is never between an approval and its delivery. Where an end
/// was written, it goes in the pass which that write triggers: when many end at once, their ends come first.
async fn record(
    object: &ElevationRequest,
    request: Request,
    judged: Judged,
    report: &Report,
    context: &Context,
) -> Result<(), Error> {
    let Judged { step, mut course } = judged;
    let Some(status) = step.status.clone() else { return Ok(()) };
    let now = clock::now();
    let signed = match &step.sign {
        Some(grant) => Some(sign(object, grant.clone(), context, now).await?),
        None => object.status.as_ref().and_then(|status| status.signed.clone()),
    };
    if step.sign.is_some() {
        course.done(Stretch::Sign, clock::fine());
    }
    let before = convert::recorded_delivery(object);
    let delivery = report.delivery.or(before);
    let report = Report { delivery, refused: report.refused.clone() };
    let applied = applied(&status, &report, &request.wish.endpoint);
    let next = convert::request_status(object, &status, Beside { signed, delivery, applied }, now);
    let mut written = object.clone();
    if object.status.as_ref() != Some(&next) {
        // A grant in the first write of all: were the request deleted right after it, nobody would know of it.
        if step.sign.is_some() && object.metadata.deletion_timestamp.is_none() {
            written = apply::finalizer(&context.client, written, true).await?;
        }
        written.status = Some(next);
        written = apply::status(&context.client, &written).await?;
        course.done(Stretch::Write, clock::fine());
        let confirmed = confirmed_by(&request, &before, &delivery);
        let events: Vec<Event> = step.events.into_iter().chain(confirmed).collect();
        let what = Written { before: request.status.as_ref(), status: &status, events: &events };
        what.measure(&context.metrics, now);
        let traced = Traced { written: what, request: &request, object: &written, course: &course };
        context.traces.tell(|| traced.spans());
        tell(object, &Request { status: Some(status.clone()), ..request }, &events, context, now);
        if status.state.is_final() && object.metadata.deletion_timestamp.is_none() {
            return Ok(());
        }
    }
    let keep = status.accepted_at.is_some() && (!status.state.is_final() || !context.revocation_is_known(&written));
    if !keep || object.metadata.deletion_timestamp.is_none() {
        apply::finalizer(&context.client, written, keep).await?;
    }
    Ok(())
}

/// The endpoint's first word on a grant.
fn confirmed_by(request: &Request, before: &Delivery, delivery: &Delivery) -> Option<Event> {
    let (None, Some(applied)) = (before.applied_at, delivery.applied_at) else { return None };
    let message = format!("applied on {} at {applied}", request.wish.endpoint);
    Some(Event { kind: EventKind::Applied, slot: None, by: None, message })
}

async fn sign(
    object: &ElevationRequest,
    grant: tidegate_core::grant::GrantBody,
    context: &Context,
    now: Instant,
) -> Result<tidegate_api::Signed, Error> {
    let fleet = context.fleet(&namespace(object)).await?;
    let header = Header {
        schema: SCHEMA,
        trust_domain: context.trust_domain.clone(),
        fleet,
        sequence: next_sequence(None, now),
        issued_time: now,
    };
    let signed = envelope::sign(grant, header, &context.keys.signing)?;
    context.metrics.signed(PartKind::Grant);
    Ok(convert::from_signed(&signed))
}

/// Audit lines, log lines and Events of what has been written.
fn tell(object: &ElevationRequest, judged: &Request, events: &[Event], context: &Context, now: Instant) {
    if let Ok(fleet) = namespace(object).parse() {
        for event in events {
            tracing::info!(
                event = event.kind.as_str(),
                %fleet,
                request = %judged.reference.name,
                request_uid = judged.reference.uid.as_str(),
                trace_id = context.traces.of(judged.reference.uid.as_str()).map(tracing::field::display),
                endpoint = %judged.wish.endpoint,
                state = judged.status.as_ref().map(|status| status.state.as_str()),
                "a request was judged"
            );
            audit::record(&mut std::io::stdout().lock(), &fleet, judged, event, now);
        }
    }
    context.events.tell(object, events.iter().cloned());
}
