//! What the tests of judging share: a small world in which a request lives. Time passes, people decide, objects change.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, EventKind, Fleet, Step, step};
use crate::access::{Access, DurationRule, ReasonRule, Terms, TicketRule};
use crate::approval::rule::{ApprovalRules, Stage};
use crate::endpoint::{AccountEntry, Endpoint};
use crate::envelope::fixture;
use crate::grant::GrantBody;
use crate::guard::Guard;
use crate::interval::{Instant, parse_duration};
use crate::ledger::OpenRequests;
use crate::lock::{Effect, Lock, LockTarget};
use crate::name::{EndpointName, Named};
use crate::policy::{Policy, PolicyRef, Rules};
use crate::reason::IgnoredReason;
use crate::request::{Lookup, Request, Status, Wish};
use crate::state::State;
use crate::target::{AccountTarget, EndpointTarget, Selector, Targets};

const T0: i64 = 1_000_000;

pub(crate) fn at(second: i64) -> Instant {
    Instant::from_second(T0 + second)
}

pub(crate) fn policy() -> Policy {
    let duration = |text: &str| parse_duration(text).unwrap();
    Policy {
        reference: PolicyRef { name: "dev-tools".parse().unwrap(), uid: "p-1".parse().unwrap(), generation: 1 },
        suspended: false,
        rules: Rules {
            targets: Targets {
                endpoints: EndpointTarget::Selector(Selector {
                    match_labels: BTreeMap::from([("team".to_owned(), "dev".to_owned())]),
                    match_expressions: Vec::new(),
                }),
                accounts: AccountTarget { everyone: true, ..AccountTarget::default() },
                platforms: BTreeSet::new(),
                min_agent_version: None,
            },
            elevation: fixture::elevation(),
            access: Access::OnRequest {
                on_request: Terms {
                    reason: ReasonRule { required: true, min_length: 10, pattern: None },
                    ticket: TicketRule::default(),
                    duration: DurationRule { min: duration("1m"), max: duration("4h"), default: duration("30m") },
                    pending_timeout: duration("1h"),
                },
            },
            approval: ApprovalRules::default(),
            reminders: Vec::new(),
            offline_tolerance: duration("24h"),
        },
    }
}

pub(crate) fn endpoint() -> Endpoint {
    let person = AccountEntry {
        identities: vec!["alice@corp".parse().unwrap(), "alice-admin@corp".parse().unwrap()],
        groups: BTreeSet::new(),
    };
    Endpoint {
        reference: Named { name: "ws-042".parse::<EndpointName>().unwrap(), uid: "e-1".parse().unwrap() },
        labels: BTreeMap::from([("team".to_owned(), "dev".to_owned())]),
        owner: Some("olga@corp".parse().unwrap()),
        people: Vec::new(),
        accounts: BTreeMap::from([("alice".parse().unwrap(), person)]),
        agent: None,
    }
}

pub(crate) fn request() -> Request {
    Request {
        reference: Named { name: "er-1".parse().unwrap(), uid: "r-1".parse().unwrap() },
        wish: Wish {
            policy: "dev-tools".parse().unwrap(),
            endpoint: "ws-042".parse().unwrap(),
            account: "alice".parse().unwrap(),
            requester: "alice@corp".parse().unwrap(),
            on_behalf: false,
            application: None,
            duration: None,
            reason: "Installing the toolchain".into(),
            ticket: String::new(),
            start: None,
        },
        decisions: BTreeMap::new(),
        deleting: false,
        attested: false,
        status: None,
    }
}

/// A small world in which time passes and people decide.
pub(crate) struct World {
    pub(crate) request: Request,
    pub(crate) policy: Lookup<Policy>,
    pub(crate) endpoint: Lookup<Endpoint>,
    pub(crate) fleet: Fleet,
    pub(crate) open: OpenRequests,
    pub(crate) guard: Guard,
    pub(crate) events: Vec<EventKind>,
    pub(crate) signed: Vec<GrantBody>,
    pub(crate) wake: Option<Instant>,
}

