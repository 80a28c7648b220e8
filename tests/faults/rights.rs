//! Each right of the controller and of the gateway taken away, one at a time: the servers are started without it, say by name what is
//! missing, grant nothing that nobody approved, and go on by themselves once they have it back.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tidegate_api::names::{CONTROLLER, GATEWAY};
use tidegate_api::{ElevationRequest, JitPolicy, ManagedEndpoint};
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{Gateway, Identity, eventually, objects};

use crate::agent::{SOON, Watching};
use crate::course::{PATIENCE, REQUEST, decide, settled, state};
use crate::fleet::Fleet;
use crate::installation::{Installation, READY, guard_passes};
use crate::kept::Kept;
use crate::record::Recorder;

/// Installations side by side: starting servers is most of the time.
const SHARES: usize = 3;

/// Rights that no call needs here, and why they are held.
const NOT_NEEDED: [(&str, &str); 7] = [
    ("delete elevationrequests", "used --retention after the end of a request, which is an hour at least"),
    ("get configmaps tidegate-trust", "everybody has it: the trust bundle is public"),
    ("get elevationrequests", "for a request that changes while what was written in a gap is taken up"),
    ("create fleets", "asked beside patch when an object that is not there is applied"),
    ("get namespaces", "for a namespace that the watch has not shown yet"),
    (
        "sign signers tidegate.dev/endpoint",
        "asked by the API server when a certificate is written, and by name: its refusal names the signer",
    ),
    ("patch events", "counts up an event that comes again within minutes"),
];

