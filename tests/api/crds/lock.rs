//! Lock.

use anyhow::Result;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tidegate_api::Lock;

use super::place::Place;
use super::{Passes, Says, admin, judge, names};
use crate::fleet::Judged as _;

fn target(members: Value) -> Value {
    json!({"target": members})
}

#[tokio::test]
async fn a_lock_says_what_it_stops_and_how() -> Result<()> {
    let valid = json!({"target": {}, "effect": "EndAccess"});
    let cases = vec![
        ("the whole fleet", target(json!({})), Passes),
        ("no target", json!({"target": null}), Says("target: Required value")),
        ("no effect", json!({"effect": null}), Says("effect: Required value")),
        ("the other effect", json!({"effect": "DeclineNew"}), Passes),
        ("another effect", json!({"effect": "Explode"}), Says("supported values: \"DeclineNew\", \"EndAccess\"")),
        (
            "everything at once",
            target(
                json!({"endpoints": {"names": ["ws-042"]}, "identities": ["mallory@corp"], "policies": ["dev-tools"]}),
            ),
            Passes,
        ),
        ("endpoints by label", target(json!({"endpoints": {"selector": {"matchLabels": {"team": "dev"}}}})), Passes),
        ("no endpoints", target(json!({"endpoints": {}})), Says("give exactly one of names and selector")),
        ("64 identities", target(json!({"identities": names(64)})), Passes),
        ("65 identities", target(json!({"identities": names(65)})), Says("must have at most 64 items")),
        ("no identities", target(json!({"identities": []})), Says("should have at least 1 items")),
        ("an identity with a blank", target(json!({"identities": ["a b"]})), Says("should match")),
        ("no policies", target(json!({"policies": []})), Says("should have at least 1 items")),
        ("a path for a policy", target(json!({"policies": ["a/b"]})), Says("should match")),
        ("a message", json!({"message": "Stolen laptop, INC-4711"}), Passes),
        ("a message of 513", json!({"message": "a".repeat(513)}), Says(": Too long")),
        ("two lines", json!({"message": "a\nb"}), Says("write one line of printable characters")),
        ("an end", json!({"expirationTime": "2027-01-01T00:00:00Z"}), Passes),
        ("an end in words", json!({"expirationTime": "tomorrow"}), Says("expirationTime in body")),
    ];
    judge::<Lock>(admin().await?, &valid, cases).await
}

#[tokio::test]
async fn a_lock_is_never_changed() -> Result<()> {
    let place = Place::new::<Lock>("fixed-lock").await?;
    for change in [json!({"effect": "EndAccess"}), json!({"target": {"policies": ["p"]}}), json!({"message": "more"})] {
        let patch = Patch::Merge(json!({"spec": change}));
        let tried = place.objects.patch("fleet", &PatchParams::default(), &patch).await;
        tried.refused("a change", "spec", "spec is immutable: create another Lock, then delete this one")?;
    }
    let labels = Patch::Merge(json!({"metadata": {"labels": {"case": "inc-4711"}}}));
    place.objects.patch("fleet", &PatchParams::default(), &labels).await.allowed("a label")?;
    Ok(())
}
