//! What metrics and traces ask of the index: when the newest part of an object was signed, how much is kept, whose a grant is.

use tidegate_core::grant::GrantBody;
use tidegate_core::interval::Instant;
use tidegate_core::name::Uid;

use super::object::Served;
use super::{EndpointKey, Index, Key};
use crate::traces::About;

/// A part by its sequence, and when it was signed.
pub type Signed = (u64, Instant);

impl Index {
    /// The newest part of this object.
    #[must_use]
    pub fn newest(&self, key: &Key) -> Option<Signed> {
        let fleet = self.fleets.get(key.fleet())?;
        match key {
            Key::Endpoint(_, name) => fleet.endpoints.get(name)?.placement.as_ref().map(signed),
            Key::Fleet(_) => fleet.part.as_ref().map(signed),
            Key::Policy(_, name) => fleet.policies.get(name)?.versions().last().map(|version| signed(version)),
            Key::Request(_, name) => fleet.requests.get(name)?.grant.as_ref().map(signed),
        }
    }

    /// What the grant of this object is about, if it is a request with one.
    #[must_use]
    pub fn granted(&self, key: &Key) -> Option<About> {
        let Key::Request(fleet, name) = key else { return None };
        let grant = self.fleets.get(fleet)?.requests.get(name)?.grant.as_ref()?;
        Some(About::grant(fleet, &grant.body))
    }

    /// What the grant is about that the request of this uid gives this endpoint.
    #[must_use]
    pub fn grant_of(&self, key: &EndpointKey, uid: &Uid) -> Option<About> {
        let fleet = self.fleets.get(&key.fleet)?;
        let endpoint = fleet.endpoints.get(&key.name)?;
        let request = fleet.requests_at(&key.name, &endpoint.uid).find(|request| request.uid == *uid)?;
        let body: &GrantBody = &request.grant.as_ref()?.body;
        Some(About::grant(&key.fleet, body))
    }

    /// How many parts are kept, and their bytes as they are served.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let parts = self.fleets.values().flat_map(|fleet| {
            let placements = fleet.endpoints.values().filter_map(|endpoint| endpoint.placement.as_ref()).map(bytes);
            let policies = fleet.policies.values().flat_map(|policy| policy.versions()).map(|version| bytes(version));
            let grants = fleet.requests.values().filter_map(|request| request.grant.as_ref()).map(bytes);
            fleet.part.iter().map(bytes).chain(placements).chain(policies).chain(grants)
        });
        parts.fold((0, 0), |(parts, bytes), part| (parts + 1, bytes + part))
    }
}

fn signed<B>(part: &Served<B>) -> Signed {
    (part.sequence, part.issued_at)
}

fn bytes<B>(part: &Served<B>) -> usize {
    part.part.json.get().len()
}
