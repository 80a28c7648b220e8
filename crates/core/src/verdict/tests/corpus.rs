//! The committed corpus, `corpus/verdicts.yaml`: its header says what the format means.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::*;
use crate::application::{Arguments, Attr, Attribute, ItemName};
use crate::elevation::capability;
use crate::endpoint::Agent;
use crate::envelope::fixture;
use crate::envelope::{Signed, sign};
use crate::fleet::{FleetBody, PolicyInForce, Revoked};
use crate::floor::Floors;
use crate::grant::GrantBody;
use crate::manifest::PartName;
use crate::name::Uid;
use crate::part::{Body, Header};
use crate::placement::PlacementBody;
use crate::policy::PolicyBody;
use crate::snapshot::{Me, Snapshot, accept};
use crate::target::Platform;

type Named = BTreeMap<String, Value>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Corpus {
    issued_time: Instant,
    pub platform: Platform,
    pub placement: PlacementBody,
    fleet: FleetBody,
    defaults: Named,
    policies: Named,
    grants: Named,
    blocklists: Named,
    locks: Named,
    programs: BTreeMap<String, Map<String, Value>>,
    cases: Vec<Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    pub name: String,
    #[serde(default)]
    pub have: BTreeSet<String>,
    #[serde(default)]
    revoked: BTreeSet<String>,
    #[serde(default)]
    pub without: BTreeSet<PartName>,
    kind: String,
    pub account: Account,
    program: Option<String>,
    unlisted: Option<String>,
    #[serde(default)]
    session: bool,
    #[serde(default)]
    error: BTreeSet<Attribute>,
    #[serde(default)]
    unstated: BTreeSet<Attribute>,
    is_managed: bool,
    agreement: String,
    has_failed_end: bool,
    clock_is_sound: bool,
    contact_age: u64,
    grace: u64,
    pub now: Instant,
    pub expect: Value,
}

/// What is asked about, owned: a [`Query`] borrows it.
pub(super) enum Asked {
    Program(Facts),
    Unlisted(Facts),
    Session,
}

pub(super) fn corpus() -> Corpus {
    serde_saphyr::from_str(include_str!("../../../corpus/verdicts.yaml")).unwrap()
}

/// Members of the first that are not in the second, at every depth; what is an alternative is taken whole.
fn joined(default: &Value, own: &Value) -> Value {
    match (default, own) {
        (Value::Object(default), Value::Object(own)) => {
            let mut all = default.clone();
            for (name, value) in own {
                let joined = match all.get(name) {
                    Some(before) if !["access", "endpoints"].contains(&name.as_str()) => joined(before, value),
                    Some(_) | None => value.clone(),
                };
                all.insert(name.clone(), joined);
            }
            Value::Object(all)
        }
        (_, own) => own.clone(),
    }
}

