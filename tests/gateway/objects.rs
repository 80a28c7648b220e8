//! Builders of the index' objects. Their parts carry no signature: the gateway passes signatures on and agents verify them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tidegate::gateway::index::{EndpointObject, FleetObject, Object, PolicyObject, RequestObject};
use tidegate_core::access::Access;
use tidegate_core::elevation::{Authentication, ChildProcesses, Elevation, Mode, OnExpiry, Scope};
use tidegate_core::envelope::Envelope;
use tidegate_core::fleet::{FleetBody, PolicyInForce, Revoked};
use tidegate_core::grant::{GrantBody, GrantedRequest, PinnedPolicy, Requires};
use tidegate_core::interval::{Instant, Interval};
use tidegate_core::name::{Digest, EndpointRef, FleetName, Named, Uid};
use tidegate_core::part::{Body, Header, Part, SCHEMA};
use tidegate_core::placement::PlacementBody;
use tidegate_core::policy::{PolicyBody, PolicyRef};
use tidegate_core::state::State;
use tidegate_core::target::{AccountTarget, EndpointTarget, Selector, Targets};

pub const TRUST_DOMAIN: &str = "tidegate.test";
pub const FLEET: &str = "berlin";

pub fn fleet() -> FleetName {
    FLEET.parse().unwrap()
}

pub fn uid(text: &str) -> Uid {
    text.parse().unwrap()
}

/// An unsigned envelope around this body.
pub fn envelope<B: Body>(sequence: u64, body: B) -> Envelope {
    envelope_in(FLEET, sequence, body)
}

/// The same, of this fleet.
pub fn envelope_in<B: Body>(fleet: &str, sequence: u64, body: B) -> Envelope {
    let header = Header {
        schema: SCHEMA,
        trust_domain: TRUST_DOMAIN.to_owned(),
        fleet: Named { name: fleet.parse().unwrap(), uid: uid("fleet-uid") },
        sequence,
        issued_time: Instant::from_second(1_000),
    };
    let payload = Part { header, body }.to_bytes().unwrap();
    Envelope { payload_type: B::KIND.payload_type().to_owned(), payload, signatures: Vec::new() }
}

/// A ManagedEndpoint with a placement and the label `team`.
pub fn endpoint(name: &str, object_uid: &str, team: &str) -> Object {
    let body = PlacementBody {
        endpoint: EndpointRef { name: name.parse().unwrap(), uid: uid(object_uid) },
        labels: [("team".to_owned(), team.to_owned())].into(),
        accounts: Vec::new(),
    };
    Object::Endpoint(EndpointObject {
        fleet: fleet(),
        name: name.parse().unwrap(),
        uid: uid(object_uid),
        agent: None,
        reported: Arc::default(),
        signed: Some(envelope(1, body)),
    })
}

/// A ManagedEndpoint that the controller has not seen yet.
pub fn unsigned_endpoint(name: &str, object_uid: &str) -> Object {
    let (name, uid) = (name.parse().unwrap(), uid(object_uid));
    Object::Endpoint(EndpointObject { fleet: fleet(), name, uid, agent: None, reported: Arc::default(), signed: None })
}

/// The Fleet: its part of this sequence names these policies in these versions.
pub fn in_force(sequence: u64, policies: &[(&str, u64)]) -> Object {
    fleet_part(sequence, policies, &[])
}

/// The same; the grants of these requests are revoked.
pub fn fleet_part(sequence: u64, policies: &[(&str, u64)], revoked: &[&str]) -> Object {
    let signed = Some(envelope(sequence, fleet_body(policies, revoked)));
    Object::Fleet(FleetObject { fleet: fleet(), signed })
}

const FLEET_UID: &str = "fleet-object";

/// The parts of these sequences, of the Fleet of [`fleet_body`].
pub fn requires(placement: u64, fleet: u64) -> Requires {
    Requires { placement, fleet, object: uid(FLEET_UID) }
}

