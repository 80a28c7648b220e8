//! Snapshots and questions by chance. A snapshot is put together without signatures, as acceptance would leave it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::access::Access;
use crate::application::{
    Arguments, Attr, Facts, FileHash, FilePath, FolderPath, GrantedApplication, Hex, Product, RuleForm, Sha256, Vendor,
};
use crate::elevation::{Elevation, Mode, Scope};
use crate::envelope::fixture::{self, at};
use crate::fleet::FleetBody;
use crate::grant::GrantBody;
use crate::interval::{Instant, Interval};
use crate::manifest::Manifest;
use crate::part::Part;
use crate::placement::PlacementBody;
use crate::snapshot::Snapshot;
use crate::target::{AccountTarget, EndpointTarget, Platform, Selector};

/// What an endpoint holds.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub placement: PlacementBody,
    pub fleet: FleetBody,
    pub policies: Vec<PolicyBody>,
    pub grants: Vec<GrantBody>,
}

/// A query, owned.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub kind: Kind,
    pub account: Account,
    pub facts: Facts,
    pub contact: Contact,
    pub now: Instant,
    /// Which [`Ask`], counted from 0.
    ask: u8,
}

impl World {
    pub(super) fn snapshot(&self) -> Snapshot {
        let Self { placement, fleet, policies, grants } = self.clone();
        let policies = policies.into_iter().map(|body| (body.policy.uid.clone(), part(body)));
        let grants = grants.into_iter().map(|body| (body.request.uid.clone(), part(body)));
        Snapshot {
            manifest: Manifest::new(fixture::fleet().name, placement.endpoint.clone(), Vec::new(), Vec::new()),
            placement: Some(part(placement)),
            fleet: Some(part(fleet)),
            policies: policies.collect(),
            grants: grants.collect(),
            envelopes: BTreeMap::new(),
        }
    }
}

fn part<B>(body: B) -> Part<B> {
    Part { header: fixture::header(5), body }
}

impl Question {
    pub(super) fn query(&self) -> Query<'_> {
        Query {
            kind: self.kind,
            subject: Subject {
                account: &self.account,
                agreement: Agreement::Agrees,
                is_managed: true,
                has_failed_end: false,
            },
            ask: match self.ask {
                0 => Ask::Session,
                1 => Ask::Unlisted(&self.facts),
                _ => Ask::Program(&self.facts),
            },
            clock_is_sound: true,
            contact: self.contact,
        }
    }
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

fn digest(n: u8) -> Sha256 {
    Hex::from_bytes([n; 32])
}

/// Parts that are one on some platform and two on another, the Kelvin sign and a dotless i among them, and folders that Linux has
/// under two names.
const PARTS: [&str; 9] = ["a", "a", "b", "A", "k", "\u{212a}", "i", "\u{131}", "bin"];

fn start() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("/"), 2 => Just("/bin/"), 2 => Just("/usr/bin/"), 1 => Just("/usr/"), 1 => Just("C:\\")]
}

fn joined(start: &str, parts: &[&str]) -> String {
    format!("{start}{}", parts.join(if start.starts_with('/') { "/" } else { "\\" }))
}

fn path() -> impl Strategy<Value = FilePath> {
    (start(), prop::collection::vec(one_of(&PARTS), 1..3))
        .prop_map(|(start, parts)| joined(start, &parts).parse().unwrap())
}

fn pattern() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => one_of(&PARTS), 1 => Just("*"), 1 => Just("?"), 2 => Just("**")];
    (start(), prop::collection::vec(part, 1..3)).prop_map(|(start, parts)| joined(start, &parts))
}

fn attr<T: Clone + std::fmt::Debug>(known: impl Strategy<Value = T>) -> impl Strategy<Value = Attr<T>> {
    prop_oneof![12 => known.prop_map(Attr::Known), 1 => Just(Attr::Absent), 1 => Just(Attr::Error), 1 => Just(Attr::Unstated)]
}