fn read<T: DeserializeOwned>(what: &str, value: Value) -> T {
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn attr<T>(known: Option<T>) -> Attr<T> {
    known.map_or(Attr::Absent, Attr::Known)
}

// === impl Corpus ===

impl Corpus {
    pub(super) fn cases(&self) -> Vec<Case> {
        self.cases.iter().map(|case| read(&case["name"].to_string(), joined(&self.defaults["case"], case))).collect()
    }

    /// Those of the keys that stand here, with their bodies.
    fn of<T: DeserializeOwned>(
        &self,
        here: &Named,
        kind: Option<(&str, Value)>,
        keys: &BTreeSet<String>,
    ) -> Vec<(String, T)> {
        let known = [&self.policies, &self.grants, &self.blocklists, &self.locks];
        for key in keys {
            assert_eq!(known.iter().filter(|named| named.contains_key(key)).count(), 1, "{key}");
        }
        let made = here.iter().filter(|(key, _)| keys.contains(*key)).map(|(key, own)| {
            let body = match &kind {
                Some((kind, names)) => {
                    let names: Value = serde_json::from_str(&names.to_string().replace("KEY", key)).unwrap();
                    joined(&joined(&self.defaults[*kind], &names), own)
                }
                None => own.clone(),
            };
            (key.clone(), read(key, body))
        });
        made.collect()
    }

    pub(super) fn policies(&self, keys: &BTreeSet<String>) -> Vec<(String, PolicyBody)> {
        self.of(&self.policies, Some(("policy", json!({"policy": {"name": "KEY", "uid": "p-KEY"}}))), keys)
    }

    fn grants(&self, keys: &BTreeSet<String>) -> Vec<(String, GrantBody)> {
        self.of(&self.grants, Some(("grant", json!({"request": {"name": "KEY", "uid": "r-KEY"}}))), keys)
    }

    /// The fleet part, with the lists that are in force and nothing of what is compiled from objects.
    pub(super) fn fleet(&self, keys: &BTreeSet<String>) -> FleetBody {
        let blocklists = self.of::<Value>(&self.blocklists, None, keys).into_iter().map(|(key, mut list)| {
            list["name"] = key.clone().into();
            read(&key, list)
        });
        FleetBody {
            blocklists: blocklists.collect(),
            locked: self.of(&self.locks, None, keys).into_iter().map(|(_, lock)| lock).collect(),
            ..self.fleet.clone()
        }
    }

    /// What the endpoint holds: everything signed, sent and accepted.
    pub(super) fn snapshot(&self, case: &Case) -> Snapshot {
        let (policies, grants) = (self.policies(&case.have), self.grants(&case.have));
        let mut in_force: Vec<_> =
            policies.iter().map(|(_, body)| PolicyInForce { uid: body.policy.uid.clone(), sequence: 5 }).collect();
        in_force.sort();
        let revoked = grants.iter().filter(|(key, _)| case.revoked.contains(key));
        let revoked =
            revoked.map(|(_, grant)| Revoked { request: grant.request.uid.clone(), not_after: grant.not_after });
        let fleet = FleetBody { policies: in_force, revoked: revoked.collect(), ..self.fleet(&case.have) };
        let mut parts =
            vec![(PartName::Placement, self.signed(self.placement.clone())), (PartName::Fleet, self.signed(fleet))];
        parts.extend(
            policies.into_iter().map(|(_, body)| (PartName::Policy(body.policy.uid.clone()), self.signed(body))),
        );
        parts
            .extend(grants.into_iter().map(|(_, body)| (PartName::Grant(body.request.uid.clone()), self.signed(body))));
        parts.retain(|(name, _)| !case.without.contains(name));
        let sent = fixture::body(&fixture::manifest(&parts), &parts);
        let accepted = accept(&sent, &fixture::ring(), &self.me(), None, &Floors::default()).unwrap();
        if case.without.is_empty() && case.revoked.is_empty() {
            assert_eq!(accepted.refused, [], "{}", case.name);
        }
        accepted.snapshot
    }

    fn signed<B: Body>(&self, body: B) -> Signed {
        sign(body, Header { issued_time: self.issued_time, ..fixture::header(5) }, &fixture::key()).unwrap()
    }

    pub(super) fn agent(&self) -> Agent {
        let capabilities = [capability::ALLOWLISTING, capability::PROTECT, capability::LOG_OFF];
        Agent {
            version: "1.4.0".parse().ok(),
            platform: Some(self.platform),
            capabilities: capabilities.map(str::to_owned).into(),
        }
    }

    fn me(&self) -> Me {
        Me { endpoint: self.placement.endpoint.clone(), agent: self.agent(), ..fixture::me() }
    }

    pub(super) fn asked(&self, case: &Case) -> Asked {
        match (&case.program, &case.unlisted, case.session) {
            (Some(program), None, false) => Asked::Program(self.facts(program, case)),
            (None, Some(program), false) => Asked::Unlisted(self.facts(program, case)),
            (None, None, true) => Asked::Session,
            _ => panic!("{}: one of program, unlisted and session", case.name),
        }
    }

    fn facts(&self, program: &str, case: &Case) -> Facts {
        let mut stated = self.programs[program].clone();
        stated.remove("arguments");
        let known: BTreeMap<Attribute, Value> = stated.into_iter().map(|(k, v)| (read(program, k.into()), v)).collect();
        let text = |attribute: Attribute| known.get(&attribute).map(|value| value.as_str().unwrap().to_owned());
        let path = text(Attribute::Path).map(|path| path.parse().unwrap());
        let resolved = text(Attribute::ResolvedPath).map(|path| path.parse().unwrap()).or_else(|| path.clone());
        let arguments: Vec<String> = read(program, self.programs[program]["arguments"].clone());
        let mut facts = Facts {
            platform: Some(self.platform),
            path: attr(path),
            resolved_path: attr(resolved),
            sha256: attr(text(Attribute::Sha256).map(|digest| digest.parse().unwrap())),
            sha512: attr(text(Attribute::Sha512).map(|digest| digest.parse().unwrap())),
            vendor: attr(text(Attribute::Vendor)),
            product: attr(text(Attribute::Product)),
            version: attr(text(Attribute::Version).map(|version| version.parse().unwrap())),
            verified_executable: attr(text(Attribute::VerifiedExecutable)),
            store_app: attr(text(Attribute::StoreApp)),
            clsid: attr(text(Attribute::Clsid).map(|class| class.parse().unwrap())),
            arguments: Attr::Known(Arguments::These(arguments)),
            secure: attr(known.get(&Attribute::Secure).and_then(Value::as_bool)),
        };
        case.error.iter().for_each(|attribute| set(&mut facts, *attribute, true));
        case.unstated.iter().for_each(|attribute| set(&mut facts, *attribute, false));
        facts
    }
}

/// Makes an attribute unreadable, or unstated.
pub(super) fn set(facts: &mut Facts, attribute: Attribute, is_error: bool) {
    fn to<T>(is_error: bool) -> Attr<T> {
        if is_error { Attr::Error } else { Attr::Unstated }
    }
    match attribute {
        Attribute::Platform => facts.platform = None,
        Attribute::Path => facts.path = to(is_error),
        Attribute::ResolvedPath => facts.resolved_path = to(is_error),
        Attribute::Sha256 => facts.sha256 = to(is_error),
        Attribute::Sha512 => facts.sha512 = to(is_error),
        Attribute::Vendor => facts.vendor = to(is_error),
        Attribute::Product => facts.product = to(is_error),
        Attribute::Version => facts.version = to(is_error),
        Attribute::VerifiedExecutable => facts.verified_executable = to(is_error),
        Attribute::StoreApp => facts.store_app = to(is_error),
        Attribute::Clsid => facts.clsid = to(is_error),
        Attribute::Arguments => facts.arguments = to(is_error),
        Attribute::Secure => facts.secure = to(is_error),
    }
}

// === impl Case, Asked ===

impl Case {
    pub(super) fn query<'a>(&'a self, asked: &'a Asked) -> Query<'a> {
        Query {
            kind: self.kind(),
            subject: Subject {
                account: &self.account,
                agreement: match self.agreement.as_str() {
                    "Agrees" => Agreement::Agrees,
                    "Differs" => Agreement::Differs,
                    "Unreadable" => Agreement::Unreadable,
                    other => panic!("{other}"),
                },
                is_managed: self.is_managed,
                has_failed_end: self.has_failed_end,
            },
            ask: asked.ask(),
            clock_is_sound: self.clock_is_sound,
            contact: Contact { age: Duration::from_secs(self.contact_age), grace: Duration::from_secs(self.grace) },
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self.kind.as_str() {
            "Run" => Kind::Run,
            "Request" => Kind::Request,
            "Explain" => Kind::Explain,
            other => panic!("{other}"),
        }
    }
}

impl Asked {
    pub(super) fn ask(&self) -> Ask<'_> {
        match self {
            Self::Program(facts) => Ask::Program(facts),
            Self::Unlisted(facts) => Ask::Unlisted(facts),
            Self::Session => Ask::Session,
        }
    }
}

/// A verdict in the words of `expect`.
fn told(verdict: &Verdict<'_>) -> Value {
    let (by, item, rule, until): (Option<String>, Option<&ItemName>, _, _) = match &verdict.outcome {
        Outcome::NotManaged => (None, None, None, None),
        Outcome::Deny(denial) => (denial.policy.map(ToString::to_string), denial.item, None, None),
        Outcome::Ask(question) => {
            (Some(question.policy.name.to_string()), question.item, Some(question.rule_type), None)
        }
        Outcome::Allow(credit) => {
            let by = match credit.source {
                Source::Grant { request, .. } => request.name.to_string(),
                Source::Policy(policy) => policy.name.to_string(),
            };
            (Some(by), credit.item, Some(credit.rule_type), Some(credit.deadline))
        }
    };
    let told = json!({
        "outcome": verdict.outcome.as_str(), "reason": verdict.reason, "by": by, "item": item, "rule": rule, "until": until,
    });
    let Value::Object(told) = told else { unreachable!() };
    told.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// Runs every case before it fails, so that one look shows all that changed.
#[test]
fn every_case_of_the_corpus_is_judged_as_it_says() {
    let corpus = corpus();
    let cases = corpus.cases();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert!(cases.len() >= 60 && names.len() == cases.len(), "{} cases, {} names", cases.len(), names.len());
    let mut failed = Vec::new();
    for case in &cases {
        let (snapshot, asked) = (corpus.snapshot(case), corpus.asked(case));
        let verdict = told(&evaluate(&Rights::new(&snapshot), &case.query(&asked), case.now));
        if verdict != case.expect {
            failed.push(format!("{}: {verdict} instead of {}", case.name, case.expect));
        }
    }
    assert_eq!(failed, [""; 0]);
}

#[test]
fn every_reason_is_in_the_corpus_at_least_twice() {
    let reasons: Vec<String> =
        corpus().cases().iter().map(|case| case.expect["reason"].as_str().unwrap().to_owned()).collect();
    for reason in Reason::ALL {
        let count = reasons.iter().filter(|said| **said == reason.as_str()).count();
        assert!(count >= 2, "{reason}: {count}");
        assert_eq!(serde_json::to_value(reason).unwrap(), json!(reason.as_str()), "one word everywhere");
    }
}

#[test]
fn what_runs_has_a_right_of_the_snapshot_at_that_time() {
    let corpus = corpus();
    for case in corpus.cases() {
        let (snapshot, asked) = (corpus.snapshot(&case), corpus.asked(&case));
        let verdict = evaluate(&Rights::new(&snapshot), &case.query(&asked), case.now);
        if let Outcome::Allow(credit) = verdict.outcome {
            let rights = snapshot.rights(case.now);
            let is_credited = rights.iter().any(|right| {
                right.account == case.account
                    && right.interval.end == credit.deadline
                    && right.interval.position(case.now) == crate::interval::Position::Inside
                    && case.now <= right.fresh_until
                    && right.mode == credit.obligations.mode
            });
            assert!(is_credited, "{}", case.name);
        }
    }
}

/// For readers of the corpus: what is never used would say nothing.
#[test]
fn everything_that_the_corpus_names_is_used() {
    let corpus = corpus();
    let cases = corpus.cases();
    let used: BTreeSet<&String> =
        cases.iter().flat_map(|case| case.have.iter().chain(&case.program).chain(&case.unlisted)).collect();
    let named = [&corpus.policies, &corpus.grants, &corpus.blocklists, &corpus.locks];
    let named = named.into_iter().flat_map(BTreeMap::keys).chain(corpus.programs.keys());
    assert_eq!(named.filter(|name| !used.contains(name)).collect::<Vec<_>>(), [""; 0]);
    let uids: BTreeSet<Uid> = corpus
        .policies(&corpus.policies.keys().cloned().collect())
        .into_iter()
        .map(|(_, body)| body.policy.uid)
        .collect();
    assert_eq!(uids.len(), corpus.policies.len());
}
