//! What is refused, what is then said to the gateway, and how soon it is asked again.

use rcgen::KeyPair;

use crate::agent::Agent;
use crate::fixture::{Controller, Served};
use crate::{HOUR, call, cluster, header, parts, served, state};

#[tokio::test]
async fn a_forged_manifest_is_refused_and_absence_counts() {
    let (cluster, mut gateway) = cluster(&[("a", HOUR), ("b", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "b").await;

    let mut forged = parts(&cluster.controller, &[("b", HOUR), ("c", HOUR)]);
    forged[3].1.signatures[0].sig[0] ^= 1;
    let etag = cluster.serve(Served::new(&forged, Vec::new()));
    let refused = agent.event("refused", |_| true).await;
    assert_eq!(refused["code"], "bad_signature");
    assert_eq!(agent.grant("ended", "a").await["reason"], "absent");
    let said = call(&mut gateway, |call| !header(call, "tidegate-rejected").is_empty()).await;
    assert_eq!(header(&said, "tidegate-rejected"), format!("{etag}; code=bad_signature"));
    assert_eq!(header(&said, "if-none-match"), "", "nothing is applied exactly");

    cluster.serve(served(&cluster.controller, &[("d", HOUR)]));
    agent.grant("started", "d").await;
    let ended: Vec<_> = agent.seen("ended").iter().map(|e| e["source"]["request"].clone()).collect();
    assert_eq!(ended, ["a", "b"], "b went on until a good manifest left it out");
    assert_eq!(agent.seen("refused").len(), 1, "a refusal is told once");
}

#[tokio::test]
async fn after_a_refusal_the_same_gateway_is_asked_at_once_and_a_revocation_comes_through() {
    let (cluster, gateway) = cluster(&[("a", HOUR), ("b", HOUR)]).await;
    let dir = state();
    // Any back-off ends at the second one, where nobody listens.
    let urls = [gateway.url.as_str(), "https://127.0.0.1:9"];
    let flags = ["--max-backoff", "1h"];
    let mut agent = Agent::start_with(&urls, cluster.controller.pin(), dir.path(), &flags);
    agent.grant("started", "b").await;
    for round in 0..3 {
        let mut forged = parts(&cluster.controller, &[("a", HOUR), ("b", HOUR), ("c", HOUR + round)]);
        forged[4].1.signatures[0].sig[0] ^= 1;
        cluster.serve(Served::new(&forged, Vec::new()));
        agent.event("refused", |_| true).await;
    }
    let mut forged = parts(&cluster.controller, &[("b", HOUR), ("c", HOUR)]);
    forged[3].1.signatures[0].sig[0] ^= 1;
    cluster.serve(Served::new(&forged, Vec::new()));
    assert_eq!(agent.grant("ended", "a").await["reason"], "absent");
    assert!(agent.seen("connection").iter().all(|e| e["up"] == true), "the gateway is as good as before");
}

#[tokio::test]
async fn a_part_that_was_missed_is_asked_for_without_calling_the_manifest_refused() {
    let (cluster, mut gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    cluster.serve_without_parts(served(&cluster.controller, &[("a", HOUR), ("b", HOUR)]));
    assert_eq!(agent.event("refused", |_| true).await["code"], "truncated");
    agent.grant("started", "b").await;
    let whole = |call: &crate::Call| call.path == "/v1/snapshot" && header(call, "tidegate-have").is_empty();
    call(&mut gateway, whole).await;
    let again = call(&mut gateway, whole).await;
    assert_eq!(header(&again, "tidegate-rejected"), "");
    assert!(agent.seen("ended").is_empty());
}

#[tokio::test]
async fn a_manifest_signed_by_a_new_key_is_taken_once_the_key_is_vouched_for() {
    let (cluster, mut gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    let rotated = Controller::of(KeyPair::try_from(cluster.controller.authority.key().serialized_der()).unwrap());
    let etag = cluster.serve(served(&rotated, &[("a", HOUR), ("b", HOUR)]));
    assert_eq!(agent.event("refused", |_| true).await["code"], "wrong_key");
    let told = call(&mut gateway, |call| !header(call, "tidegate-rejected").is_empty()).await;
    assert_eq!(header(&told, "tidegate-rejected"), format!("{etag}; code=wrong_key"));
    cluster.trust(&rotated);
    agent.grant("started", "b").await;
    assert_eq!(agent.seen("refused").len(), 1);
}
