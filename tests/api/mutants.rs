//! The mutation test of admission: weakens the shipped policies in every single place and asks the table of the adversary suite
//! whether it notices. All mutants are in force at once, each in a namespace of its own. `make mutants` runs it.

mod expression;
mod policies;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use http::Request;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::{ControlPlane, assets, eventually};

use self::policies::Edition;
use crate::adversary::attempt::{Case, How, Target, case, not, note, shows};
use crate::adversary::cast::{Cast, Who};
use crate::adversary::table;
use crate::adversary::world::{Made, World};

/// How many worlds are made or tried at once.
const AT_ONCE: usize = 12;
/// All mutants are compiled anew when one is added; the rest is for a machine that builds something else at the same time.
const IN_FORCE_DEADLINE: Duration = Duration::from_secs(120);
/// The mutants that no case can tell from the original, with the reason.
const SURVIVORS: &str = "hack/mutants/survivors.md";

/// A mutant and where it is in force.
struct Trial<'a> {
    /// `None`: the policies as they are shipped.
    mutant: Option<&'a Edition>,
    world: World<'a>,
}

#[tokio::test]
#[ignore = "takes some minutes: make mutants"]
async fn every_weakened_policy_turns_a_case_red() -> Result<()> {
    let watch = Stopwatch::start();
    let say = |what: &str| println!("{:5.1} s  {what}", watch.elapsed().as_secs_f64());
    let control_plane = control_plane_without_policies().await?;
    ensure!(control_plane.minor() >= 36, "the mutants of the mutating policies need Kubernetes 1.36");
    let shipped = policies::shipped()?;
    let mutants = policies::mutants(&shipped);
    let cast = Cast::assemble(&control_plane).await?;
    let table = table::cases();
    say(&format!("{} mutants, {} cases; making a namespace for each mutant", mutants.len(), table.len()));

    // The first is for the policies as they are.
    let all = std::iter::once(None).chain(mutants.iter().map(Some));
    let made = futures::stream::iter(all).map(|mutant| trial(&cast, &control_plane, mutant));
    let trials: Vec<Trial<'_>> = made.buffered(AT_ONCE).try_collect().await?;
    say("installing the policies");
    install(&cast, &shipped, &trials).await?;
    futures::stream::iter(&trials)
        .map(|trial| trial.in_force(&shipped))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    say("all are in force");

    let (original, trials) = trials.split_first().context("no trial")?;
    for case in &table {
        original.world.judge(case, true).await.context("a case is wrong about the policies as they are")?;
    }
    say("every case is right about the policies as they are");
    let mut survivors = BTreeSet::new();
    let mut judged = futures::stream::iter(trials).map(|trial| trial.first_red(&table)).buffered(AT_ONCE);
    while let Some((mutant, red)) = judged.next().await {
        match red {
            Some(case) => say(&format!("killed    {mutant}\n         by        {}", case.what)),
            None => {
                say(&format!("SURVIVED  {mutant}"));
                survivors.insert(mutant.to_owned());
            }
        }
    }
    say(&format!("{} of {} mutants killed", mutants.len() - survivors.len(), mutants.len()));
    compare(&survivors)
}

/// A control plane with everything of `config/default` but admission and the processes.
async fn control_plane_without_policies() -> Result<ControlPlane> {
    let control_plane = ControlPlane::start().await?;
    for folder in ["config/crd", "config/namespace", "config/rbac"] {
        control_plane.apply(folder).await?;
    }
    let admin = control_plane.admin().client().await?;
    for kind in ["jitpolicies", "elevationrequests", "managedendpoints", "fleets", "locks"] {
        eventually(kind, IN_FORCE_DEADLINE, async || {
            let list = Request::get(format!("/apis/tidegate.dev/v1alpha1/{kind}")).body(Vec::new())?;
            Ok(admin.request::<Value>(list).await?)
        })
        .await?;
    }
    Ok(control_plane)
}

async fn trial<'a>(cast: &'a Cast, control_plane: &ControlPlane, mutant: Option<&'a Edition>) -> Result<Trial<'a>> {
    let prefix = mutant.map_or("shipped", |mutant| mutant.label.as_str());
    Ok(Trial { mutant, world: World::make(cast, control_plane, prefix, Made::Before).await? })
}

