//! What the gateway knows of the cluster, as a plain struct fed by watches. It answers what one endpoint receives and says
//! whose answer a change touched. It knows no HTTP and no clock. The order in which objects arrive does not matter, but for one
//! thing: a policy's earlier version stays while the fleet part names it (`policy`).

mod measure;
mod object;
mod policy;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tidegate_core::fleet::FleetBody;
use tidegate_core::grant::GrantBody;
use tidegate_core::manifest::{ListedRequest, PartName};
use tidegate_core::name::{EndpointName, EndpointRef, FleetName, PolicyName, RequestName, Uid};
use tidegate_core::placement::PlacementBody;
use tidegate_core::select::{is_for, not_in_force, selects, withheld};

use self::object::{Endpoint, Request, Served, read_fleet};
pub use self::object::{
    EndpointObject, FleetObject, Key, Kind, Object, PolicyObject, Reported, RequestObject, ServedPart,
};
use self::policy::Policy;

/// A ManagedEndpoint by fleet and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    /// Its namespace.
    pub fleet: FleetName,
    /// `metadata.name`
    pub name: EndpointName,
}

/// The endpoints whose manifest a change may have touched; never one too few.
pub type Changed = BTreeSet<EndpointKey>;

/// All objects of all fleets, reduced to what is served.
#[derive(Debug, Default)]
pub struct Index {
    fleets: HashMap<FleetName, Fleet>,
}

/// What one endpoint receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its namespace.
    pub fleet: FleetName,
    /// Its name and uid.
    pub endpoint: EndpointRef,
    /// Its parts; names are unique.
    pub parts: Vec<(PartName, Arc<ServedPart>)>,
    /// Its requests, in no order.
    pub requests: Vec<ListedRequest>,
}

/// What is known of one namespace.
#[derive(Debug, Default)]
struct Fleet {
    part: Option<Served<FleetBody>>,
    endpoints: BTreeMap<EndpointName, Endpoint>,
    policies: BTreeMap<PolicyName, Policy>,
    requests: BTreeMap<RequestName, Request>,
    requests_of: BTreeMap<EndpointName, BTreeSet<RequestName>>,
}

// === impl Index ===

impl Index {
    /// An object was added or changed.
    pub fn apply(&mut self, object: Object) -> Changed {
        let fleet = object.fleet().clone();
        let entry = self.fleets.entry(fleet.clone()).or_default();
        let touched = match object {
            Object::Endpoint(object) => entry.set_endpoint(object.name.clone(), Some(Endpoint::read(object))),
            Object::Fleet(object) => entry.set_part(read_fleet(object)),
            Object::Policy(object) => entry.set_policy(object.name.clone(), Policy::read(object)),
            Object::Request(object) => entry.set_request(object.name.clone(), Some(Request::read(object))),
        };
        in_fleet(&fleet, touched)
    }

    /// An object is gone.
    pub fn delete(&mut self, key: &Key) -> Changed {
        let Some(entry) = self.fleets.get_mut(key.fleet()) else {
            return Changed::new();
        };
        let touched = match key {
            Key::Endpoint(_, name) => entry.set_endpoint(name.clone(), None),
            Key::Fleet(_) => entry.set_part(None),
            Key::Policy(_, name) => entry.set_policy(name.clone(), None),
            Key::Request(_, name) => entry.set_request(name.clone(), None),
        };
        if entry.is_empty() {
            self.fleets.remove(key.fleet());
        }
        in_fleet(key.fleet(), touched)
    }

    /// These are all the objects of this kind; objects of other kinds among them are ignored.
    pub fn reset(&mut self, kind: Kind, objects: Vec<Object>) -> Changed {
        let objects: BTreeMap<Key, Object> =
            objects.into_iter().filter(|o| o.kind() == kind).map(|o| (o.key(), o)).collect();
        let gone: Vec<Key> = self.keys(kind).filter(|key| !objects.contains_key(key)).collect();
        let mut changed = Changed::new();
        for key in gone {
            changed.extend(self.delete(&key));
        }
        for object in objects.into_values() {
            changed.extend(self.apply(object));
        }
        changed
    }

