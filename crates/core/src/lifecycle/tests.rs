//! A small world in which a request lives: time passes, people decide, objects change. The tests are in the folder: one case per
//! edge of the state table, the guard, and properties over random histories.

mod edges;
mod guard;
mod properties;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::decision::Verb;
use crate::endpoint::AccountEntry;
use crate::guard::UNPROTECTED;
use crate::interval::{Interval, Position, parse_duration};
use crate::name::{EndpointName, Named};
use crate::policy::{Access, DurationRule, Elevation, Mode, OnRequest, PolicyRef, ReasonRule, Rules};
use crate::reason::{DeclineReason, IgnoredReason};
use crate::request::Wish;
use crate::state::State;
use crate::target::{AccountTarget, EndpointTarget, Selector, Targets};

const T0: i64 = 1_000_000;

fn at(second: i64) -> Instant {
    Instant::from_second(T0 + second)
}

fn policy() -> Policy {
    let duration = |text: &str| parse_duration(text).unwrap();
    Policy {
        reference: PolicyRef { name: "dev-tools".parse().unwrap(), uid: "p-1".parse().unwrap(), generation: 1 },
        rules: Rules {
            targets: Targets {
                endpoints: EndpointTarget::Selector(Selector {
                    match_labels: BTreeMap::from([("team".to_owned(), "dev".to_owned())]),
                    match_expressions: Vec::new(),
                }),
                accounts: AccountTarget { everyone: true, ..AccountTarget::default() },
            },
            elevation: Elevation { mode: Mode::AnyApplication },
            access: Access::OnRequest {
                on_request: OnRequest {
                    reason: ReasonRule { required: true, min_length: 10 },
                    duration: DurationRule { min: duration("1m"), max: duration("4h"), default: duration("30m") },
                    pending_timeout: duration("1h"),
                },
            },
        },
    }
}

fn endpoint() -> Endpoint {
    let person = AccountEntry {
        identities: vec!["alice@corp".parse().unwrap(), "alice-admin@corp".parse().unwrap()],
        groups: BTreeSet::new(),
    };
    Endpoint {
        reference: Named { name: "ws-042".parse::<EndpointName>().unwrap(), uid: "e-1".parse().unwrap() },
        labels: BTreeMap::from([("team".to_owned(), "dev".to_owned())]),
        owner: Some("olga@corp".parse().unwrap()),
        accounts: BTreeMap::from([("alice".parse().unwrap(), person)]),
    }
}

fn request() -> Request {
    Request {
        reference: Named { name: "er-1".parse().unwrap(), uid: "r-1".parse().unwrap() },
        wish: Wish {
            policy: "dev-tools".parse().unwrap(),
            endpoint: "ws-042".parse().unwrap(),
            account: "alice".parse().unwrap(),
            requester: "alice@corp".parse().unwrap(),
            on_behalf: false,
            duration: None,
            reason: "Installing the toolchain".into(),
            start: None,
        },
        decisions: BTreeMap::new(),
        deleting: false,
        status: None,
    }
}

/// A small world in which time passes and people decide.
struct World {
    request: Request,
    policy: Lookup<Policy>,
    endpoint: Lookup<Endpoint>,
    guard: Guard,
    events: Vec<EventKind>,
    signed: Vec<GrantBody>,
    wake: Option<Instant>,
}

impl World {
    fn new(request: Request) -> Self {
        Self {
            request,
            policy: Lookup::Found(policy()),
            endpoint: Lookup::Found(endpoint()),
            guard: Guard::Passed,
            events: Vec::new(),
            signed: Vec::new(),
            wake: None,
        }
    }

    /// A world in which a request was accepted at second 0.
    fn pending() -> Self {
        let mut world = Self::new(request());
        assert_eq!(world.step(0), State::Pending);
        world
    }

    /// A world in which a request is Active since second 10, for 30 minutes.
    fn active() -> Self {
        let mut world = Self::pending();
        world.decide("bob@corp approve");
        assert_eq!(world.step(10), State::Active);
        world
    }

    fn context(&self) -> Context<'_> {
        Context { policy: &self.policy, endpoint: &self.endpoint, guard: &self.guard }
    }

    fn decide(&mut self, line: &str) {
        let slot = u32::try_from(self.request.decisions.len()).unwrap() + 1;
        self.request.decisions.insert(slot, line.into());
    }

    fn step(&mut self, second: i64) -> State {
        let step = step(&self.request, &self.context(), at(second));
        self.events.extend(step.events.iter().map(|e| e.kind));
        self.signed.extend(step.sign);
        self.wake = step.wake;
        self.request.status = step.status;
        self.status().state
    }

    fn status(&self) -> &Status {
        self.request.status.as_ref().unwrap()
    }

    fn last_ignored(&self) -> (IgnoredReason, &str) {
        let (reason, message) = self.status().decisions.last().unwrap().ignored.as_ref().unwrap();
        (*reason, message)
    }
}

fn waiting() -> Guard {
    Guard::Waiting("checking the admission policies".into())
}

fn open() -> Guard {
    Guard::Open("ValidatingAdmissionPolicy decisions.tidegate.dev is missing".into())
}
