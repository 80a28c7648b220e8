//! A policy in the versions that may be served: the one that its object holds now, and those before it until the fleet part names a
//! later one, so that an edit opens no gap. A gateway that was not there before the edit has only the first of these.

use std::sync::Arc;

use tidegate_core::fleet::FleetBody;
use tidegate_core::name::Uid;
use tidegate_core::placement::PlacementBody;
use tidegate_core::policy::PolicyBody;
use tidegate_core::select::selects;

use super::object::{PolicyObject, Served, read};

/// Versions that are kept at most: a policy that is edited faster than the fleet part is signed keeps the one that is in force, and
/// the latest.
const KEPT: usize = 4;

/// A JitPolicy with at least one signed version.
#[derive(Debug)]
pub(super) struct Policy {
    pub uid: Uid,
    /// In the order in which they arrived; the last is what the object holds.
    versions: Vec<Arc<Served<PolicyBody>>>,
}

// === impl Policy ===

impl Policy {
    /// `None` while nothing is signed: such a policy reaches nobody.
    pub(super) fn read(object: PolicyObject) -> Option<Self> {
        let PolicyObject { fleet, name, uid, signed } = object;
        let is_own = |body: &PolicyBody| body.policy.name == name && body.policy.uid == uid;
        let version = read(&signed?, &fleet, &name, is_own)?;
        Some(Self { uid, versions: vec![Arc::new(version)] })
    }

    /// With the versions of an earlier state of the same object; those of a deleted object of this name are gone.
    pub(super) fn after(mut self, earlier: Self, fleet: Option<&FleetBody>) -> Self {
        if earlier.uid == self.uid {
            let sequences: Vec<u64> = self.versions.iter().map(|version| version.sequence).collect();
            let kept = earlier.versions.into_iter().filter(|version| !sequences.contains(&version.sequence));
            self.versions.splice(0..0, kept);
            self.forget(fleet);
        }
        self
    }

    /// The version that the fleet part names, if it is here.
    pub(super) fn in_force(&self, fleet: Option<&FleetBody>) -> Option<&Arc<Served<PolicyBody>>> {
        self.versions.get(self.named(fleet)?)
    }

    /// Drops the versions before the one that the fleet part names: they are over.
    pub(super) fn forget(&mut self, fleet: Option<&FleetBody>) {
        if let Some(named) = self.named(fleet) {
            self.versions.drain(..named);
        }
        let named = self.named(fleet);
        while self.versions.len() > KEPT {
            // The first that neither is in force nor what the object holds.
            self.versions.remove(usize::from(named == Some(0)));
        }
    }

    /// The versions that are kept, the newest last.
    pub(super) fn versions(&self) -> &[Arc<Served<PolicyBody>>] {
        &self.versions
    }

    /// Does any version select the endpoint of this placement?
    pub(super) fn selects(&self, placement: &PlacementBody) -> bool {
        self.versions.iter().any(|version| selects(placement, &version.body))
    }

    fn named(&self, fleet: Option<&FleetBody>) -> Option<usize> {
        let sequence = fleet?.sequence_of(&self.uid)?;
        self.versions.iter().position(|version| version.sequence == sequence)
    }
}
