//! What is written stays written: decisions, the wish itself, the finalizer, and nothing foreign beside them.

use anyhow::Result;
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tidegate_api::names::REVOKE_FINALIZER;

use super::DECISIONS;
use crate::fleet::{Fleet, Judged as _, annotate};

const UNCHANGEABLE: &str = "a decision must not be changed or removed";
const SLOT_1: &str = "/metadata/annotations/decision.tidegate.dev~11";

fn finalizers(names: &[&str]) -> Value {
    json!({"metadata": {"finalizers": names}})
}

#[tokio::test]
async fn a_decision_is_never_changed_or_removed() -> Result<()> {
    let fleet = Fleet::new("record").await?;
    fleet.request("r").await?;
    fleet.decide(&fleet.bob, "r", 1, "bob@corp deny").await?.allowed("the decision")?;
    let merges = [
        ("edit", annotate("decision.tidegate.dev/1", "bob@corp approve")),
        ("removal", json!({"metadata": {"annotations": {"decision.tidegate.dev/1": null}}})),
        ("annotations null", json!({"metadata": {"annotations": null}})),
        (
            "metadata without annotations",
            json!({"metadata": {"annotations": {"decision.tidegate.dev/1": null, "decision.tidegate.dev/2": "bob@corp approve"}}}),
        ),
    ];
    for (what, patch) in merges {
        fleet.merge(&fleet.bob, "r", &patch).await?.refused(what, DECISIONS, UNCHANGEABLE)?;
    }
    let operations = [
        ("JSON patch remove", json!([{"op": "remove", "path": SLOT_1}])),
        (
            "JSON patch move",
            json!([{"op": "move", "from": SLOT_1, "path": "/metadata/annotations/decision.tidegate.dev~12"}]),
        ),
        ("JSON patch replace", json!([{"op": "replace", "path": SLOT_1, "value": "bob@corp approve"}])),
        ("JSON patch on the whole map", json!([{"op": "replace", "path": "/metadata/annotations", "value": {}}])),
    ];
    for (what, patch) in operations {
        fleet.json_patch(&fleet.bob, "r", patch).await?.refused(what, DECISIONS, UNCHANGEABLE)?;
    }
    // The rule holds for whoever may do everything else.
    for who in [fleet.control_plane.admin(), &fleet.controller().await?] {
        let removal = json!([{"op": "remove", "path": SLOT_1}]);
        fleet.json_patch(who, "r", removal).await?.refused(who.user(), DECISIONS, UNCHANGEABLE)?;
    }
    Ok(())
}

#[tokio::test]
async fn labels_owners_and_finalizers_are_the_controllers() -> Result<()> {
    let fleet = Fleet::new("metadata").await?;
    let uid = fleet.request("r").await?.metadata.uid.unwrap_or_default();
    let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]);
    let controller = fleet.controller().await?;
    let admin = fleet.control_plane.admin();
    let attempts = [
        ("label", json!({"metadata": {"labels": {"team": "dev"}}})),
        ("finalizer", finalizers(&["example.org/hold"])),
        // Last: there is no such owner, so garbage collection deletes the request once it has one.
        ("owner", json!({"metadata": {"ownerReferences": owner}})),
    ];
    for (what, patch) in attempts {
        for who in [&fleet.bob, admin] {
            let tried = fleet.merge(who, "r", &patch).await?;
            tried.refused(
                &format!("{what} by {}", who.user()),
                DECISIONS,
                "only a decision may be added to a request",
            )?;
        }
        fleet.merge(&controller, "r", &patch).await?.allowed(&format!("{what} by the controller"))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_foreign_annotation_is_refused_for_the_controller_too() -> Result<()> {
    let fleet = Fleet::new("foreign").await?;
    fleet.request("r").await?;
    for who in [&fleet.bob, fleet.control_plane.admin(), &fleet.controller().await?] {
        let tried = fleet.merge(who, "r", &annotate("example.org/note", "seen")).await?;
        tried.refused(who.user(), DECISIONS, "example.org/note is not a key that can be set now")?;
    }
    Ok(())
}

#[tokio::test]
async fn the_finalizer_is_removed_by_the_controller_only() -> Result<()> {
    let fleet = Fleet::new("finalizer").await?;
    fleet.request("r").await?;
    let controller = fleet.controller().await?;
    fleet.merge(&controller, "r", &finalizers(&[REVOKE_FINALIZER])).await?.allowed("set by the controller")?;
    for who in [&fleet.alice, &fleet.bob, fleet.control_plane.admin()] {
        let tried = fleet.merge(who, "r", &finalizers(&[])).await?;
        tried.refused(who.user(), DECISIONS, "only the controller removes the finalizer tidegate.dev/revoke")?;
    }
    fleet.merge(&controller, "r", &finalizers(&[])).await?.allowed("removed by the controller")?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_decided_while_the_request_is_being_deleted() -> Result<()> {
    let fleet = Fleet::new("deleted").await?;
    fleet.request("r").await?;
    let controller = fleet.controller().await?;
    fleet.merge(&controller, "r", &finalizers(&[REVOKE_FINALIZER])).await?.allowed("the finalizer")?;
    fleet.requests(fleet.control_plane.admin()).await?.delete("r", &DeleteParams::default()).await?;
    let tried = fleet.decide(&fleet.bob, "r", 1, "bob@corp approve").await?;
    tried.refused("approve", DECISIONS, "the request is being deleted")?;
    fleet.merge(&controller, "r", &finalizers(&[])).await?.allowed("the finalizer goes, and the request with it")?;
    Ok(())
}

#[tokio::test]
async fn the_wish_itself_is_immutable() -> Result<()> {
    let fleet = Fleet::new("wish").await?;
    fleet.request("r").await?;
    let rule = "spec is immutable: a different wish is a different request";
    let attempts = [
        ("another duration", json!({"spec": {"duration": "8h"}})),
        ("another account", json!({"spec": {"account": "root"}})),
        ("another requester", json!({"spec": {"requester": "mallory@corp"}})),
        ("no reason", json!({"spec": {"reason": null}})),
    ];
    for (what, patch) in attempts {
        for who in [&fleet.alice, fleet.control_plane.admin(), &fleet.controller().await?] {
            fleet.merge(who, "r", &patch).await?.refused(what, "spec", rule)?;
        }
    }
    Ok(())
}
