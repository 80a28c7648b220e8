//! A gateway that keeps in what is over, leaves out what says so, or brings back what was: over real TLS. What only
//! time can show is tested on the state machine, under injected clocks.

use serde_json::Value;
use tidegate_core::fleet::{FleetBody, Locked};
use tidegate_core::interval::Instant;

use crate::agent::Agent;
use crate::clock::from_now;
use crate::fixture::{FRESHNESS, Piece, Served, TOLERANCE, fleet_body, in_force, revoked};
use crate::gateway::{Cluster, Gateway};
use crate::{HOUR, base, state};

/// A running agent with grant a and policy window, and what it holds them by.
struct Scene {
    cluster: std::sync::Arc<Cluster>,
    agent: Agent,
    /// The policy at sequence 1 and the grant, as they were first signed.
    kept_in: Vec<Piece>,
    _gateway: Gateway,
    _state: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let cluster = Cluster::new();
        cluster.approve();
        let controller = &cluster.controller;
        let kept_in = vec![controller.window(from_now(HOUR), 1), controller.grant("a", from_now(HOUR))];
        cluster.serve(Served::new(&[base(controller, fleet_body(), 1), kept_in.clone()].concat(), Vec::new()));
        let (gateway, state) = (Gateway::start(&cluster).await, state());
        let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), state.path());
        agent.grant("started", "a").await;
        agent.event("started", |e| e["source"]["kind"] == "policy" && e["account"] == "bob").await;
        Self { cluster, agent, kept_in, _gateway: gateway, _state: state }
    }

    /// Serves these parts beside everything that was served at first.
    fn serve(&self, parts: Vec<Piece>) {
        self.cluster.serve(Served::new(&[parts, self.kept_in.clone()].concat(), Vec::new()));
    }

    /// The refusal of the part of this name in the next snapshot.
    async fn refused(&mut self, part: &str) -> Value {
        let of =
            |event: &Value| event["refused"].as_array().and_then(|all| all.iter().find(|p| p["name"] == part).cloned());
        of(&self.agent.event("snapshot", |event| of(event).is_some()).await).unwrap()
    }

    /// The ends seen until now, sorted.
    fn ends(&self) -> Vec<String> {
        let of = |e: &&Value| {
            let source = &e["source"];
            let name = source["request"].as_str().or(source["policy"].as_str()).unwrap();
            format!("{name} {} {}", e["account"].as_str().unwrap(), e["reason"].as_str().unwrap())
        };
        let mut ends: Vec<String> = self.agent.seen("ended").iter().map(of).collect();
        ends.sort();
        ends
    }
}

#[tokio::test]
async fn an_old_policy_part_that_is_kept_in_is_not_accepted_and_its_rights_end() {
    let mut scene = Scene::new().await;
    let edited = FleetBody { policies: in_force(2), ..fleet_body() };
    scene.serve(base(&scene.cluster.controller, edited, 2));
    assert_eq!(scene.refused("policy/window-uid").await["code"], "not_in_force");
    scene.agent.event("ended", |e| e["account"] == "bob").await;
    assert_eq!(scene.ends(), ["window alice absent", "window bob absent"]);
}

#[tokio::test]
async fn a_revoked_grant_that_is_kept_in_ends() {
    let mut scene = Scene::new().await;
    let fleet = FleetBody { revoked: revoked("a"), ..fleet_body() };
    scene.serve(base(&scene.cluster.controller, fleet, 2));
    assert_eq!(scene.refused("grant/a-uid").await["code"], "not_in_force");
    assert_eq!(scene.agent.grant("ended", "a").await["reason"], "absent");
    assert_eq!(scene.ends(), ["a alice absent"]);
}

#[tokio::test]
async fn without_the_fleet_part_everything_ends() {
    let mut scene = Scene::new().await;
    scene.serve(vec![scene.cluster.controller.placement(1)]);
    for _ in 0..3 {
        scene.agent.event("ended", |_| true).await;
    }
    assert_eq!(scene.ends(), ["a alice absent", "window alice absent", "window bob absent"]);
}

#[tokio::test]
async fn an_older_fleet_part_brings_back_nothing() {
    let mut scene = Scene::new().await;
    let controller = &scene.cluster.controller;
    let newer = FleetBody { revoked: revoked("a"), policies: Vec::new(), ..fleet_body() };
    scene.serve(base(controller, newer, 2));
    for _ in 0..3 {
        scene.agent.event("ended", |_| true).await;
    }
    scene.serve(base(controller, fleet_body(), 1));
    assert_eq!(scene.refused("fleet").await["code"], "rollback");
    assert_eq!(scene.agent.seen("started").len(), 3, "nothing began a second time");
}

#[tokio::test]
async fn a_lock_ends_everything_at_once_with_its_message() {
    let mut scene = Scene::new().await;
    let message = "stolen laptop".to_owned();
    let locked = vec![Locked { endpoints: None, accounts: None, policies: Default::default(), message }];
    scene.serve(base(&scene.cluster.controller, FleetBody { locked, ..fleet_body() }, 2));
    let ended = scene.agent.grant("ended", "a").await;
    assert_eq!((ended["reason"].as_str(), ended["message"].as_str()), (Some("locked"), Some("stolen laptop")));
    assert_eq!(scene.ends(), ["a alice locked", "window alice locked", "window bob locked"]);
}

#[tokio::test]
async fn what_comes_with_an_old_fleet_part_does_not_begin_until_there_is_a_newer_one() {
    let mut scene = Scene::new().await;
    let controller = &scene.cluster.controller;
    let age = i64::try_from((FRESHNESS + TOLERANCE).as_secs()).unwrap() + 60;
    let long_ago = Instant::from_second(from_now(0).start.as_second() - age);
    let old = controller.fleet(fleet_body(), 1, long_ago);
    scene.serve(vec![controller.placement(1), old, controller.grant("b", from_now(HOUR))]);
    assert_eq!(scene.agent.grant("withheld", "b").await["reason"], "offline");
    scene.serve([base(controller, fleet_body(), 2), vec![controller.grant("b", from_now(HOUR))]].concat());
    scene.agent.grant("started", "b").await;
    assert!(scene.ends().is_empty(), "what had begun went on");
}

#[tokio::test]
async fn what_an_honest_gateway_leaves_out_ends_at_once() {
    let mut scene = Scene::new().await;
    let fleet = FleetBody { revoked: revoked("a"), policies: Vec::new(), ..fleet_body() };
    let honest = base(&scene.cluster.controller, fleet, 2);
    scene.cluster.serve(Served::new(&honest, Vec::new()));
    for _ in 0..3 {
        scene.agent.event("ended", |_| true).await;
    }
    assert_eq!(scene.ends(), ["a alice absent", "window alice absent", "window bob absent"]);
}
