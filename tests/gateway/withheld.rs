//! More than fits into a manifest: what is withheld is the same everywhere, and never what takes rights away.

use tidegate::gateway::Served;
use tidegate::gateway::index::{EndpointKey, Object};
use tidegate_core::manifest::{Manifest, PartEntry, PartName};
use tidegate_core::state::State;
use tidegate_core::wire::{Have, SnapshotBody, limit};

use crate::objects::{endpoint, fleet, in_force, policy, request, uid};

/// Their entries alone have more than 256 KiB.
const MANY: usize = 2_200;

fn served(objects: impl IntoIterator<Item = Object>) -> Served {
    let served = Served::default();
    let names: Vec<String> = (0..MANY).map(|number| format!("policy-{number:04}")).collect();
    let named = names.iter().map(String::as_str).chain(["dev-tools"]).map(|name| (name, 1));
    served.apply(in_force(1, &named.collect::<Vec<_>>()));
    objects.into_iter().for_each(|object| served.apply(object));
    served
}

fn policies() -> Vec<Object> {
    (0..MANY).map(|number| policy(&format!("policy-{number:04}"), 1, "dev")).collect()
}

fn body(served: &Served) -> SnapshotBody {
    let key = EndpointKey { fleet: fleet(), name: "ws-1".parse().unwrap() };
    serde_json::from_slice(&served.manifest(&key).unwrap().answer(&Have::default()).unwrap()).unwrap()
}

/// As an agent reads it: above the limit this fails.
fn manifest(body: &SnapshotBody) -> Manifest {
    Manifest::parse(body.manifest.get().as_bytes()).unwrap()
}

#[test]
fn policies_that_do_not_fit_are_withheld_from_the_end_of_their_names_and_grants_are_not() {
    let grant = request("er-1", "ws-1", "uid-1", State::Active);
    let served = served(policies().into_iter().chain([endpoint("ws-1", "uid-1", "dev"), grant]));
    let body = body(&served);
    let manifest = manifest(&body);
    assert!(
        manifest.part(&PartName::Placement).is_some()
            && manifest.part(&PartName::Fleet).is_some()
            && manifest.part(&PartName::Grant(uid("er-1-uid"))).is_some()
    );
    let kept = manifest.parts.len() - 3;
    for number in 0..MANY {
        let name = PartName::Policy(uid(&format!("policy-{number:04}-uid")));
        assert_eq!(manifest.part(&name).is_some(), number < kept, "policy {number} of {kept}");
    }
    assert!(manifest.parts.iter().all(|part| body.parts.contains_key(&part.digest)));
    assert_eq!(body.parts.len(), manifest.parts.len(), "no part is sent that the manifest does not name");

    let size = body.manifest.get().len();
    let one_more: &PartEntry = manifest.parts.last().unwrap();
    let entry = serde_json::to_vec(one_more).unwrap().len() + 1;
    assert!(kept < MANY && size <= limit::MANIFEST && size + entry > limit::MANIFEST, "{size}");
}

#[test]
fn a_revocation_reaches_an_agent_however_many_policies_there_are() {
    let served = served(policies().into_iter().chain([endpoint("ws-1", "uid-1", "dev")]));
    served.apply(request("er-1", "ws-1", "uid-1", State::Active));
    served.apply(request("er-1", "ws-1", "uid-1", State::Revoked));
    let manifest = manifest(&body(&served));
    assert!(manifest.part(&PartName::Grant(uid("er-1-uid"))).is_none());
    assert_eq!(manifest.requests[0].state, State::Revoked);
}

#[test]
fn what_is_withheld_does_not_depend_on_the_order_in_which_objects_arrive() {
    let placed = endpoint("ws-1", "uid-1", "dev");
    let one = body(&served(policies().into_iter().chain([placed.clone()])));
    let other = body(&served([placed].into_iter().chain(policies().into_iter().rev())));
    assert_eq!(one.manifest.get(), other.manifest.get());
}

#[test]
fn grants_that_do_not_fit_are_withheld_too_rather_than_everything() {
    let requests = (0..MANY).map(|number| request(&format!("er-{number:04}"), "ws-1", "uid-1", State::Active));
    let policy = policy("dev-tools", 1, "dev");
    let manifest = manifest(&body(&served(requests.chain([endpoint("ws-1", "uid-1", "dev"), policy]))));
    assert!(manifest.part(&PartName::Placement).is_some() && manifest.part(&PartName::Fleet).is_some());
    assert!(manifest.part(&PartName::Grant(uid("er-0000-uid"))).is_some());
    assert!(manifest.part(&PartName::Policy(uid("dev-tools-uid"))).is_none(), "policies go first");
}
