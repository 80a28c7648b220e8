//! The placement: signed, who an endpoint is. Agents select the policies that apply to them from it, so a gateway cannot give a
//! policy to the wrong endpoint.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::name::{Account, EndpointRef, Group};
use crate::part::{Body, PartKind};
use crate::target::Labels;

/// The content of a placement part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacementBody {
    /// The endpoint.
    pub endpoint: EndpointRef,
    /// Its labels: the groups of computers it belongs to.
    pub labels: Labels,
    /// Its accounts, sorted by name. Which people they belong to stays in the cluster.
    pub accounts: Vec<PlacedAccount>,
}

/// An account of the endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacedAccount {
    /// Login name.
    pub name: Account,
    /// Groups recorded with it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<Group>,
}

impl Body for PlacementBody {
    const KIND: PartKind = PartKind::Placement;
}
