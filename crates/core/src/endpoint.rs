//! A ManagedEndpoint, checked: who its accounts are, who owns it, and what its agent says of itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::interval::Instant;
use crate::name::{Account, EndpointRef, Group, Identity};
use crate::placement::{PlacedAccount, PlacementBody};
use crate::target::{EndpointTarget, Labels, Platform};
use crate::version::Version;

/// A ManagedEndpoint that passed its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name and uid.
    pub reference: EndpointRef,
    /// Labels: the groups of computers it belongs to.
    pub labels: Labels,
    /// May not approve for this endpoint.
    pub owner: Option<Identity>,
    /// Who is who on it: its own list, and where that is silent the Fleet's.
    pub accounts: BTreeMap<Account, AccountEntry>,
    /// What its agent is; `None` until it has said so.
    pub agent: Option<Agent>,
    /// User names that belong together, whatever the accounts above say of them: every entry of the Fleet, also for other endpoints.
    pub people: Vec<Vec<Identity>>,
}

/// What an agent says of itself. It decides which policies it receives, never whether a right holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// Of the agent; `None` if it said none that reads as one.
    pub version: Option<Version>,
    /// Of the computer; `None` if it is none of ours.
    pub platform: Option<Platform>,
    /// What it can enforce beyond what every agent can.
    pub capabilities: BTreeSet<String>,
}

/// An account of `spec.accounts` of a Fleet: who is who on many endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetAccount {
    /// The login.
    pub name: Account,
    /// Who it is.
    pub entry: AccountEntry,
    /// Where.
    pub endpoints: EndpointTarget,
}

/// The people behind an account, and its groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountEntry {
    /// User names of the person; the first is the main one. Empty: nobody is known.
    pub identities: Vec<Identity>,
    /// Groups recorded with the account.
    pub groups: BTreeSet<Group>,
}

/// Does the endpoint's agent hold a certificate that is valid? The word and the text of the `Enrolled` condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// It does.
    pub enrolled: bool,
    /// `Enrolled`, `NeverJoined` or `Expired`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// When that changes by itself.
    pub wake: Option<Instant>,
}

/// Judges an enrolment by the end of the certificate that was issued last.
#[must_use]
pub fn enrolment(certificate_end: Option<Instant>, now: Instant) -> Enrolment {
    let (enrolled, reason, message, wake) = match certificate_end {
        None => (false, "NeverJoined", "no agent has enrolled yet".to_owned(), None),
        Some(end) if now >= end => {
            (false, "Expired", format!("the agent's certificate ended at {end}; the agent has to enrol again"), None)
        }
        Some(end) => (true, "Enrolled", format!("the agent's certificate is valid until {end}"), Some(end)),
    };
    Enrolment { enrolled, reason, message, wake }
}

impl Endpoint {
    /// With the fleet's accounts where its own list is silent about a login. Of two entries of the fleet for one login the first
    /// counts.
    #[must_use]
    pub fn with_accounts_of(mut self, fleet: &[FleetAccount]) -> Self {
        self.people.extend(fleet.iter().map(|account| account.entry.identities.clone()));
        for FleetAccount { name, entry, endpoints } in fleet {
            if endpoints.reaches(&self.reference.name, &self.labels) {
                self.accounts.entry(name.clone()).or_insert_with(|| entry.clone());
            }
        }
        self
    }

    /// Are these two user names one person, as far as the accounts of this endpoint and of the Fleet say? Names that share an entry are
    /// one person, and so are names that a third one connects.
    #[must_use]
    pub fn is_same_person(&self, a: &Identity, b: &Identity) -> bool {
        let mut names = BTreeSet::from([a]);
        loop {
            let before = names.len();
            let own = self.accounts.values().map(|entry| &entry.identities);
            let entries = own.chain(&self.people);
            let shares = |entry: &&Vec<Identity>| entry.iter().any(|name| names.contains(name));
            let connected: Vec<&Identity> = entries.filter(shares).flatten().collect();
            names.extend(connected);
            if names.contains(b) || names.len() == before {
                return names.contains(b);
            }
        }
    }

    /// The signed statement of who this endpoint is.
    #[must_use]
    pub fn placement(&self) -> PlacementBody {
        PlacementBody {
            endpoint: self.reference.clone(),
            labels: self.labels.clone(),
            accounts: self
                .accounts
                .iter()
                .map(|(name, entry)| PlacedAccount { name: name.clone(), groups: entry.groups.clone() })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(person: &str) -> AccountEntry {
        AccountEntry { identities: vec![person.parse().unwrap()], groups: BTreeSet::new() }
    }

    fn endpoint() -> Endpoint {
        Endpoint {
            reference: EndpointRef { name: "ws-042".parse().unwrap(), uid: "e-1".parse().unwrap() },
            labels: [("team".to_owned(), "dba".to_owned())].into(),
            owner: None,
            people: Vec::new(),
            accounts: [("dana".parse().unwrap(), entry("dana@corp"))].into(),
            agent: None,
        }
    }

    fn of_fleet(name: &str, person: &str, endpoints: EndpointTarget) -> FleetAccount {
        FleetAccount { name: name.parse().unwrap(), entry: entry(person), endpoints }
    }

    #[test]
    fn the_fleet_says_who_is_who_where_the_endpoint_is_silent() {
        let here = || EndpointTarget::Names(["ws-042".parse().unwrap()].into());
        let elsewhere = EndpointTarget::Names(["ws-043".parse().unwrap()].into());
        let fleet = [
            of_fleet("dana", "somebody@corp", here()),
            of_fleet("erin", "nobody@corp", elsewhere),
            of_fleet("erin", "erin@corp", here()),
            of_fleet("erin", "later@corp", here()),
        ];
        let endpoint = endpoint().with_accounts_of(&fleet);
        let main = |login: &str| endpoint.accounts[&login.parse::<Account>().unwrap()].identities[0].to_string();
        assert_eq!((main("dana").as_str(), main("erin").as_str()), ("dana@corp", "erin@corp"));
    }

    #[test]
    fn two_names_in_one_entry_are_one_person() {
        let mut endpoint = endpoint();
        let two = AccountEntry {
            identities: ["dana@corp", "dana-admin@corp"].map(|name| name.parse().unwrap()).into(),
            groups: BTreeSet::new(),
        };
        endpoint.accounts.insert("dana".parse().unwrap(), two);
        let same = |a: &str, b: &str| endpoint.is_same_person(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("dana@corp", "dana-admin@corp") && same("x@corp", "x@corp"));
        assert!(!same("dana@corp", "root-of-dana@corp"));
        let third = AccountEntry {
            identities: ["root-of-dana@corp", "dana-admin@corp"].map(|name| name.parse().unwrap()).into(),
            groups: BTreeSet::new(),
        };
        endpoint.accounts.insert("root".parse().unwrap(), third);
        let same = |a: &str, b: &str| endpoint.is_same_person(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("dana@corp", "root-of-dana@corp"), "connected by a third name");
        assert!(!same("dana@corp", "x@corp"));
    }

    #[test]
    fn an_enrolment_ends_with_its_certificate() {
        let at = Instant::from_second;
        assert_eq!(enrolment(None, at(0)).reason, "NeverJoined");
        let valid = enrolment(Some(at(10)), at(9));
        assert!(valid.enrolled);
        assert_eq!(valid.wake, Some(at(10)));
        let over = enrolment(Some(at(10)), at(10));
        assert!(!over.enrolled);
        assert_eq!((over.reason, over.wake), ("Expired", None));
    }
}