    /// The uid of this endpoint, if it exists.
    #[must_use]
    pub fn endpoint_uid(&self, key: &EndpointKey) -> Option<&Uid> {
        Some(&self.fleets.get(&key.fleet)?.endpoints.get(&key.name)?.uid)
    }

    /// What the status of this endpoint says that gateways write; `None` if the endpoint does not exist.
    #[must_use]
    pub fn reported(&self, key: &EndpointKey) -> Option<&Arc<Reported>> {
        Some(&self.fleets.get(&key.fleet)?.endpoints.get(&key.name)?.reported)
    }

    /// Is this the uid of a request of this endpoint, or of a policy that selects it?
    #[must_use]
    pub fn concerns(&self, key: &EndpointKey, uid: &Uid) -> bool {
        let found = self.fleets.get(&key.fleet).and_then(|fleet| Some((fleet, fleet.endpoints.get(&key.name)?)));
        let Some((fleet, endpoint)) = found else { return false };
        let selects = |policy: &Policy| {
            policy.uid == *uid && endpoint.placement.as_ref().is_some_and(|placement| policy.selects(&placement.body))
        };
        fleet.requests_at(&key.name, &endpoint.uid).any(|request| request.uid == *uid)
            || fleet.policies.values().any(selects)
    }

    /// What this endpoint receives; `None` if it does not exist, or its placement or the fleet part is not signed yet.
    #[must_use]
    pub fn view(&self, key: &EndpointKey) -> Option<View> {
        let fleet = self.fleets.get(&key.fleet)?;
        let endpoint = fleet.endpoints.get(&key.name)?;
        let (placement, in_force) = (endpoint.placement.as_ref()?, fleet.part.as_ref()?);
        let reference = EndpointRef { name: key.name.clone(), uid: endpoint.uid.clone() };
        let mut parts =
            vec![(PartName::Placement, Arc::clone(&placement.part)), (PartName::Fleet, Arc::clone(&in_force.part))];
        for policy in fleet.policies.values() {
            let Some(version) = policy.in_force(Some(&in_force.body)) else { continue };
            let body = &version.body;
            let is_withheld = || withheld(&body.targets, &body.elevation, endpoint.agent.as_ref()).is_some();
            if selects(&placement.body, body) && !is_withheld() {
                parts.push((PartName::Policy(policy.uid.clone()), Arc::clone(&version.part)));
            }
        }
        let mut requests = Vec::new();
        for request in fleet.requests_at(&key.name, &endpoint.uid) {
            let is_usable =
                |grant: &&Served<GrantBody>| is_for(&reference, &grant.body) && is_usable(grant, placement, in_force);
            if let Some(grant) = request.grant.as_ref().filter(is_usable) {
                parts.push((PartName::Grant(request.uid.clone()), Arc::clone(&grant.part)));
            }
            requests.extend(request.listed.clone());
        }
        Some(View { fleet: key.fleet.clone(), endpoint: reference, parts, requests })
    }

    fn keys(&self, kind: Kind) -> impl Iterator<Item = Key> + '_ {
        self.fleets.iter().flat_map(move |(fleet, entry)| -> Vec<Key> {
            match kind {
                Kind::Endpoint => entry.endpoints.keys().map(|n| Key::Endpoint(fleet.clone(), n.clone())).collect(),
                Kind::Fleet => entry.part.iter().map(|_| Key::Fleet(fleet.clone())).collect(),
                Kind::Policy => entry.policies.keys().map(|n| Key::Policy(fleet.clone(), n.clone())).collect(),
                Kind::Request => entry.requests.keys().map(|n| Key::Request(fleet.clone(), n.clone())).collect(),
            }
        })
    }
}