/// One verb on one resource, as a role grants it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    program: &'static str,
    /// In a Role of the installation's namespace, not in a ClusterRole.
    narrow: bool,
    group: String,
    resource: String,
    verb: String,
    /// The one object it is for.
    name: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_right_is_said_by_name_and_grants_nothing_first_share() -> Result<()> {
    share(0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_right_is_said_by_name_and_grants_nothing_second_share() -> Result<()> {
    share(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_right_is_said_by_name_and_grants_nothing_third_share() -> Result<()> {
    share(2).await
}

async fn share(number: usize) -> Result<()> {
    let watch = Stopwatch::start();
    let (installation, controller) = Installation::start().await?;
    let recorder = Recorder::start(installation.control_plane).await?;
    let all = all(installation.control_plane.admin()).await?;
    ensure!(all.len() > 50, "only {} rights: {all:?}", all.len());
    let needed =
        |right: &&Right| !NOT_NEEDED.iter().any(|(known, _)| right.to_string().ends_with(&format!(": {known}")));
    let mine: Vec<&Right> = all.iter().filter(needed).skip(number).step_by(SHARES).collect();
    controller.kill9().await;
    for right in &mine {
        without(&installation, right).await.with_context(|| right.to_string())?;
    }
    println!("{} of {} rights taken away one at a time in {:?}:", mine.len(), all.len(), watch.elapsed());
    mine.iter().for_each(|right| println!("  {right}"));
    recorder.check().await
}

/// A fleet's life with servers that were started without `right`.
async fn without(installation: &Installation, right: &Right) -> Result<()> {
    let control_plane = installation.control_plane;
    let admin = control_plane.admin();
    let fleet = Fleet::new(installation, "right").await?;
    damage(admin, right).await?;
    let before = right.take_away(admin).await?;
    right.is_held(installation, false).await?;

    let controller = installation.controller().await?;
    let gateway = if right.program == GATEWAY { Some(installation.gateway().await?) } else { None };
    provoke(&fleet, right).await?;
    // An agent makes the calls that are about one.
    let about_agents =
        ["certificatesigningrequests", "managedendpoints/status"].map(|about| right.resource.starts_with(about));
    let through = gateway.as_ref().unwrap_or(&installation.gateways[0]);
    let agent = if about_agents.contains(&true) {
        Some(Watching::start(control_plane, &[through], &fleet.endpoint())?)
    } else {
        None
    };
    // Without its right the gateway hands nothing on that could be approved.
    let handed_on = right.program == CONTROLLER || right.resource == "managedendpoints/status";
    if agent.is_some() && handed_on {
        approve_certificate(&fleet).await?;
    }
    said(&controller, gateway.as_ref(), right).await?;
    nothing_unapproved(&fleet).await?;

    right.restore(admin, before).await?;
    right.is_held(installation, true).await?;
    works(&fleet, &controller, gateway.as_ref()).await?;
    controller.kill9().await;
    Ok(())
}

/// Somebody asks, so that everything is needed; and somebody in a namespace without a Fleet.
async fn provoke(fleet: &Fleet<'_>, right: &Right) -> Result<()> {
    let asking: Api<ElevationRequest> = Api::namespaced(fleet.alice.client().await?, fleet.name());
    asking.create(&PostParams::default(), &fleet.wish(REQUEST, "5m")?).await?;
    asking.create(&PostParams::default(), &fleet.wish("er-unapproved", "5m")?).await?;
    ask_without_fleet(fleet).await?;
    if right.resource.starts_with("locks") {
        fleet
            .lock("elsewhere", json!({"target": {"endpoints": {"names": ["nowhere"]}}, "effect": "DeclineNew"}))
            .await?;
    }
    decide(fleet, 1, "approve: go ahead").await
}

async fn ask_without_fleet(fleet: &Fleet<'_>) -> Result<()> {
    let (fleetless, create) = (fleet.installation.control_plane.namespace("fleetless").await?, PostParams::default());
    let (somebody, admin) =
        (fleetless.person("alice@corp", "tidegate-requester").await?, fleet.admin().client().await?);
    let policies: Api<JitPolicy> = Api::namespaced(admin.clone(), fleetless.name());
    policies.create(&create, &objects::policy_on_request("any")?).await?;
    let endpoints: Api<ManagedEndpoint> = Api::namespaced(admin, fleetless.name());
    endpoints.create(&create, &objects::endpoint("ws", somebody.user(), "alice")?).await?;
    let asking: Api<ElevationRequest> = Api::namespaced(somebody.client().await?, fleetless.name());
    asking.create(&create, &objects::request(REQUEST, "any", "ws", "alice", somebody.user())?).await?;
    Ok(())
}

/// The endpoint's certificate request is approved as soon as there is one.
async fn approve_certificate(fleet: &Fleet<'_>) -> Result<()> {
    let csr = eventually("a certificate request", PATIENCE, async || fleet.certificate_request(&[]).await).await?;
    fleet.kubectl(&fleet.carol, &["certificate", "approve", &csr]).await?.ok()?;
    Ok(())
}

/// What a controller makes or mends only when it is missing or wrong is missing or wrong.
async fn damage(admin: &Identity, right: &Right) -> Result<()> {
    let (delete, merge) = (DeleteParams::default(), PatchParams::default());
    let secrets: Api<Secret> = Api::namespaced(admin.client().await?, SYSTEM_NAMESPACE);
    let maps: Api<ConfigMap> = Api::namespaced(admin.client().await?, SYSTEM_NAMESPACE);
    match (right.verb.as_str(), right.resource.as_str(), right.name.as_deref()) {
        ("create", "secrets", _) => drop(secrets.delete("tidegate-gateway-tls", &delete).await?),
        ("create", "configmaps", _) => drop(maps.delete("tidegate-guard", &delete).await?),
        ("update", "secrets", Some(name)) => {
            secrets.patch(name, &merge, &Patch::Merge(json!({"data": {"ca.crt": ""}}))).await?;
        }
        ("update", "configmaps", Some(name)) => {
            let key = if name == "tidegate-guard" { "seal.json" } else { "trust.json" };
            maps.patch(name, &merge, &Patch::Merge(json!({"data": {key: "{}"}}))).await?;
        }
        _ => {}
    }
    Ok(())
}

/// A log line that names verb and resource, as the API server does. Who cannot renew the Lease ends, and is started again.
async fn said(controller: &Kept, gateway: Option<&Gateway>, right: &Right) -> Result<()> {
    let Right { verb, resource, .. } = right;
    // In JSON the quotes are escaped.
    let names = |line: &str| {
        let line = line.replace('\\', "");
        line.contains(&format!("cannot {verb} resource \"{resource}\""))
    };
    let missing = format!("a line that says that {right} is missing");
    let Some(gateway) = gateway else {
        controller.says(&missing, PATIENCE, names).await?;
        return controller.sound();
    };
    gateway.process.stderr.wait_for(&missing, 0, PATIENCE, names).await?;
    gateway.process.lives()?;
    let panic = gateway.process.stderr.lines().into_iter().find(|line| line.contains("panicked at"));
    ensure!(panic.is_none(), "{panic:?}");
    Ok(())
}

async fn nothing_unapproved(fleet: &Fleet<'_>) -> Result<()> {
    let status = fleet.requests().await?.get("er-unapproved").await?.status.unwrap_or_default();
    ensure!(status.signed.is_none(), "granted without a decision: {status:?}");
    Ok(())
}

/// What waited goes on by itself.
async fn works(fleet: &Fleet<'_>, controller: &Kept, gateway: Option<&Gateway>) -> Result<()> {
    controller.ready_is(true, READY).await?;
    guard_passes(controller).await?;
    if let Some(gateway) = gateway {
        gateway.ready(READY).await?;
    }
    settled(fleet).await?;
    // Given while nobody knew whether the policies were in force, a decision may have to be given again.
    let api = fleet.requests().await?;
    eventually("the decision taken up", PATIENCE, async || {
        let status = api.get(REQUEST).await?.status.unwrap_or_default();
        ensure!(!status.decisions.is_empty() || status.state.as_deref() == Some("Declined"), "{status:?}");
        Ok(())
    })
    .await?;
    let status = api.get(REQUEST).await?.status.unwrap_or_default();
    if status.decisions.iter().any(|decision| decision.counted) {
        return state(fleet, &["Active"]).await;
    }
    let unprotected = serde_json::to_string(&status)?.contains("AdmissionUnprotected");
    ensure!(unprotected, "not counted for another reason: {status:?}");
    fleet.ask("er-again", "5m").await?;
    fleet.in_state("er-again", "Pending", SOON).await?;
    fleet.decide(&fleet.bob, "er-again", "approve").await?;
    fleet.in_state("er-again", "Active", PATIENCE).await?;
    Ok(())
}

/// Every right of both programs.
async fn all(admin: &Identity) -> Result<BTreeSet<Right>> {
    let client = admin.client().await?;
    let (wide, own) = (Api::<ClusterRole>::all(client.clone()), Api::<Role>::namespaced(client, SYSTEM_NAMESPACE));
    let mut rights = BTreeSet::new();
    for program in [CONTROLLER, GATEWAY] {
        let of_all = wide.get(program).await?.rules.into_iter().flatten();
        rights.extend(of_all.flat_map(|rule| Right::of(program, false, &rule)));
        let of_own = own.get_opt(program).await?.and_then(|role| role.rules).into_iter().flatten();
        rights.extend(of_own.flat_map(|rule| Right::of(program, true, &rule)));
    }
    Ok(rights)
}

// === impl Right ===

impl Right {
    fn of(program: &'static str, narrow: bool, rule: &PolicyRule) -> Vec<Self> {
        let names = rule.resource_names.clone().unwrap_or_default();
        let names: Vec<Option<String>> =
            if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        let mut rights = Vec::new();
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for (verb, name) in rule.verbs.iter().flat_map(|verb| names.iter().map(move |name| (verb, name))) {
                    let (group, resource, verb) = (group.clone(), resource.clone(), verb.clone());
                    rights.push(Self { program, narrow, group, resource, verb, name: name.clone() });
                }
            }
        }
        rights
    }

    /// Every other right of these rules, a rule for each.
    fn left_of(&self, rules: &[PolicyRule]) -> Vec<PolicyRule> {
        let all = rules.iter().flat_map(|rule| Self::of(self.program, self.narrow, rule));
        let others = all.filter(|right| right != self).map(|right| PolicyRule {
            api_groups: Some(vec![right.group]),
            resources: Some(vec![right.resource]),
            verbs: vec![right.verb],
            resource_names: right.name.map(|name| vec![name]),
            non_resource_urls: None,
        });
        others.collect()
    }

    /// Takes it away, and gives the rules as they were.
    async fn take_away(&self, admin: &Identity) -> Result<Vec<PolicyRule>> {
        let client = admin.client().await?;
        let before = if self.narrow {
            Api::<Role>::namespaced(client, SYSTEM_NAMESPACE).get(self.program).await?.rules
        } else {
            Api::<ClusterRole>::all(client).get(self.program).await?.rules
        };
        let before = before.context("a role without rules")?;
        self.restore(admin, self.left_of(&before)).await?;
        Ok(before)
    }

    /// Gives these rules to the role it is in.
    async fn restore(&self, admin: &Identity, rules: Vec<PolicyRule>) -> Result<()> {
        let (client, params) = (admin.client().await?, PatchParams::default());
        let patch = Patch::Merge(json!({ "rules": rules }));
        if self.narrow {
            Api::<Role>::namespaced(client, SYSTEM_NAMESPACE).patch(self.program, &params, &patch).await?;
        } else {
            Api::<ClusterRole>::all(client).patch(self.program, &params, &patch).await?;
        }
        Ok(())
    }

    /// Waits until the API server's authorizer says so too.
    async fn is_held(&self, installation: &Installation, held: bool) -> Result<()> {
        let program = installation.control_plane.service_account(SYSTEM_NAMESPACE, self.program).await?;
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource.to_owned(), Some(subresource.to_owned())),
            None => (self.resource.clone(), None),
        };
        let attributes = ResourceAttributes {
            group: Some(self.group.clone()),
            resource: Some(resource),
            subresource,
            verb: Some(self.verb.clone()),
            name: self.name.clone(),
            namespace: self.narrow.then(|| SYSTEM_NAMESPACE.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
        let question = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let api: Api<SelfSubjectAccessReview> = Api::all(program.client().await?);
        eventually(&format!("{self}: {held}"), SOON, async || {
            let answer = api.create(&PostParams::default(), &question).await?.status.context("no answer")?;
            if answer.allowed == held { Ok(()) } else { bail!("{answer:?}") }
        })
        .await
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.program, self.verb, self.resource)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}
