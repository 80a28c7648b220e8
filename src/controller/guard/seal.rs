//! The seal: which generation of which object every policy, binding and definition of ours is. Equal seals mean that nothing has
//! been changed in between, not even for a moment.

use std::collections::BTreeMap;

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use tidegate_api::names::GROUP;

use super::NotPassed;

/// An object of which only the metadata is read.
pub type Meta = PartialObjectMeta<DynamicObject>;

/// The kinds that the guard looks after: group, version, kind.
pub const KINDS: [(&str, &str, &str); 3] = [
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
];

/// The policy that only warns, and its binding.
const WARNINGS: &str = "warnings.tidegate.dev";

/// By `<kind>/<name>`: uid and generation, which the API server raises with every change of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal(BTreeMap<String, (String, i64)>);

/// The kinds, to be listed or watched.
pub fn kinds(client: &Client) -> Vec<Api<Meta>> {
    KINDS.iter().map(|kind| Api::all_with(client.clone(), &resource(*kind))).collect()
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
        let lists = kinds(client).into_iter().zip(KINDS).map(|(api, (_, _, kind))| async move {
            let list = api.list(&ListParams::default()).await;
            let list = list.map_err(|source| NotPassed::Unknown { what: format!("listing {kind}"), source })?;
            Ok::<_, NotPassed>((kind, list.items))
        });
        let mut seal = BTreeMap::new();
        for (kind, objects) in futures::future::try_join_all(lists).await? {
            for object in objects.iter().filter(|object| is_ours(object)) {
                let meta = object.meta();
                let generation = meta.generation.unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use kube::api::ObjectMeta;

    use super::*;

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