/// Would an agent take the grant beside these parts? One that it would refuse is not served.
fn is_usable(grant: &Served<GrantBody>, placement: &Served<PlacementBody>, in_force: &Served<FleetBody>) -> bool {
    not_in_force(&grant.body, placement.sequence, (in_force.sequence, &in_force.body)).is_none()
}

fn in_fleet(fleet: &FleetName, names: BTreeSet<EndpointName>) -> Changed {
    names.into_iter().map(|name| EndpointKey { fleet: fleet.clone(), name }).collect()
}

// === impl Fleet ===

impl Fleet {
    fn set_endpoint(&mut self, name: EndpointName, new: Option<Endpoint>) -> BTreeSet<EndpointName> {
        let same = match (self.endpoints.get(&name), &new) {
            (Some(old), Some(new)) => old.receives_as(new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        set(&mut self.endpoints, name.clone(), new);
        (!same).then_some(name).into_iter().collect()
    }

    fn set_part(&mut self, new: Option<Served<FleetBody>>) -> BTreeSet<EndpointName> {
        if self.part == new {
            return BTreeSet::new();
        }
        self.part = new;
        let named = self.part.as_ref().map(|part| &part.body);
        self.policies.values_mut().for_each(|policy| policy.forget(named));
        self.endpoints.keys().cloned().collect()
    }

    /// What differs is the version in force: one that the fleet part does not name yet touches nobody.
    fn set_policy(&mut self, name: PolicyName, new: Option<Policy>) -> BTreeSet<EndpointName> {
        let named = self.part.as_ref().map(|part| &part.body);
        let old = self.policies.remove(&name);
        let before = old.as_ref().and_then(|policy| policy.in_force(named)).cloned();
        let new = match (old, new) {
            (Some(old), Some(new)) => Some(new.after(old, named)),
            (_, new) => new,
        };
        let after = new.as_ref().and_then(|policy| policy.in_force(named)).cloned();
        set(&mut self.policies, name, new);
        if before == after {
            return BTreeSet::new();
        }
        let versions: Vec<_> = before.into_iter().chain(after).collect();
        let reached = self.endpoints.iter().filter(|(_, endpoint)| {
            let placement = endpoint.placement.as_ref();
            placement.is_some_and(|placement| versions.iter().any(|policy| selects(&placement.body, &policy.body)))
        });
        reached.map(|(endpoint, _)| endpoint.clone()).collect()
    }

    fn set_request(&mut self, name: RequestName, new: Option<Request>) -> BTreeSet<EndpointName> {
        if self.requests.get(&name) == new.as_ref() {
            return BTreeSet::new();
        }
        let now_at = new.as_ref().map(|request| request.endpoint.clone());
        let old = set(&mut self.requests, name.clone(), new);
        let was_at = old.map(|request| request.endpoint);
        if let Some(endpoint) = &was_at
            && let Some(names) = self.requests_of.get_mut(endpoint)
        {
            names.remove(&name);
            if names.is_empty() {
                self.requests_of.remove(endpoint);
            }
        }
        if let Some(endpoint) = &now_at {
            self.requests_of.entry(endpoint.clone()).or_default().insert(name);
        }
        was_at.into_iter().chain(now_at).collect()
    }

    /// The requests for the endpoint of this name and uid: those made for an earlier object of this name are not its own.
    fn requests_at(&self, name: &EndpointName, uid: &Uid) -> impl Iterator<Item = &Request> {
        let names = self.requests_of.get(name).into_iter().flatten();
        let requests = names.filter_map(|name| self.requests.get(name));
        requests.filter(move |request| request.endpoint_uid.as_ref().is_none_or(|pinned| pinned == uid))
    }

    fn is_empty(&self) -> bool {
        self.part.is_none() && self.endpoints.is_empty() && self.policies.is_empty() && self.requests.is_empty()
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}