fn facts() -> impl Strategy<Value = Facts> {
    let platform = prop_oneof![
        6 => Just(Some(Platform::Linux)), 2 => Just(Some(Platform::MacOs)), 1 => Just(Some(Platform::Windows)), 1 => Just(None),
    ];
    let text = || attr(one_of(&["x", "y"]).prop_map(str::to_owned));
    let secure = prop_oneof![12 => Just(Attr::Known(true)), 1 => Just(Attr::Known(false)), 1 => Just(Attr::Error), 1 => Just(Attr::Unstated)];
    (
        platform,
        attr(path()),
        prop::option::weighted(0.2, attr(path())),
        attr((0u8..2).prop_map(digest)),
        text(),
        text(),
        secure,
    )
        .prop_map(|(platform, path, link, sha256, vendor, product, secure)| Facts {
            resolved_path: link.unwrap_or_else(|| path.clone()),
            path,
            sha256,
            sha512: Attr::Absent,
            vendor,
            product,
            version: Attr::Known("1".parse().unwrap()),
            verified_executable: Attr::Absent,
            store_app: Attr::Absent,
            clsid: Attr::Absent,
            arguments: Attr::Known(Arguments::These(Vec::new())),
            secure,
            ..Facts::unstated(platform)
        })
}

pub(super) fn rule() -> impl Strategy<Value = Rule> {
    let maybe = |weight| prop::option::weighted(weight, one_of(&["x", "y"]));
    let digests = prop::option::weighted(0.2, prop::collection::btree_set((0u8..2).prop_map(digest), 1..3));
    (prop::option::weighted(0.7, pattern()), digests, maybe(0.2), maybe(0.2)).prop_map(
        |(path, sha256, vendor, product)| {
            let path =
                path.or_else(|| (sha256.is_none() && vendor.is_none() && product.is_none()).then(|| "/**".to_owned()));
            let form = RuleForm {
                folder_path: path.map(|text| FolderPath { path: text.parse().unwrap() }),
                file_hash: sha256.map(|sha256| FileHash { sha256, sha512: BTreeSet::new() }),
                vendor: vendor.map(|name| Vendor { name: name.parse().unwrap() }),
                product: product.map(|name| Product { name: name.parse().unwrap(), min_version: None }),
                ..RuleForm::default()
            };
            Rule::try_from(form).unwrap()
        },
    )
}

/// Items of different names.
fn items() -> impl Strategy<Value = Vec<Application>> {
    let item = (rule(), prop::option::weighted(0.2, rule()));
    prop::collection::vec(item, 1..4).prop_map(|items| {
        let named = ["a", "b", "c"].into_iter().zip(items);
        let item = |(name, (rule, except)): (&str, (Rule, Option<Rule>))| {
            Application::new(name.parse().unwrap(), rule, except.into_iter().collect()).unwrap()
        };
        named.map(item).collect()
    })
}

pub(super) fn excepting(item: &Application, rule: Rule) -> Application {
    let except = item.except().iter().cloned().chain([rule]).collect();
    Application::new(item.name.clone(), item.rule().clone(), except).unwrap()
}

fn elevation() -> impl Strategy<Value = Elevation> {
    let mode = prop_oneof![
        8 => Just(Mode::Application), 2 => Just(Mode::AnyApplication), 2 => Just(Mode::AdminSession), 2 => Just(Mode::Allowlisting),
    ];
    (mode, prop::bool::weighted(0.2), any::<bool>(), items()).prop_map(
        |(mode, is_any, include_blocklisted, applications)| {
            let scope = if is_any { Scope::Any } else { Scope::Listed };
            Elevation { mode, scope, include_blocklisted, applications, ..fixture::elevation() }
        },
    )
}

fn accounts() -> impl Strategy<Value = AccountTarget> {
    let name = |name: &str| name.parse().unwrap();
    (0u8..3, prop::bool::weighted(0.1)).prop_map(move |(by, is_excepted)| {
        let mut target = AccountTarget::default();
        match by {
            0 => target.everyone = true,
            1 => target.groups = [name_of("developers")].into(),
            _ => target.names = [name("alice")].into(),
        }
        if is_excepted {
            target.except.names = [name("alice")].into();
        }
        target
    })
}

fn name_of<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn endpoints() -> impl Strategy<Value = EndpointTarget> {
    prop_oneof![
        12 => Just(EndpointTarget::Selector(Selector::default())),
        1 => Just(EndpointTarget::Names([name_of("ws-043")].into())),
    ]
}

fn interval() -> impl Strategy<Value = Interval> {
    (-20i64..20, 1i64..60).prop_map(|(start, length)| Interval { start: at(start), end: at(start + length) })
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![
        2 => interval().prop_map(|window| Access::Window { window }),
        1 => interval().prop_map(|fixed| Access::Fixed { fixed }),
        2 => Just(fixture::policy().access),
    ]
}

fn tolerance() -> impl Strategy<Value = Duration> {
    one_of(&[0, 0, 50, 86_400]).prop_map(Duration::from_secs)
}

