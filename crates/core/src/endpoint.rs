//! A ManagedEndpoint, checked: who its accounts are and who owns it.

use std::collections::{BTreeMap, BTreeSet};

use crate::interval::Instant;
use crate::name::{Account, EndpointRef, Group, Identity};
use crate::placement::{PlacedAccount, PlacementBody};
use crate::target::Labels;

/// A ManagedEndpoint that passed its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name and uid.
    pub reference: EndpointRef,
    /// Labels: the groups of computers it belongs to.
    pub labels: Labels,
    /// May not approve for this endpoint.
    pub owner: Option<Identity>,
    /// Who is who on it.
    pub accounts: BTreeMap<Account, AccountEntry>,
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
