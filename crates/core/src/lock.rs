//! Switches that stop elevation: Locks of a fleet, and the controller's own. They live apart from policies, so that nothing that
//! restores policies undoes a stop.

use std::collections::BTreeSet;

use crate::endpoint::Endpoint;
use crate::interval::Instant;
use crate::name::{EndpointName, Identity, LockName, PolicyName};
use crate::reason::{Decline, DeclineReason};
use crate::target::EndpointTarget;

/// A Lock that passed its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// `metadata.name`
    pub name: LockName,
    /// Whom it stops.
    pub target: LockTarget,
    /// What it stops.
    pub effect: Effect,
    /// Shown to the person who asks; may be empty.
    pub message: String,
    /// First instant at which it no longer holds.
    pub expires_at: Option<Instant>,
}

/// Whom a Lock stops: every member that is given must match; none given is the whole fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockTarget {
    /// On which endpoints.
    pub endpoints: Option<EndpointTarget>,
    /// Which people, whether they ask, are the person behind the account, or approve; empty: everybody.
    pub identities: BTreeSet<Identity>,
    /// Under which policies; empty: all.
    pub policies: BTreeSet<PolicyName>,
}

/// What a Lock stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Requests are declined.
    DeclineNew,
    /// Requests are declined, and what is granted ends.
    EndAccess,
}

/// Every switch that may concern a request, as read live before anything is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switches {
    /// The controller runs with `--suspended`.
    pub suspended: bool,
    /// The Locks of the fleet.
    pub locks: Vec<Lock>,
    /// Locks that could not be read. Nobody knows whom they stop, so nothing new is granted.
    pub unreadable: BTreeSet<String>,
}

/// What a request is, as far as switches ask.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The name of the endpoint.
    pub on: &'a EndpointName,
    /// Where; `None` if the endpoint is not known.
    pub endpoint: Option<&'a Endpoint>,
    /// Under which policy.
    pub policy: &'a PolicyName,
    /// Who asks, whose account it is (under all names), and who approved.
    pub people: &'a BTreeSet<&'a Identity>,
}

// === impl Effect ===

impl Effect {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeclineNew => "DeclineNew",
            Self::EndAccess => "EndAccess",
        }
    }
}

// === impl Lock ===

impl Lock {
    /// Does it hold now?
    #[must_use]
    pub fn is_in_force(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Does it stop this? A person is stopped under every name. An endpoint that is not known is stopped by every Lock that could be
    /// about it.
    #[must_use]
    pub fn concerns(&self, subject: &Subject<'_>) -> bool {
        let LockTarget { endpoints, identities, policies } = &self.target;
        let here = |target: &EndpointTarget| match (target, subject.endpoint) {
            (EndpointTarget::Names(names), _) => names.contains(subject.on),
            (EndpointTarget::Selector(selector), Some(endpoint)) => selector.matches(&endpoint.labels),
            (EndpointTarget::Selector(_), None) => true,
        };
        let is = |person: &Identity, named: &Identity| {
            person == named || subject.endpoint.is_some_and(|endpoint| endpoint.is_same_person(person, named))
        };
        let stopped = |person: &&Identity| identities.iter().any(|named| is(person, named));
        endpoints.as_ref().is_none_or(here)
            && (identities.is_empty() || subject.people.iter().any(stopped))
            && (policies.is_empty() || policies.contains(subject.policy))
    }

    /// What the person is told: the switch by name, and its own message.
    #[must_use]
    pub fn text(&self) -> String {
        let until = self.expires_at.map(|end| format!(" until {end}")).unwrap_or_default();
        let said = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        format!("stopped by Lock {}{until}{said}", self.name)
    }

    /// Does it stop everybody and everything on this endpoint?
    #[must_use]
    pub fn stops_endpoint(&self, endpoint: &Endpoint) -> bool {
        let LockTarget { endpoints, identities, policies } = &self.target;
        let here = |target: &EndpointTarget| target.reaches(&endpoint.reference.name, &endpoint.labels);
        endpoints.as_ref().is_none_or(here) && identities.is_empty() && policies.is_empty()
    }

    /// Is this message this Lock's?
    #[must_use]
    pub fn has_said(&self, message: &str) -> bool {
        message
            .strip_prefix("stopped by Lock ")
            .and_then(|rest| rest.strip_prefix(self.name.as_str()))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(" until ") || rest.starts_with(": "))
    }
}