/// Creates all editions, then hands each namespace over to its own.
async fn install(cast: &Cast, shipped: &[Edition], trials: &[Trial<'_>]) -> Result<()> {
    let admin = cast.client(Who::Admin)?;
    let mutants = trials.iter().filter_map(|trial| trial.mutant.map(|mutant| (mutant, &trial.world)));
    let cluster_wide: Vec<&str> = mutants
        .clone()
        .filter(|(mutant, _)| !mutant.is_namespaced())
        .map(|(_, world)| world.namespace.as_str())
        .collect();
    let others = json!({"matchExpressions": [{"key": "world", "operator": "NotIn", "values": cluster_wide}]});
    let editions = shipped
        .iter()
        .map(|edition| edition.installed(&others))
        .chain(mutants.map(|(mutant, world)| mutant.installed(&json!({"matchLabels": {"world": world.namespace}}))));
    for object in editions.flatten() {
        let kind = object["kind"].as_str().unwrap_or_default();
        let plural = if kind.ends_with("Policy") {
            kind.to_lowercase().replace("policy", "policies")
        } else {
            format!("{}s", kind.to_lowercase())
        };
        let request = Request::post(format!("/apis/admissionregistration.k8s.io/v1/{plural}"))
            .header("content-type", "application/json")
            .body(object.to_string().into_bytes())?;
        admin.request::<Value>(request).await.with_context(|| format!("{kind} {}", object["metadata"]["name"]))?;
    }
    let namespaces: Api<Namespace> = Api::all(admin);
    for trial in trials {
        let labels: BTreeMap<&str, &str> = trial
            .editions(shipped)
            .filter(|edition| edition.is_namespaced())
            .map(|e| (e.policy, e.label.as_str()))
            .collect();
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        namespaces.patch(&trial.world.namespace, &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

/// Every mutant that survived must be listed, and nothing else.
fn compare(survivors: &BTreeSet<String>) -> Result<()> {
    let list = std::fs::read_to_string(assets::repository().join(SURVIVORS)).with_context(|| SURVIVORS.to_owned())?;
    let entry = |line: &str| line.strip_prefix("## ").map(str::to_owned);
    let listed: BTreeSet<String> = list.lines().filter_map(entry).collect();
    let news: Vec<&String> = survivors.difference(&listed).collect();
    ensure!(news.is_empty(), "mutants survived that {SURVIVORS} does not list; write a case for each: {news:#?}");
    let gone: Vec<&String> = listed.difference(survivors).collect();
    ensure!(gone.is_empty(), "{SURVIVORS} lists what did not survive: {gone:#?}");
    Ok(())
}

// === impl Trial ===

impl<'a> Trial<'a> {
    /// The editions that are in force here.
    fn editions<'b>(&'b self, shipped: &'b [Edition]) -> impl Iterator<Item = &'b Edition> {
        shipped.iter().map(|edition| self.mutant.filter(|mutant| mutant.policy == edition.policy).unwrap_or(edition))
    }

    /// Waits until the editions have answered for themselves. A weakened policy may refuse what is to be stamped: the stamping
    /// that is shipped is proven where all is as it is shipped, and the namespace's labels by the policies that refuse.
    async fn in_force(&self, shipped: &[Edition]) -> Result<()> {
        let provable =
            |edition: &&Edition| edition.refuses() || self.mutant.is_none_or(|mutant| mutant.policy == edition.policy);
        for edition in self.editions(shipped).filter(provable) {
            let probe = probe(edition)?;
            eventually(&edition.probe(), IN_FORCE_DEADLINE, async || self.world.judge(&probe, true).await).await?;
        }
        Ok(())
    }

    /// The first case that is wrong about this mutant.
    async fn first_red<'c>(&self, table: &'c [Case]) -> (&'a str, Option<&'c Case>) {
        let what = self.mutant.map_or("", |mutant| mutant.what.as_str());
        for case in table {
            if self.world.judge(case, true).await.is_err() {
                return (what, Some(case));
            }
        }
        (what, None)
    }
}

/// What only this edition answers so.
fn probe(edition: &Edition) -> Result<Case> {
    let refused = not("", edition.probe());
    let without_requester = |object: &mut Value| {
        object["spec"].as_object_mut().map(|spec| spec.remove("requester"));
    };
    let named = |object: &mut Value| object["metadata"]["name"] = json!(policies::PROBE);
    let what = edition.probe();
    Ok(match edition.policy {
        "decisions" => case(what, Who::Bob, Target::Probe, How::Merge(json!({})), refused),
        "status" => case(what, Who::Admin, Target::Probe, How::Merge(json!({})), refused).status(),
        "gateway-csr" => case(what, Who::Gateway, Target::Certificates, How::Post(named), refused),
        "requester" => {
            case(what, Who::Alice, Target::New, How::Post(without_requester), shows("/spec/requester", "alice@corp"))
        }
        "decide" => {
            let pointer = "/metadata/annotations/decision.tidegate.dev~11";
            case(what, Who::Bob, Target::Fresh, note("tidegate.dev/decide", "deny"), shows(pointer, "bob@corp deny"))
        }
        other => bail!("no probe for {other}"),
    })
}
