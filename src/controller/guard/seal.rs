//! The seal: which generation of which object every policy, binding and definition of ours is. Equal seals mean that nothing has
//! been changed in between, not even for a moment.

use std::collections::BTreeMap;

use futures::future::{try_join, try_join_all};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use tidegate_api::names::GROUP;

use super::NotPassed;
use crate::controller::live::{PATIENCE, in_time};

/// An object of which only the metadata is read.
pub type Meta = PartialObjectMeta<DynamicObject>;

/// The kinds that the guard looks after: group, version, kind.
pub const KINDS: [(&str, &str, &str); 3] = [
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
];

/// The definitions of our kinds.
const DEFINITIONS: [&str; 5] = [
    "jitpolicies.tidegate.dev",
    "elevationrequests.tidegate.dev",
    "managedendpoints.tidegate.dev",
    "fleets.tidegate.dev",
    "locks.tidegate.dev",
];

/// The policy that only warns, and its binding.
const WARNINGS: &str = "warnings.tidegate.dev";

/// By `<kind>/<name>`: uid and generation, which the API server raises with every change of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal(BTreeMap<String, (String, i64)>);

/// The kinds, to be listed or watched.
pub fn kinds(client: &Client) -> [Api<Meta>; 3] {
    KINDS.map(|kind| Api::all_with(client.clone(), &resource(kind)))
}

/// What the API calls a kind.
pub fn resource((group, version, kind): (&str, &str, &str)) -> ApiResource {
    let mut resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    if kind == "ValidatingAdmissionPolicy" {
        "validatingadmissionpolicies".clone_into(&mut resource.plural);
    }
    resource
}

/// Ours are named after our group. What only warns is left out: whoever changes it lets nothing through.
pub fn is_ours(object: &Meta) -> bool {
    let name = object.name_any();
    name.ends_with(GROUP) && name != WARNINGS
}

impl Seal {
    /// Reads the present state from the API server.
    ///
    /// # Errors
    /// [`NotPassed::Unknown`]
    pub async fn read(client: &Client) -> Result<Self, NotPassed> {
        let [policies, bindings, definitions] = kinds(client);
        let listed = try_join(list(&policies, KINDS[0].2), list(&bindings, KINDS[1].2));
        // Others may have installed very many definitions: ours are asked for by name.
        let named = try_join_all(DEFINITIONS.map(|name| get(&definitions, name)));
        let ((policies, bindings), definitions) = try_join(listed, named).await?;
        let objects = [policies, bindings, definitions.into_iter().flatten().collect()];
        let mut seal = BTreeMap::new();
        for ((_, _, kind), objects) in KINDS.iter().zip(objects) {
            for object in objects.iter().filter(|object| is_ours(object)) {
                let generation = object.meta().generation.unwrap_or_default();
                seal.insert(format!("{kind}/{}", object.name_any()), (object.uid().unwrap_or_default(), generation));
            }
        }
        Ok(Self(seal))
    }

    /// A seal of nothing.
    #[cfg(test)]
    pub fn empty() -> Self {
        Self(BTreeMap::new())
    }
}

async fn list(api: &Api<Meta>, kind: &str) -> Result<Vec<Meta>, NotPassed> {
    let all = in_time(PATIENCE, api.list(&ListParams::default())).await;
    let all = all.map_err(|source| NotPassed::Unknown { what: format!("listing {kind}"), source })?;
    Ok(all.items)
}

async fn get(definitions: &Api<Meta>, name: &str) -> Result<Option<Meta>, NotPassed> {
    let found = in_time(PATIENCE, definitions.get_opt(name)).await;
    found.map_err(|source| NotPassed::Unknown { what: format!("reading CustomResourceDefinition {name}"), source })
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;

    use super::*;

    #[test]
    fn the_definitions_are_those_of_all_kinds() {
        let all: Vec<String> = tidegate_api::all_crds().iter().map(ResourceExt::name_any).collect();
        assert_eq!(DEFINITIONS.to_vec(), all);
    }

    #[test]
    fn what_only_warns_is_none_of_the_guards_business() {
        let named = |name: &str| {
            let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
            is_ours(&Meta { types: None, metadata, _phantom: Default::default() })
        };
        assert!(named("decisions.tidegate.dev") && named("jitpolicies.tidegate.dev") && named("another.tidegate.dev"));
        assert!(!named("warnings.tidegate.dev") && !named("decisions.example.org"));
    }
}