impl World {
    pub(crate) fn new(request: Request) -> Self {
        Self {
            request,
            policy: Lookup::Found(policy()),
            endpoint: Lookup::Found(endpoint()),
            fleet: Fleet { requires: Some(fixture::requires(5, 5)), ..Fleet::default() },
            open: OpenRequests::default(),
            guard: Guard::Passed,
            events: Vec::new(),
            signed: Vec::new(),
            wake: None,
        }
    }

    /// A world in which a request was accepted at second 0.
    pub(crate) fn pending() -> Self {
        let mut world = Self::new(request());
        assert_eq!(world.step(0), State::Pending);
        world
    }

    /// A world in which a request is Active since second 10, for 30 minutes.
    pub(crate) fn active() -> Self {
        let mut world = Self::pending();
        world.decide("bob@corp approve");
        assert_eq!(world.step(10), State::Active);
        world
    }

    /// A world in which a request is approved for second 10000, so it is not signed yet.
    pub(crate) fn scheduled() -> Self {
        let mut world = Self::new(request());
        world.request.wish.start = Some(at(10_000));
        world.step(0);
        world.decide("bob@corp approve");
        assert_eq!(world.step(5), State::Scheduled);
        world
    }

    /// The policy, to be edited. It must be there.
    pub(crate) fn policy(&mut self) -> &mut Policy {
        let Lookup::Found(policy) = &mut self.policy else { unreachable!("no policy") };
        policy
    }

    /// Its terms.
    pub(crate) fn terms(&mut self) -> &mut Terms {
        let Access::OnRequest { on_request } = &mut self.policy().rules.access else { unreachable!("no terms") };
        on_request
    }

    /// The endpoint, to be edited. It must be there.
    pub(crate) fn endpoint(&mut self) -> &mut Endpoint {
        let Lookup::Found(endpoint) = &mut self.endpoint else { unreachable!("no endpoint") };
        endpoint
    }

    /// The policy's stages.
    pub(crate) fn stages(&mut self, stages: &[(&str, u32)]) {
        let stage = |(name, approvals): &(&str, u32)| Stage { name: name.parse().unwrap(), approvals: *approvals };
        self.policy().rules.approval.stages = stages.iter().map(stage).collect();
    }

    /// One more Lock.
    pub(crate) fn lock(&mut self, effect: Effect, target: LockTarget) -> &mut Lock {
        let name = format!("lock-{}", self.fleet.switches.locks.len() + 1).parse().unwrap();
        let lock = Lock { name, target, effect, message: "INC-4711".into(), expires_at: None };
        self.fleet.switches.locks.push(lock);
        self.fleet.switches.locks.last_mut().unwrap()
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            policy: &self.policy,
            endpoint: &self.endpoint,
            fleet: &self.fleet,
            open: &self.open,
            guard: &self.guard,
        }
    }

    pub(crate) fn decide(&mut self, line: &str) {
        let slot = u32::try_from(self.request.decisions.len()).unwrap() + 1;
        self.request.decisions.insert(slot, line.into());
    }

    pub(crate) fn step(&mut self, second: i64) -> State {
        let step = self.look(second);
        self.events.extend(step.events.iter().map(|e| e.kind));
        self.signed.extend(step.sign);
        self.wake = step.wake;
        self.request.status = step.status;
        self.status().state
    }

    /// What a step would say, without taking it.
    pub(crate) fn look(&self, second: i64) -> Step {
        step(&self.request, &self.context(), at(second))
    }

    pub(crate) fn status(&self) -> &Status {
        self.request.status.as_ref().unwrap()
    }

    pub(crate) fn last_ignored(&self) -> (IgnoredReason, &str) {
        let (reason, message) = self.status().decisions.last().unwrap().ignored.as_ref().unwrap();
        (*reason, message)
    }
}

pub(crate) fn identities(names: &[&str]) -> LockTarget {
    LockTarget { identities: names.iter().map(|name| name.parse().unwrap()).collect(), ..LockTarget::default() }
}

pub(crate) fn waiting() -> Guard {
    Guard::Waiting("checking the admission policies".into())
}

pub(crate) fn open() -> Guard {
    Guard::Open("ValidatingAdmissionPolicy decisions.tidegate.dev is missing".into())
}
