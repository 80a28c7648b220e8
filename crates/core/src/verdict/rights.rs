//! A snapshot prepared for questions: what does not depend on the question is worked out once. Borrowed from the snapshot and
//! thrown away with it, so it cannot be older than what it was made from.

use std::collections::HashMap;

use super::index::{Index, Paths};
use super::{Kind, Query};
use crate::application::{Block, Blocks, blocked};
use crate::fleet::{FleetBody, Locked};
use crate::grant::GrantBody;
use crate::interval::Instant;
use crate::name::Account;
use crate::placement::{PlacedAccount, PlacementBody};
use crate::policy::PolicyBody;
use crate::select;
use crate::snapshot::Snapshot;
use crate::target::AccountTarget;

/// What [`super::evaluate`] asks. Building it takes time in proportion to the snapshot's items, and to its policies times its
/// accounts: build one per snapshot.
#[derive(Debug)]
pub struct Rights<'a>(Option<Known<'a>>);

/// What a placement and a fleet part make of the others.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub placement: &'a PlacementBody,
    pub fleet: &'a FleetBody,
    /// When the fleet part was signed.
    pub issued_at: Instant,
    /// Those for this endpoint, by uid.
    pub policies: Vec<&'a PolicyBody>,
    /// The items of their lists.
    pub items: Index<Entry>,
    people: HashMap<&'a Account, Person>,
    grants: HashMap<&'a Account, Vec<&'a GrantBody>>,
    /// Of blocklists in force here. What they say of a program that is found is asked of the lists themselves.
    blocked: Index<()>,
    /// Locks on whole accounts or all of this endpoint.
    locks: Vec<&'a Locked>,
}

/// An item of a policy's list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Its place in [`Known::policies`].
    pub policy: u32,
    /// Its place in the list.
    pub item: u32,
}

/// What policies say of an account.
#[derive(Debug)]
pub(super) struct Person {
    /// By the place in [`Known::policies`].
    reach: Vec<Option<Reach>>,
    /// Places of those that reach the account, or leave it out, and have no list.
    pub without_list: Vec<u32>,
}

/// A policy that reaches an account, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// How: what names fewer is smaller.
    pub by: By,
    /// But `except` leaves it out.
    pub is_excepted: bool,
}

/// What a policy names an account by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum By {
    Name,
    Group,
    Everyone,
}

// === impl Rights ===

impl<'a> Rights<'a> {
    /// Prepares a snapshot.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let parts = snapshot.placement.as_ref().zip(snapshot.fleet.as_ref());
        Self(
            parts
                .map(|(placement, fleet)| Known::new(snapshot, &placement.body, &fleet.body, fleet.header.issued_time)),
        )
    }

    /// `None` without a placement or without a fleet part: nothing can be judged.
    pub(super) fn known(&self) -> Option<&Known<'a>> {
        self.0.as_ref()
    }

    /// Asks every item of every list, as a reader of the table would.
    #[cfg(test)]
    pub(super) fn without_index(snapshot: &'a Snapshot) -> Self {
        let mut rights = Self::new(snapshot);
        if let Some(known) = &mut rights.0 {
            known.items.is_off = true;
            known.blocked.is_off = true;
        }
        rights
    }
}

// === impl Known ===

impl<'a> Known<'a> {
    fn new(snapshot: &'a Snapshot, placement: &'a PlacementBody, fleet: &'a FleetBody, issued_at: Instant) -> Self {
        let policies: Vec<&PolicyBody> = snapshot.policies.values().map(|part| &part.body).collect();
        let policies: Vec<_> = policies.into_iter().filter(|policy| select::selects(placement, policy)).collect();
        let items = (0..).zip(&policies).flat_map(|(policy, body)| {
            let listed = (0..).zip(body.elevation.listed().unwrap_or_default());
            listed.map(move |(item, application)| (application.rule(), Entry { policy, item }))
        });
        let items = Index::new(items);
        let mut grants: HashMap<&Account, Vec<&GrantBody>> = HashMap::new();
        for grant in snapshot.grants.values() {
            grants.entry(&grant.body.account).or_default().push(&grant.body);
        }
        let (endpoint, labels) = (&placement.endpoint.name, &placement.labels);
        let lists = fleet.blocklists.iter().filter(|list| list.endpoints.reaches(endpoint, labels));
        let locks = fleet.locked.iter().filter(|lock| lock.policies.is_empty() && lock.is_here(placement));
        Self {
            placement,
            fleet,
            issued_at,
            people: placement.accounts.iter().map(|placed| (&placed.name, Person::new(placed, &policies))).collect(),
            policies,
            items,
            grants,
            blocked: Index::new(lists.flat_map(|list| &list.applications).map(|item| (item.rule(), ()))),
            locks: locks.collect(),
        }
    }

    /// The account as policies see it; `None` if the placement does not have it.
    pub(super) fn person(&self, account: &Account) -> Option<&Person> {
        self.people.get(account)
    }

    /// The grants of the account, by request.
    pub(super) fn grants(&self, account: &Account) -> &[&'a GrantBody] {
        self.grants.get(account).map(Vec::as_slice).unwrap_or_default()
    }

    /// The Lock that stops the account here under every policy.
    pub(super) fn locked(&self, account: &Account) -> Option<&'a Locked> {
        self.locks.iter().copied().find(|lock| lock.is_about(self.placement, account))
    }

    /// What blocklists say of the program. Whoever only asks is not stopped by what no request can state: the endpoint heeds the
    /// blocklists again each time a program starts.
    pub(super) fn blocks(&self, query: &Query<'_>) -> Blocks<'a> {
        let Some(facts) = query.ask.facts() else { return Blocks::default() };
        let mut is_named = false;
        self.blocked.each(facts, Paths::Either, |()| is_named = true);
        if !is_named {
            return Blocks::default();
        }
        let PlacementBody { endpoint, labels, .. } = self.placement;
        let Blocks { absolute, ordinary } = blocked(&self.fleet.blocklists, &endpoint.name, labels, facts);
        let counts = |block: &Block<'_>| query.kind == Kind::Run || block.stops_a_request();
        Blocks { absolute: absolute.filter(counts), ordinary: ordinary.filter(counts) }
    }
}

// === impl Person ===

impl Person {
    fn new(placed: &PlacedAccount, policies: &[&PolicyBody]) -> Self {
        let reach: Vec<_> = policies.iter().map(|policy| Reach::of(placed, &policy.targets.accounts)).collect();
        let without_list = (0..).zip(policies.iter().zip(&reach));
        let without_list =
            without_list.filter(|(_, (policy, reach))| reach.is_some() && policy.elevation.listed().is_none());
        Self { without_list: without_list.map(|(place, _)| place).collect(), reach }
    }

    /// What the policy at this place says of the account.
    pub(super) fn reach(&self, policy: u32) -> Option<Reach> {
        self.reach.get(policy as usize).copied().flatten()
    }

    /// Does any policy reach the account?
    pub(super) fn is_reached(&self) -> bool {
        self.reach.iter().flatten().any(|reach| !reach.is_excepted)
    }
}

// === impl Reach ===

impl Reach {
    fn of(placed: &PlacedAccount, target: &AccountTarget) -> Option<Self> {
        let PlacedAccount { name, groups } = placed;
        let by = if target.names.contains(name) {
            By::Name
        } else if !target.groups.is_disjoint(groups) {
            By::Group
        } else if target.everyone {
            By::Everyone
        } else {
            return None;
        };
        Some(Self { by, is_excepted: !target.reaches(name, groups) })
    }
}