/// The content of a fleet part.
pub fn fleet_body(policies: &[(&str, u64)], revoked: &[&str]) -> FleetBody {
    let mut policies: Vec<PolicyInForce> = policies
        .iter()
        .map(|(name, sequence)| PolicyInForce { uid: uid(&format!("{name}-uid")), sequence: *sequence })
        .collect();
    policies.sort();
    let revoked = revoked
        .iter()
        .map(|name| Revoked { request: uid(&format!("{name}-uid")), not_after: Instant::from_second(4_000_000_000) });
    FleetBody {
        freshness: Duration::from_secs(900),
        object: uid(FLEET_UID),
        void_below: 0,
        void_time: Instant::from_second(0),
        policies,
        locked: Vec::new(),
        revoked: revoked.collect(),
        blocklists: Vec::new(),
    }
}

/// Any application.
fn elevation() -> Elevation {
    Elevation {
        mode: Mode::AnyApplication,
        scope: Scope::Listed,
        include_blocklisted: false,
        applications: Vec::new(),
        run_as: "root".parse().unwrap(),
        authentication: Authentication::Required,
        child_processes: ChildProcesses::Track,
        protections: [].into(),
        on_expiry: OnExpiry::Terminate,
    }
}

/// A JitPolicy for the endpoints with this label `team`; the sequence of its part is its generation.
pub fn policy(name: &str, generation: i64, team: &str) -> Object {
    policy_with(name, generation, team, |_| {})
}

/// The same, changed.
pub fn policy_with(name: &str, generation: i64, team: &str, change: impl FnOnce(&mut PolicyBody)) -> Object {
    let object_uid = uid(&format!("{name}-uid"));
    let selector = Selector { match_labels: [("team".to_owned(), team.to_owned())].into(), ..Selector::default() };
    let interval = Interval { start: Instant::from_second(0), end: Instant::from_second(4_000_000_000) };
    let mut body = PolicyBody {
        policy: PolicyRef { name: name.parse().unwrap(), uid: object_uid.clone(), generation },
        targets: Targets {
            endpoints: EndpointTarget::Selector(selector),
            accounts: AccountTarget { everyone: true, ..AccountTarget::default() },
            platforms: [].into(),
            min_agent_version: None,
        },
        elevation: elevation(),
        access: Access::Window { window: interval },
        reminders: Vec::new(),
        offline_tolerance: Duration::from_secs(3600),
    };
    change(&mut body);
    let signed = Some(envelope(u64::try_from(generation).unwrap(), body));
    Object::Policy(PolicyObject { fleet: fleet(), name: name.parse().unwrap(), uid: object_uid, signed })
}

/// An ElevationRequest for alice on this endpoint; it carries a grant in every state, beside any parts.
pub fn request(name: &str, endpoint: &str, endpoint_uid: &str, state: State) -> Object {
    request_with(name, endpoint, endpoint_uid, state, requires(1, 1))
}

/// The same; the grant requires these parts.
pub fn request_with(name: &str, endpoint: &str, endpoint_uid: &str, state: State, requires: Requires) -> Object {
    let object_uid = uid(&format!("{name}-uid"));
    let reference = EndpointRef { name: endpoint.parse().unwrap(), uid: uid(endpoint_uid) };
    let body = GrantBody {
        endpoint: reference,
        request: GrantedRequest { name: name.parse().unwrap(), uid: object_uid.clone(), ticket: String::new() },
        account: "alice".parse().unwrap(),
        policy: PinnedPolicy {
            name: "dev-tools".parse().unwrap(),
            uid: uid("dev-tools-uid"),
            generation: 1,
            digest: Digest::of(b"rules"),
        },
        elevation: elevation(),
        application: None,
        not_before: Instant::from_second(2_000),
        not_after: Instant::from_second(4_000_000_000),
        reminders: Vec::new(),
        offline_tolerance: Duration::from_secs(3600),
        requires,
    };
    Object::Request(RequestObject {
        fleet: fleet(),
        name: name.parse().unwrap(),
        uid: object_uid,
        endpoint: endpoint.parse().unwrap(),
        endpoint_uid: Some(uid(endpoint_uid)),
        account: "alice".parse().unwrap(),
        state: Some(state),
        message: format!("{name} is {state}"),
        expiration_time: Some(Instant::from_second(4_000_000_000)),
        since: Instant::from_second(1_000),
        deleting: false,
        signed: Some(envelope(1, body)),
    })
}

/// The names of the parts of a manifest, as they are written.
pub fn part_names(manifest: &serde_json::Value) -> BTreeSet<String> {
    manifest["parts"].as_array().unwrap().iter().map(|part| part["name"].as_str().unwrap().to_owned()).collect()
}
