//! Floors: the lowest `sequence` an agent accepts, per signed object. They are on disk before a newer part is used, so
//! nobody can bring an older version back. Grants have none: one is signed once and carries its own end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::manifest::PartName;
use crate::name::Uid;

/// The floors of one endpoint. A deleted policy keeps its floor: its uid never comes back, its old part might.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Floors {
    /// Of the placement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placement: Option<u64>,
    /// Of the fleet part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fleet: Option<u64>,
    /// Of each policy ever accepted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    policies: BTreeMap<Uid, u64>,
}

impl Floors {
    /// The lowest sequence accepted for this part; 0 where every one is.
    #[must_use]
    pub fn get(&self, name: &PartName) -> u64 {
        match name {
            PartName::Placement => self.placement.unwrap_or(0),
            PartName::Fleet => self.fleet.unwrap_or(0),
            PartName::Policy(uid) => self.policies.get(uid).copied().unwrap_or(0),
            PartName::Grant(_) => 0,
        }
    }

    /// Raises the floor of this part to `sequence`; a floor never falls.
    pub fn raise(&mut self, name: &PartName, sequence: u64) {
        let floor = match name {
            PartName::Placement => self.placement.get_or_insert(0),
            PartName::Fleet => self.fleet.get_or_insert(0),
            PartName::Policy(uid) => self.policies.entry(uid.clone()).or_insert(0),
            PartName::Grant(_) => return,
        };
        *floor = sequence.max(*floor);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> PartName {
        text.parse().unwrap()
    }

    #[test]
    fn floors_are_kept_per_object_and_grants_have_none() {
        let mut floors = Floors::default();
        for (part, sequence) in [("placement", 3), ("fleet", 4), ("policy/a", 5), ("grant/a", 7)] {
            floors.raise(&name(part), sequence);
        }
        for (part, floor) in [("placement", 3), ("fleet", 4), ("policy/a", 5), ("policy/b", 0), ("grant/a", 0)] {
            assert_eq!(floors.get(&name(part)), floor, "{part}");
        }
    }

    #[test]
    fn floors_have_one_form_on_disk_and_refuse_others() {
        let mut floors = Floors::default();
        assert_eq!(serde_json::to_string(&floors).unwrap(), "{}");
        floors.raise(&name("placement"), 3);
        floors.raise(&name("fleet"), 4);
        floors.raise(&name("policy/a"), 5);
        let json = r#"{"placement":3,"fleet":4,"policies":{"a":5}}"#;
        assert_eq!(serde_json::to_string(&floors).unwrap(), json);
        assert_eq!(serde_json::from_str::<Floors>(json).unwrap(), floors);
        assert!(serde_json::from_str::<Floors>(r#"{"policy":{"a":5}}"#).is_err());
    }

    proptest! {
        #[test]
        fn a_floor_never_falls(raises in prop::collection::vec((0usize..4, 0u64..9), 0..20)) {
            let mut floors = Floors::default();
            for (part, sequence) in raises {
                let part = ["placement", "fleet", "policy/a", "policy/b"][part];
                let before = floors.get(&name(part));
                floors.raise(&name(part), sequence);
                prop_assert_eq!(floors.get(&name(part)), before.max(sequence));
            }
        }
    }
}
