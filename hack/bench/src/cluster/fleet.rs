//! One fleet that is large enough: endpoints, people, and their requests, made as they would make them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tidegate_api::names::{CONTROLLER, DECISION_PREFIX};
use tidegate_api::{ElevationRequest, Fleet as Settings, JitPolicy, ManagedEndpoint};
use tidegate_test_support::clock::Stopwatch;
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{ControlPlane, Identity, clock, objects};

use crate::DEADLINE;

/// Writes at the same time, of everybody who writes here: as many as the controller makes for requests.
pub const CONCURRENCY: usize = 32;
/// Open requests that one endpoint, and so its one person, has.
const EACH: usize = 4;
const POLICY: &str = "dev-tools";

/// A namespace with people enough for so many open requests.
pub struct Fleet<'a> {
    /// Where it is.
    pub control_plane: &'a ControlPlane,
    /// The namespace.
    pub name: String,
    /// Approves.
    pub bob: Identity,
    /// The controller's own account, for the bare client.
    pub controller: Identity,
    /// As the owner of the first endpoint.
    first: Api<ElevationRequest>,
    requests: Api<ElevationRequest>,
    admin: Client,
}

// === impl Fleet ===

impl<'a> Fleet<'a> {
    /// Makes it, for so many requests at once.
    pub async fn create(control_plane: &'a ControlPlane, requests: usize) -> Result<Self> {
        let namespace = control_plane.namespace("bench").await?;
        let (name, bob) = (namespace.name().to_owned(), namespace.person("bob@corp", "tidegate-approver").await?);
        let first = namespace.person(&person(0), "tidegate-requester").await?;
        let first = Api::namespaced(first.client().await?, &name);
        let admin = control_plane.admin().client().await?;
        let controller = control_plane.service_account(SYSTEM_NAMESPACE, CONTROLLER).await?;
        let all = Api::<ElevationRequest>::namespaced(admin.clone(), &name);
        let fleet = Self { control_plane, name, bob, first, controller, requests: all, admin };
        let settings: Api<Settings> = Api::namespaced(fleet.admin.clone(), &fleet.name);
        settings.create(&PostParams::default(), &objects::fleet(16)?).await?;
        let policies: Api<JitPolicy> = Api::namespaced(fleet.admin.clone(), &fleet.name);
        policies.create(&PostParams::default(), &objects::policy_on_request(POLICY)?).await?;
        let endpoints: Api<ManagedEndpoint> = Api::namespaced(fleet.admin.clone(), &fleet.name);
        let endpoints = &endpoints;
        let each = stream::iter(0..requests.div_ceil(EACH)).map(|number| async move {
            let endpoint = objects::endpoint(&endpoint(number), &person(number), "account")?;
            endpoints.create(&PostParams::default(), &endpoint).await?;
            anyhow::Ok(())
        });
        each.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        Ok(fleet)
    }

    /// The requests, as they are.
    pub async fn all(&self) -> Result<Vec<ElevationRequest>> {
        Ok(self.requests.list(&ListParams::default()).await?.items)
    }

    /// One of them, as it is.
    pub async fn one(&self, name: &str) -> Result<ElevationRequest> {
        Ok(self.requests.get(name).await?)
    }

    /// Takes one away.
    pub async fn delete(&self, name: &str) -> Result<()> {
        self.requests.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// So many people ask at once; done when each request waits for its approval. `more` is added to what they ask.
    pub async fn ask(&self, count: usize, more: &Value) -> Result<()> {
        stream::iter(0..count).map(|n| self.ask_one(n, more)).buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        self.until(count, |request| is_in(request, "Pending") && !request.finalizers().is_empty()).await?;
        Ok(())
    }

    /// The owner of an endpoint asks for the account there.
    async fn ask_one(&self, number: usize, more: &Value) -> Result<()> {
        self.ask_as(&name(number), number / EACH, more).await
    }

    /// One request by the first person, through their own client: the API server treats them as it treats people.
    pub async fn ask_first(&self, name: &str) -> Result<()> {
        let request = objects::request(name, POLICY, &endpoint(0), "account", &person(0))?;
        self.first.create(&PostParams::default(), &request).await?;
        Ok(())
    }

    /// One request by the owner of the endpoint of this number, for the account there.
    async fn ask_as(&self, name: &str, owner: usize, more: &Value) -> Result<()> {
        let (on, who) = (endpoint(owner), person(owner));
        let request = objects::request(name, POLICY, &on, "account", &who)?;
        let mut request = serde_json::to_value(request)?;
        let spec = request["spec"].as_object_mut().context("no spec")?;
        spec.extend(more.as_object().cloned().unwrap_or_default());
        let path = format!("/apis/tidegate.dev/v1alpha1/namespaces/{}/elevationrequests", self.name);
        let call = http::Request::post(path)
            .header("Content-Type", "application/json")
            .header("Impersonate-User", who)
            .header("Impersonate-Group", "system:masters")
            .body(serde_json::to_vec(&request)?)?;
        self.admin.request::<Value>(call).await?;
        Ok(())
    }

    /// bob approves all of them.
    pub async fn approve(&self, count: usize) -> Result<()> {
        let api = Api::<ElevationRequest>::namespaced(self.bob.client().await?, &self.name);
        let decision = json!({"metadata": {"annotations": {format!("{DECISION_PREFIX}1"): "bob@corp approve"}}});
        let (api, patch) = (&api, &Patch::Merge(decision));
        let each = stream::iter(0..count)
            .map(|n| async move { api.patch_metadata(&name(n), &PatchParams::default(), patch).await.map(drop) });
        Ok(each.buffer_unordered(CONCURRENCY).try_collect::<()>().await?)
    }

    /// Waits until `is_so` holds for so many requests: when each became so, since the call.
    pub async fn until(&self, count: usize, is_so: impl Fn(&ElevationRequest) -> bool) -> Result<Vec<Duration>> {
        let started = Stopwatch::start();
        let since = || started.elapsed();
        let list = self.requests.list(&ListParams::default()).await?;
        let mut version = list.metadata.resource_version.unwrap_or_default();
        let there = list.items.iter().filter(|request| is_so(request));
        let mut times: BTreeMap<String, Duration> = there.map(|request| (request.name_any(), Duration::ZERO)).collect();
        while times.len() < count {
            let params = WatchParams::default().timeout(60);
            let mut events = Box::pin(self.requests.watch(&params, &version).await?);
            while times.len() < count
                && let Some(event) = events.try_next().await?
            {
                ensure!(since() < DEADLINE, "{} of {count} requests are so far", times.len());
                let (WatchEvent::Added(request) | WatchEvent::Modified(request)) = event else { continue };
                version = request.resource_version().unwrap_or_default();
                if is_so(&request) {
                    times.entry(request.name_any()).or_insert_with(since);
                }
            }
        }
        Ok(times.into_values().collect())
    }
}

/// Is the request in this state?
pub fn is_in(request: &ElevationRequest, state: &str) -> bool {
    request.status.as_ref().and_then(|status| status.state.as_deref()) == Some(state)
}

/// RFC 3339, so many seconds from now.
pub fn in_seconds(seconds: i64) -> Result<Timestamp> {
    let now = clock::now().as_second();
    Ok(Timestamp::from_second(now + seconds)?)
}

fn name(number: usize) -> String {
    format!("er-{number}")
}

fn endpoint(number: usize) -> String {
    format!("ws-{number}")
}

fn person(number: usize) -> String {
    format!("person-{number}@corp")
}
