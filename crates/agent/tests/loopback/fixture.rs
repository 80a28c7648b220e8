//! A controller for tests: an authority, a signing key, and whatever it signs, all for endpoint ws-042 of fleet berlin.
//! Shared by the agent's own tests and by those over the network.

use std::collections::BTreeSet;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, PKCS_ED25519, PublicKeyData, SanType,
};
use tidegate_core::access::Access;
use tidegate_core::elevation::{Authentication, ChildProcesses, Elevation, Mode, OnExpiry, Scope};
use tidegate_core::envelope::{Envelope, sign};
use tidegate_core::fleet::{FleetBody, PolicyInForce, Revoked};
use tidegate_core::grant::{GrantBody, GrantedRequest, PinnedPolicy, Requires};
use tidegate_core::interval::{Instant, Interval};
use tidegate_core::key::SigningKey;
use tidegate_core::keyring::TrustedKey;
use tidegate_core::manifest::{Manifest, PartEntry, PartName, RequestSummary, etag};
use tidegate_core::name::{Digest, EndpointRef, FleetRef, Named, Uid};
use tidegate_core::part::{Body, Header, PartKind, SCHEMA};
use tidegate_core::placement::{PlacedAccount, PlacementBody};
use tidegate_core::policy::{PolicyBody, PolicyRef};
use tidegate_core::target::{AccountTarget, EndpointTarget, Selector, Targets};
use tidegate_core::trust::{TrustBundle, pin_of_spki};
use tidegate_core::wire::SnapshotBody;

/// The installation.
pub const TRUST_DOMAIN: &str = "tidegate.test";
/// The endpoint's identity, without uid.
pub const ENDPOINT: &str = "spiffe://tidegate.test/fleet/berlin/endpoint/ws-042";
/// How long a fleet part of these tests can be relied on.
pub const FRESHNESS: Duration = Duration::from_secs(900);
/// How long the rights of these tests may still begin without contact.
pub const TOLERANCE: Duration = Duration::from_secs(86_400);

/// An authority and a signing key.
pub struct Controller {
    /// Issues certificates.
    pub authority: Issuer<'static, KeyPair>,
    /// The authority's own certificate, PEM.
    pub certificate: String,
    signing: SigningKey,
}

/// The year in which certificates end that are not to end.
pub const FAR: i32 = 4096;

/// What a gateway serves.
pub struct Served {
    /// The manifest's ETag, quoted.
    pub etag: String,
    /// Manifest and parts.
    pub body: SnapshotBody,
}

/// A part before it is put into a manifest.
pub type Piece = (PartName, Envelope);

pub fn endpoint() -> EndpointRef {
    Named { name: "ws-042".parse().unwrap(), uid: "uid-1".parse().unwrap() }
}

fn ed25519() -> KeyPair {
    KeyPair::generate_for(&PKCS_ED25519).unwrap()
}

fn fleet() -> FleetRef {
    Named { name: "berlin".parse().unwrap(), uid: "uid-berlin".parse().unwrap() }
}

// === impl Controller ===

impl Controller {
    pub fn new() -> Self {
        Self::of(ed25519())
    }

    /// This authority's, with a signing key of its own.
    pub fn of(key: KeyPair) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Tidegate test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        let signing = SigningKey::from_pkcs8(ed25519().serialized_der()).unwrap();
        Self { authority: Issuer::new(params, key), certificate, signing }
    }

    /// What people give to agents.
    pub fn pin(&self) -> Digest {
        pin_of_spki(&self.authority.key().subject_public_key_info())
    }

    pub fn bundle(&self) -> TrustBundle {
        let authority = SigningKey::from_pkcs8(self.authority.key().serialized_der()).unwrap();
        let trusted = TrustedKey {
            public_key: self.signing.public_key(),
            roles: BTreeSet::from([PartKind::Placement, PartKind::Fleet, PartKind::Policy, PartKind::Grant]),
            expiration_time: Instant::MAX,
        };
        let authorities = vec![self.certificate.clone()];
        TrustBundle::seal(TRUST_DOMAIN, authorities, vec![trusted], &authority, Instant::from_second(0)).unwrap()
    }

    /// A certificate for the key of this request (PEM), as `id` and for this use, until this year begins.
    pub fn issue(&self, csr: &str, id: &str, usage: ExtendedKeyUsagePurpose, year: i32) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.params.not_after = rcgen::date_time_ymd(year, 1, 1);
        request.params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        request.params.extended_key_usages = vec![usage];
        request.signed_by(&self.authority).unwrap().pem()
    }

    /// A part of this name, signed.
    pub fn sign<B: Body>(&self, name: &str, body: B, sequence: u64, issued: Instant) -> Piece {
        let header = Header {
            schema: SCHEMA,
            trust_domain: TRUST_DOMAIN.to_owned(),
            fleet: fleet(),
            sequence,
            issued_time: issued,
        };
        (name.parse().unwrap(), sign(body, header, &self.signing).unwrap().envelope)
    }

    /// Accounts alice and bob, no labels; issued at the start of 1970.
    pub fn placement(&self, sequence: u64) -> Piece {
        let account = |name: &str| PlacedAccount { name: name.parse().unwrap(), groups: BTreeSet::new() };
        let accounts = vec![account("alice"), account("bob")];
        let body = PlacementBody { endpoint: endpoint(), labels: Default::default(), accounts };
        self.sign("placement", body, sequence, Instant::from_second(0))
    }

    /// The fleet part of this content.
    pub fn fleet(&self, body: FleetBody, sequence: u64, issued: Instant) -> Piece {
        self.sign("fleet", body, sequence, issued)
    }

    /// [`grant()`], signed when it begins.
    pub fn grant(&self, request: &str, interval: Interval) -> Piece {
        self.granted(grant(request, interval))
    }

    /// A grant of this content, signed when it begins.
    pub fn granted(&self, body: GrantBody) -> Piece {
        let (name, issued) = (format!("grant/{}", body.request.uid), body.not_before);
        self.sign(&name, body, 1, issued)
    }

    /// A policy that gives everyone this window; its uid is `window-uid`.
    pub fn window(&self, window: Interval, sequence: u64) -> Piece {
        self.policy(ahead(Access::Window { window }), sequence)
    }

    /// A policy of this content.
    pub fn policy(&self, body: PolicyBody, sequence: u64) -> Piece {
        let name = format!("policy/{}", body.policy.uid);
        self.sign(&name, body, sequence, Instant::from_second(0))
    }
}

