//! Who has how many requests open. A cache is stale by nature, so what is counted is decided here: by the leader, one request after
//! the other, rebuilt from a live list when it takes over.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::interval::Instant;
use crate::name::{EndpointName, Identity, RequestName, Uid};
use crate::request::{Request, Status};
use crate::state::State;

/// Open requests that one endpoint may have at a time, whoever asks.
pub const MAX_OPEN_AT_ENDPOINT: usize = 16;

/// The open requests of one fleet, by uid; and by person and endpoint, so that a question costs what its answer holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    entries: BTreeMap<Uid, Entry>,
    of_person: BTreeMap<Identity, BTreeSet<Uid>>,
    at_endpoint: BTreeMap<EndpointName, BTreeSet<Uid>>,
}

/// An open request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: RequestName,
    endpoint: EndpointName,
    people: BTreeSet<Identity>,
    until: Option<Instant>,
}

/// What stands open beside one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenRequests {
    /// Of the same person: as the one behind the account, or as the one who asks for the own account.
    pub of_person: Vec<OpenRequest>,
    /// On the same endpoint, whoever asked.
    pub at_endpoint: usize,
}

/// An open request, as the person is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// `metadata.name`
    pub name: RequestName,
    /// Until when it can stay open, if that is known.
    pub until: Option<Instant>,
}

// === impl Ledger ===

impl Ledger {
    /// What stands open beside this request, for a person of these names.
    #[must_use]
    pub fn beside(&self, request: &Request, person: &[Identity]) -> OpenRequests {
        let other = |uid: &&Uid| **uid != request.reference.uid;
        let people = people(request, person);
        let same: BTreeSet<&Uid> =
            people.iter().filter_map(|name| self.of_person.get(name)).flatten().filter(other).collect();
        let same = same.into_iter().filter_map(|uid| self.entries.get(uid));
        OpenRequests {
            of_person: same.map(|entry| OpenRequest { name: entry.name.clone(), until: entry.until }).collect(),
            at_endpoint: self.at_endpoint.get(&request.wish.endpoint).into_iter().flatten().filter(other).count(),
        }
    }

    /// Notes what has become of a request: it is open or it is not. `until` is when a pending one times out.
    pub fn note(&mut self, request: &Request, status: Option<&Status>, person: &[Identity], until: Option<Instant>) {
        let uid = request.reference.uid.clone();
        self.forget(&uid);
        if !status.is_some_and(|status| is_open(status.state)) {
            return;
        }
        let recorded = status.and_then(|status| status.identity.clone());
        let people: BTreeSet<Identity> = people(request, person).into_iter().chain(recorded).collect();
        let (name, endpoint) = (request.reference.name.clone(), request.wish.endpoint.clone());
        for person in &people {
            self.of_person.entry(person.clone()).or_default().insert(uid.clone());
        }
        self.at_endpoint.entry(endpoint.clone()).or_default().insert(uid.clone());
        self.entries.insert(uid, Entry { name, endpoint, people, until });
    }

    /// The request is gone.
    pub fn forget(&mut self, uid: &Uid) {
        let Some(entry) = self.entries.remove(uid) else { return };
        for person in &entry.people {
            remove(&mut self.of_person, person, uid);
        }
        remove(&mut self.at_endpoint, &entry.endpoint, uid);
    }

    /// Requests that are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Is none open?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Takes a uid out of an index, and the key with its last one.
fn remove<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Uid>>, key: &K, uid: &Uid) {
    if let Some(uids) = index.get_mut(key) {
        uids.remove(uid);
        if uids.is_empty() {
            index.remove(key);
        }
    }
}

/// Whom a request counts for: the person under all names, and who asks for the own account.
fn people(request: &Request, person: &[Identity]) -> BTreeSet<Identity> {
    let requester = (!request.wish.on_behalf).then(|| request.wish.requester.clone());
    person.iter().cloned().chain(requester).collect()
}

/// Does a request in this state count as open?
#[must_use]
pub fn is_open(state: State) -> bool {
    match state {
        State::Pending | State::Scheduled => true,
        State::Held
        | State::Declined
        | State::Denied
        | State::Withdrawn
        | State::TimedOut
        | State::Active
        | State::Expired
        | State::Revoked
        | State::Ended => false,
    }
}