pub(super) fn policies() -> impl Strategy<Value = Vec<PolicyBody>> {
    let policy = (endpoints(), accounts(), elevation(), access(), tolerance());
    prop::collection::vec(policy, 0..4).prop_map(|policies| {
        let named = ["p-1", "p-2", "p-3"].into_iter().zip(policies);
        let policy = |(name, (endpoints, accounts, elevation, access, offline_tolerance))| {
            let mut policy: PolicyBody = fixture::policy();
            (policy.policy.name, policy.policy.uid) = (name_of(name), name_of(name));
            (policy.targets.endpoints, policy.targets.accounts) = (endpoints, accounts);
            PolicyBody { elevation, access, offline_tolerance, ..policy }
        };
        named.map(policy).collect()
    })
}

fn grants() -> impl Strategy<Value = Vec<GrantBody>> {
    let application = (path(), prop::option::weighted(0.3, (0u8..2).prop_map(digest))).prop_map(|(path, sha256)| {
        GrantedApplication { path, arguments: None, sha256, vendor: None, product: None, version: None }
    });
    let account = one_of(&["alice", "alice", "bob"]);
    let grant = (elevation(), prop::option::weighted(0.6, application), account, interval(), tolerance());
    prop::collection::vec(grant, 0..3).prop_map(|grants| {
        let named = ["r-1", "r-2"].into_iter().zip(grants);
        type Parts = (Elevation, Option<GrantedApplication>, &'static str, Interval, Duration);
        let grant = |(name, (mut elevation, application, account, interval, offline_tolerance)): (&str, Parts)| {
            let mut grant = fixture::grant();
            (grant.request.name, grant.request.uid) = (name_of(name), name_of(name));
            let Interval { start: not_before, end: not_after } = interval;
            let account = name_of(account);
            elevation.applications.retain(|_| application.is_none());
            GrantBody { elevation, application, account, not_before, not_after, offline_tolerance, ..grant }
        };
        named.map(grant).collect()
    })
}

pub(super) fn block(name: &'static str) -> impl Strategy<Value = Blocklist> {
    (endpoints(), any::<bool>(), prop::option::weighted(0.2, Just(Platform::Linux)), items()).prop_map(
        move |(endpoints, absolute, platform, applications)| Blocklist {
            name: name_of(name),
            endpoints,
            platforms: platform.into_iter().collect(),
            applications,
            absolute,
        },
    )
}

pub(super) fn lock() -> impl Strategy<Value = Locked> {
    let endpoints = prop::option::weighted(0.7, one_of(&["ws-042", "ws-043", "ws-043"]));
    let account = prop::option::weighted(0.7, one_of(&["alice", "bob"]));
    let policy = prop::option::weighted(0.8, one_of(&["p-1", "p-2", "dev-tools"]));
    (endpoints, account, policy).prop_map(|(endpoint, account, policy)| Locked {
        endpoints: endpoint.map(|name| EndpointTarget::Names([name_of(name)].into())),
        accounts: account.map(|name| [(fixture::endpoint().uid, [name_of(name)].into())].into()),
        policies: policy.into_iter().map(name_of).collect(),
        message: String::new(),
    })
}

pub(super) fn world() -> impl Strategy<Value = World> {
    let lists = (prop::option::weighted(0.2, block("one")), prop::option::weighted(0.2, block("two")));
    let locks = prop::collection::vec(lock(), 0..2);
    (policies(), grants(), lists, locks).prop_map(|(policies, grants, (one, two), locked)| World {
        placement: fixture::placement(),
        fleet: FleetBody {
            freshness: Duration::from_secs(30),
            blocklists: one.into_iter().chain(two).collect(),
            locked,
            ..fixture::fleet_part()
        },
        policies,
        grants,
    })
}

pub(super) fn question() -> impl Strategy<Value = Question> {
    let kind = one_of(&[Kind::Run, Kind::Run, Kind::Request, Kind::Explain]);
    let account = one_of(&["alice", "alice", "alice", "bob", "mallory"]);
    let age = one_of(&[0, 0, 0, 1, 60]).prop_map(Duration::from_secs);
    (kind, account, facts(), age, 0i64..40, 0u8..8).prop_map(|(kind, account, facts, age, second, ask)| Question {
        kind,
        account: name_of(account),
        facts,
        contact: Contact { age, grace: Duration::ZERO },
        now: at(second),
        ask,
    })
}