// === impl Switches ===

impl Switches {
    /// Every reason why a request may not be asked now.
    #[must_use]
    pub fn against(&self, subject: &Subject<'_>, now: Instant) -> Vec<Decline> {
        let suspended = self.suspended.then(|| Decline {
            reason: DeclineReason::JitDisabled,
            message: "elevation is switched off for the whole installation (the controller runs with --suspended)"
                .to_owned(),
        });
        let unreadable = self.unreadable.iter().map(|name| Decline {
            reason: DeclineReason::JitDisabled,
            message: format!(
                "Lock {name} cannot be read by this version, so nobody knows whom it stops: ask an administrator"
            ),
        });
        let locks = self.in_force(subject, now).map(|lock| Decline {
            reason: match lock.effect {
                Effect::DeclineNew => DeclineReason::JitDisabled,
                Effect::EndAccess => DeclineReason::Locked,
            },
            message: lock.text(),
        });
        suspended.into_iter().chain(unreadable).chain(locks).collect()
    }

    /// The Lock that ends what is granted, if there is one; of several the first by name.
    #[must_use]
    pub fn ends(&self, subject: &Subject<'_>, now: Instant) -> Option<&Lock> {
        self.in_force(subject, now).filter(|lock| lock.effect == Effect::EndAccess).min_by_key(|lock| &lock.name)
    }

    /// The Lock in force that stops everything on this endpoint; of several the one that ends access.
    #[must_use]
    pub fn of_endpoint(&self, endpoint: &Endpoint, now: Instant) -> Option<&Lock> {
        let whole = self.locks.iter().filter(|lock| lock.is_in_force(now) && lock.stops_endpoint(endpoint));
        whole.max_by_key(|lock| lock.effect)
    }

    /// The next instant at which a Lock expires.
    #[must_use]
    pub fn next_edge(&self, now: Instant) -> Option<Instant> {
        self.locks.iter().filter_map(|lock| lock.expires_at).filter(|end| *end > now).min()
    }