/// The uid of the Fleet that parts are signed for.
pub fn fleet_object() -> Uid {
    "fleet-object".parse().unwrap()
}

/// Policy `window-uid` is in force at sequence 1, and nothing speaks against anything.
pub fn fleet_body() -> FleetBody {
    FleetBody {
        freshness: FRESHNESS,
        object: fleet_object(),
        void_below: 0,
        void_time: Instant::from_second(0),
        policies: in_force(1),
        locked: Vec::new(),
        revoked: Vec::new(),
        blocklists: Vec::new(),
    }
}

/// Policy `window-uid` is in force at this sequence.
pub fn in_force(sequence: u64) -> Vec<PolicyInForce> {
    vec![PolicyInForce { uid: "window-uid".parse().unwrap(), sequence }]
}

/// The grant that answers the request of this name ended before its time.
pub fn revoked(request: &str) -> Vec<Revoked> {
    vec![Revoked { request: format!("{request}-uid").parse().unwrap(), not_after: Instant::MAX }]
}

/// Any application, for alice, answering the request of this name, whose uid is `<name>-uid`.
pub fn grant(request: &str, interval: Interval) -> GrantBody {
    let ticket = String::new();
    GrantBody {
        endpoint: endpoint(),
        request: GrantedRequest {
            name: request.parse().unwrap(),
            uid: format!("{request}-uid").parse().unwrap(),
            ticket,
        },
        account: "alice".parse().unwrap(),
        policy: PinnedPolicy {
            name: "dev-tools".parse().unwrap(),
            uid: "policy-uid".parse().unwrap(),
            generation: 1,
            digest: Digest::of(b""),
        },
        elevation: elevation(),
        application: None,
        not_before: interval.start,
        not_after: interval.end,
        reminders: Vec::new(),
        offline_tolerance: TOLERANCE,
        requires: Requires { placement: 1, fleet: 1, object: fleet_object() },
    }
}

/// A policy `window` of uid `window-uid` that gives everyone any application ahead.
pub fn ahead(access: Access) -> PolicyBody {
    PolicyBody {
        policy: PolicyRef { name: "window".parse().unwrap(), uid: "window-uid".parse().unwrap(), generation: 1 },
        targets: Targets {
            endpoints: EndpointTarget::Selector(Selector::default()),
            accounts: AccountTarget { everyone: true, ..AccountTarget::default() },
            platforms: BTreeSet::new(),
            min_agent_version: None,
        },
        elevation: elevation(),
        access,
        reminders: Vec::new(),
        offline_tolerance: TOLERANCE,
    }
}

fn elevation() -> Elevation {
    Elevation {
        mode: Mode::AnyApplication,
        scope: Scope::Listed,
        include_blocklisted: false,
        applications: Vec::new(),
        run_as: "root".parse().unwrap(),
        authentication: Authentication::Required,
        child_processes: ChildProcesses::Track,
        protections: BTreeSet::new(),
        on_expiry: OnExpiry::Terminate,
    }
}

// === impl Served ===

impl Served {
    /// These parts and requests, as a gateway puts them together.
    pub fn new(parts: &[Piece], requests: Vec<RequestSummary>) -> Self {
        let entry = |(name, envelope): &Piece| PartEntry {
            name: name.clone(),
            digest: envelope.digest(),
            size: envelope.payload.len() as u64,
        };
        let mut manifest = Manifest::new(fleet().name, endpoint(), parts.iter().map(entry).collect(), Vec::new());
        manifest.requests = requests;
        let bytes = manifest.to_bytes();
        let body = SnapshotBody {
            manifest: serde_json::from_slice(&bytes).unwrap(),
            parts: parts.iter().map(|(_, envelope)| (envelope.digest(), envelope.clone())).collect(),
        };
        Self { etag: etag(&bytes), body }
    }
}
