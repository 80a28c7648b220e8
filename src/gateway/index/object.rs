//! The objects of the index, reduced to what is served. A signed part counts only if it is about the very object that carries
//! it; one that does not read counts as absent, whatever was there before, so that every gateway answers the same.

use std::fmt::Display;
use std::sync::Arc;

use serde_json::value::RawValue;
use tidegate_api::{AgentFacts, Applied, GrantReport, Rejected};
use tidegate_core::endpoint::Agent;
use tidegate_core::envelope::Envelope;
use tidegate_core::fleet::FleetBody;
use tidegate_core::grant::GrantBody;
use tidegate_core::interval::Instant;
use tidegate_core::manifest::{ListedRequest, RequestSummary};
use tidegate_core::name::{Account, Digest, EndpointName, FleetName, PolicyName, RequestName, Uid};
use tidegate_core::part::{Body, Part};
use tidegate_core::placement::PlacementBody;
use tidegate_core::state::State;

/// The kinds that the gateway watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ManagedEndpoint
    Endpoint,
    /// Fleet
    Fleet,
    /// JitPolicy
    Policy,
    /// ElevationRequest
    Request,
}

/// An object by kind, fleet and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A ManagedEndpoint.
    Endpoint(FleetName, EndpointName),
    /// The Fleet of a namespace; there is one.
    Fleet(FleetName),
    /// A JitPolicy.
    Policy(FleetName, PolicyName),
    /// An ElevationRequest.
    Request(FleetName, RequestName),
}

/// An object as a watch delivered it.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// A ManagedEndpoint.
    Endpoint(EndpointObject),
    /// A Fleet.
    Fleet(FleetObject),
    /// A JitPolicy.
    Policy(PolicyObject),
    /// An ElevationRequest.
    Request(RequestObject),
}

/// What matters of a ManagedEndpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointObject {
    /// Its namespace.
    pub fleet: FleetName,
    /// `metadata.name`
    pub name: EndpointName,
    /// `metadata.uid`
    pub uid: Uid,
    /// What its agent is; `None` until it has said so.
    pub agent: Option<Agent>,
    /// What its status says that gateways write.
    pub reported: Arc<Reported>,
    /// Its placement.
    pub signed: Option<Envelope>,
}

/// The keys of an endpoint's status that gateways write, as they are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reported {
    /// `status.agent`
    pub agent: Option<AgentFacts>,
    /// `status.applied`
    pub applied: Option<Applied>,
    /// `status.rejected`
    pub rejected: Option<Rejected>,
    /// `status.grants`
    pub grants: Vec<GrantReport>,
}

/// What matters of a Fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetObject {
    /// Its namespace.
    pub fleet: FleetName,
    /// The fleet part.
    pub signed: Option<Envelope>,
}

/// What matters of a JitPolicy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyObject {
    /// Its namespace.
    pub fleet: FleetName,
    /// `metadata.name`
    pub name: PolicyName,
    /// `metadata.uid`
    pub uid: Uid,
    /// The compiled policy.
    pub signed: Option<Envelope>,
}

/// What matters of an ElevationRequest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestObject {
    /// Its namespace.
    pub fleet: FleetName,
    /// `metadata.name`
    pub name: RequestName,
    /// `metadata.uid`
    pub uid: Uid,
    /// `spec.endpointName`
    pub endpoint: EndpointName,
    /// The endpoint that it was accepted for.
    pub endpoint_uid: Option<Uid>,
    /// `spec.account`
    pub account: Account,
    /// `status.state`; `None` until the controller has judged it.
    pub state: Option<State>,
    /// For the person who asked.
    pub message: String,
    /// First second after access.
    pub expiration_time: Option<Instant>,
    /// When it was created, or when it ended.
    pub since: Instant,
    /// It is being deleted, which revokes it.
    pub deleting: bool,
    /// The grant.
    pub signed: Option<Envelope>,
}

/// A part as it is handed out: encoded once, shared by all who receive it.
#[derive(Debug)]
pub struct ServedPart {
    /// SHA-256 of the payload.
    pub digest: Digest,
    /// Bytes of the payload.
    pub size: u64,
    /// The envelope as JSON.
    pub json: Box<RawValue>,
}

/// A part with its content.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Served<B> {
    pub part: Arc<ServedPart>,
    pub sequence: u64,
    pub issued_at: Instant,
    pub body: B,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    pub uid: Uid,
    pub agent: Option<Agent>,
    pub reported: Arc<Reported>,
    pub placement: Option<Served<PlacementBody>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub uid: Uid,
    pub endpoint: EndpointName,
    pub endpoint_uid: Option<Uid>,
    pub listed: Option<ListedRequest>,
    pub grant: Option<Served<GrantBody>>,
}