    fn in_force(&self, subject: &Subject<'_>, now: Instant) -> impl Iterator<Item = &Lock> {
        self.locks.iter().filter(move |lock| lock.is_in_force(now) && lock.concerns(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::name::EndpointRef;

    fn at(second: i64) -> Instant {
        Instant::from_second(second)
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            reference: EndpointRef { name: "ws-042".parse().unwrap(), uid: "e-1".parse().unwrap() },
            labels: [("team".to_owned(), "dev".to_owned())].into(),
            owner: None,
            people: Vec::new(),
            accounts: [].into(),
            agent: None,
        }
    }

    fn lock(effect: Effect, target: LockTarget) -> Lock {
        Lock { name: "stolen".parse().unwrap(), target, effect, message: "INC-4711".into(), expires_at: None }
    }

    fn concerns(target: LockTarget) -> bool {
        let (endpoint, policy, alice) = (endpoint(), "dev-tools".parse().unwrap(), "alice@corp".parse().unwrap());
        let people = BTreeSet::from([&alice]);
        let subject =
            Subject { on: &endpoint.reference.name, endpoint: Some(&endpoint), policy: &policy, people: &people };
        lock(Effect::EndAccess, target).concerns(&subject)
    }

    fn names(names: &[&str]) -> Option<EndpointTarget> {
        Some(EndpointTarget::Names(names.iter().map(|name| name.parse().unwrap()).collect()))
    }

    fn set<T: std::str::FromStr<Err: std::fmt::Debug> + Ord>(words: &[&str]) -> BTreeSet<T> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn every_member_that_is_given_must_match() {
        let none = LockTarget::default();
        assert!(concerns(none.clone()), "an empty target is the whole fleet");
        for (matches, other) in [
            (
                LockTarget { endpoints: names(&["ws-042"]), ..none.clone() },
                LockTarget { endpoints: names(&["ws-1"]), ..none.clone() },
            ),
            (
                LockTarget { identities: set(&["alice@corp"]), ..none.clone() },
                LockTarget { identities: set(&["bob@corp"]), ..none.clone() },
            ),
            (
                LockTarget { policies: set(&["dev-tools"]), ..none.clone() },
                LockTarget { policies: set(&["other"]), ..none.clone() },
            ),
        ] {
            assert!(concerns(matches.clone()) && !concerns(other.clone()));
            let both = LockTarget {
                endpoints: other.endpoints.or(matches.endpoints),
                identities: set(&["alice@corp"]),
                policies: if other.policies.is_empty() { set(&["dev-tools"]) } else { other.policies },
            };
            let both = LockTarget {
                identities: if other.identities.is_empty() { both.identities.clone() } else { other.identities },
                ..both
            };
            assert!(!concerns(both), "one member does not match");
        }
    }

    #[test]
    fn a_lock_holds_until_it_expires_and_its_effect_is_the_reason() {
        let (endpoint, policy) = (endpoint(), "dev-tools".parse().unwrap());
        let subject = Subject {
            on: &endpoint.reference.name,
            endpoint: Some(&endpoint),
            policy: &policy,
            people: &BTreeSet::new(),
        };
        for (effect, reason, ends) in
            [(Effect::DeclineNew, DeclineReason::JitDisabled, false), (Effect::EndAccess, DeclineReason::Locked, true)]
        {
            let lock = Lock { expires_at: Some(at(10)), ..lock(effect, LockTarget::default()) };
            let switches = Switches { locks: vec![lock], ..Switches::default() };
            let against = switches.against(&subject, at(9));
            assert_eq!(against.len(), 1);
            assert_eq!(against[0].reason, reason);
            assert_eq!(against[0].message, "stopped by Lock stolen until 1970-01-01T00:00:10Z: INC-4711");
            assert_eq!(switches.ends(&subject, at(9)).is_some(), ends);
            assert_eq!(switches.next_edge(at(9)), Some(at(10)));
            assert_eq!(switches.against(&subject, at(10)), []);
            assert_eq!(switches.ends(&subject, at(10)), None);
            assert_eq!(switches.next_edge(at(10)), None);
        }
    }

    #[test]
    fn an_endpoint_is_locked_by_what_stops_everything_on_it() {
        let none = LockTarget::default();
        let here = LockTarget { endpoints: names(&["ws-042"]), ..none.clone() };
        let of = |targets: &[(Effect, &LockTarget)]| {
            let locks = targets.iter().map(|(effect, target)| lock(*effect, (*target).clone())).collect();
            let switches = Switches { locks, ..Switches::default() };
            switches.of_endpoint(&endpoint(), at(0)).map(|lock| lock.effect)
        };
        assert_eq!(of(&[(Effect::DeclineNew, &none), (Effect::EndAccess, &here)]), Some(Effect::EndAccess));
        for partly in [
            LockTarget { endpoints: names(&["ws-1"]), ..none.clone() },
            LockTarget { identities: set(&["alice@corp"]), ..none.clone() },
            LockTarget { policies: set(&["dev-tools"]), ..none.clone() },
        ] {
            assert_eq!(of(&[(Effect::EndAccess, &partly)]), None);
        }
    }

    #[test]
    fn a_lock_knows_its_own_message() {
        let stolen = lock(Effect::EndAccess, LockTarget::default());
        let other = Lock { name: "stolen-2".parse().unwrap(), ..stolen.clone() };
        let silent = Lock { message: String::new(), ..stolen.clone() };
        let timed = Lock { expires_at: Some(at(10)), ..silent.clone() };
        for said in [&stolen, &silent, &timed] {
            assert!(stolen.has_said(&said.text()) && !other.has_said(&said.text()));
        }
        assert!(!stolen.has_said("revoked by bob@corp"));
    }

    #[test]
    fn every_switch_that_declines_is_named() {
        let policy = "dev-tools".parse().unwrap();
        let on = "ws-1".parse().unwrap();
        let subject = Subject { on: &on, endpoint: None, policy: &policy, people: &BTreeSet::new() };
        let switches = Switches {
            suspended: true,
            locks: vec![lock(Effect::DeclineNew, LockTarget { endpoints: names(&["ws-1"]), ..LockTarget::default() })],
            unreadable: ["newer".to_owned()].into(),
        };
        let messages: Vec<String> = switches.against(&subject, at(0)).into_iter().map(|d| d.message).collect();
        assert!(messages[0].contains("--suspended"), "{messages:?}");
        assert!(messages[1].contains("Lock newer cannot be read"), "{messages:?}");
        assert!(messages[2].contains("Lock stolen"), "an endpoint that is not known may be the one: {messages:?}");
    }
}