// === impl Object ===

impl Object {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Endpoint(_) => Kind::Endpoint,
            Self::Fleet(_) => Kind::Fleet,
            Self::Policy(_) => Kind::Policy,
            Self::Request(_) => Kind::Request,
        }
    }

    /// Its namespace.
    #[must_use]
    pub fn fleet(&self) -> &FleetName {
        match self {
            Self::Endpoint(object) => &object.fleet,
            Self::Fleet(object) => &object.fleet,
            Self::Policy(object) => &object.fleet,
            Self::Request(object) => &object.fleet,
        }
    }

    /// What names it.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Endpoint(object) => Key::Endpoint(object.fleet.clone(), object.name.clone()),
            Self::Fleet(object) => Key::Fleet(object.fleet.clone()),
            Self::Policy(object) => Key::Policy(object.fleet.clone(), object.name.clone()),
            Self::Request(object) => Key::Request(object.fleet.clone(), object.name.clone()),
        }
    }
}

impl Key {
    /// The namespace.
    #[must_use]
    pub fn fleet(&self) -> &FleetName {
        match self {
            Self::Endpoint(fleet, _) | Self::Policy(fleet, _) | Self::Request(fleet, _) | Self::Fleet(fleet) => fleet,
        }
    }
}

// === impl ServedPart ===

impl PartialEq for ServedPart {
    fn eq(&self, other: &Self) -> bool {
        self.json.get() == other.json.get()
    }
}

impl Eq for ServedPart {}

// === impl Endpoint, Request ===

impl Endpoint {
    pub(super) fn read(object: EndpointObject) -> Self {
        let EndpointObject { fleet, name, uid, agent, reported, signed } = object;
        let placement = signed.and_then(|envelope| {
            let is_own = |body: &PlacementBody| body.endpoint.name == name && body.endpoint.uid == uid;
            read(&envelope, &fleet, &name, is_own)
        });
        Self { uid, agent, reported, placement }
    }

    /// Does the endpoint receive the same in both states? What its agent reported is not a part of that.
    pub(super) fn receives_as(&self, other: &Self) -> bool {
        (&self.uid, &self.agent, &self.placement) == (&other.uid, &other.agent, &other.placement)
    }
}

/// The fleet part of an object; `None` while nothing is signed.
pub(super) fn read_fleet(object: FleetObject) -> Option<Served<FleetBody>> {
    let FleetObject { fleet, signed } = object;
    read(&signed?, &fleet, &fleet, |_| true)
}

impl Request {
    pub(super) fn read(object: RequestObject) -> Self {
        let RequestObject {
            fleet,
            name,
            uid,
            endpoint,
            endpoint_uid,
            account,
            state,
            message,
            expiration_time,
            since,
            ..
        } = object;
        let granted = state.is_some_and(State::is_granted) && !object.deleting;
        let grant = object.signed.filter(|_| granted).and_then(|envelope| {
            let is_own = |body: &GrantBody| body.request.name == name && body.request.uid == uid;
            read(&envelope, &fleet, &name, is_own)
        });
        let listed = state.map(|state| {
            let summary = RequestSummary { name, uid: uid.clone(), account, state, message, expiration_time };
            ListedRequest { since, summary }
        });
        Self { uid, endpoint, endpoint_uid, listed, grant }
    }
}

/// Reads a signed part of an object; `None`, and a warning, if it is not about this object.
pub(super) fn read<B: Body>(
    envelope: &Envelope,
    fleet: &FleetName,
    name: &impl Display,
    is_own: impl Fn(&B) -> bool,
) -> Option<Served<B>> {
    let kind = B::KIND;
    let refuse =
        |error: &dyn Display| tracing::warn!(%kind, %fleet, object = %name, %error, "a signed part is not served");
    let Part { header, body } = match envelope.read_unverified::<B>() {
        Ok(part) => part,
        Err(error) => {
            refuse(&error);
            return None;
        }
    };
    if header.fleet.name != *fleet || !is_own(&body) {
        refuse(&"it was signed for another object");
        return None;
    }
    let json = RawValue::from_string(envelope.to_json()).ok()?;
    let size = u64::try_from(envelope.payload.len()).unwrap_or(u64::MAX);
    let part = Arc::new(ServedPart { digest: envelope.digest(), size, json });
    Some(Served { part, sequence: header.sequence, issued_at: header.issued_time, body })
}
