//! `PUT /v1/status`: what an agent says of itself and of its grants, written into the status of its ManagedEndpoint. Only the keys
//! that are the gateway's, and only where they differ from what is there: there is no heartbeat.

mod status;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::Value;
use tidegate_api::ManagedEndpoint;
use tidegate_api::names::GATEWAY;
use tidegate_core::name::Digest;
use tidegate_core::wire::{ProblemCode, ReportError, StatusReport, limit};

use super::App;
use super::auth::{Caller, Peer};
use super::body;
use super::bucket::{Buckets, Rate};
use super::error::HttpError;
use super::index::Reported;
use super::log::{self, Step};
use super::poll::current;
use super::served::Served;
use super::trace;
use crate::clock;

/// For one endpoint: 20 reports at once, then one every 2 s.
const OF_ENDPOINT: Rate = Rate { burst: 20, interval: Duration::from_secs(2) };
/// Attempts to write; the API server tells a lost race by a conflict.
const ATTEMPTS: u32 = 2;

/// Writes reports.
pub struct Reporter {
    client: Client,
    wait: Duration,
    allowance: Mutex<Buckets>,
}

// === impl Reporter ===

impl Reporter {
    /// Writes through this client; a report waits for so long.
    #[must_use]
    pub fn new(client: Client, wait: Duration) -> Self {
        Self { client, wait, allowance: Mutex::new(Buckets::new(OF_ENDPOINT)) }
    }

    fn allow(&self, caller: &Caller) -> Result<(), HttpError> {
        // Poisoning is ignored: a bucket is replaced as a whole.
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.take(&caller.key, clock::monotonic()).map_err(|wait| {
            let text = "This endpoint has reported too often. Report later, once, what holds then.";
            HttpError::new(ProblemCode::TooManyRequests, text).retry_after(wait)
        })
    }

    /// Applies these operations to the status of the caller's object.
    async fn write(&self, caller: &Caller, operations: Vec<Value>) -> Result<(), HttpError> {
        let operations = serde_json::from_value(Value::Array(operations)).map_err(HttpError::internal)?;
        let patch = Patch::<()>::Json(operations);
        let api = Api::<ManagedEndpoint>::namespaced(self.client.clone(), caller.key.fleet.as_str());
        let params = PatchParams { field_manager: Some(GATEWAY.to_owned()), ..PatchParams::default() };
        let attempts = async {
            let mut left = ATTEMPTS;
            loop {
                left -= 1;
                match api.patch_status(caller.key.name.as_str(), &params, &patch).await {
                    Err(kube::Error::Api(status)) if status.is_conflict() && left > 0 => {}
                    written => break written,
                }
            }
        };
        match tokio::time::timeout(self.wait, attempts).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(unavailable().because(error)),
            Err(late) => Err(unavailable().because(late)),
        }
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporter").field("wait", &self.wait).finish_non_exhaustive()
    }
}

/// Handles the route.
pub(super) async fn status(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    sent: Body,
) -> Result<StatusCode, HttpError> {
    let caller = app.caller(&peer)?;
    app.reporter.allow(&caller)?;
    let report = read(sent).await?;
    // As for a poll: without a placement the object has no status yet that could be added to.
    current(&app, &peer, &caller)?;
    let now = app.served.reported(&caller.key).unwrap_or_default();
    let told = status::told(report, &now, |uid| app.served.concerns(&caller.key, uid), clock::now());
    let differs = status::differences(&now, &told);
    if differs.is_empty() || differs.is_only_applied() && is_renewal(&app.served, &caller, &now, &told) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let operations = differs.operations(&caller.uid, &told).map_err(HttpError::internal)?;
    let came = clock::fine();
    app.reporter.write(&caller, operations).await?;
    tell_of_grants(&app.served, &caller, (&now, &told), came);
    for (request_uid, _) in trace::newly_applied(&now, &told) {
        log::grant(Step::Reported, &caller.key, request_uid, app.served.traces());
    }
    tracing::info!(fleet = %caller.key.fleet, endpoint = %caller.key.name, keys = %differs, "an agent's report was written");
    Ok(StatusCode::NO_CONTENT)
}

/// Traces the grants that hold by this report, which came at `came`, and did not by the one before.
fn tell_of_grants(served: &Served, caller: &Caller, (before, told): (&Reported, &Reported), came: Timestamp) {
    served.traces().tell(|| {
        let manifest = served.manifest(&caller.key);
        let traced = |(uid, said): (&str, Timestamp)| {
            let about = served.grant_of(&caller.key, &uid.parse().ok()?)?;
            let by_this =
                manifest.as_ref().filter(|manifest| manifest.grants().iter().any(|(of, _)| of.as_str() == uid));
            let handed_out = by_this.and_then(|manifest| manifest.handed_out()).map(clock::fine_at);
            Some(trace::applied(about, handed_out, said, came))
        };
        trace::newly_applied(before, told).filter_map(traced).collect()
    });
}

async fn read(sent: Body) -> Result<StatusReport, HttpError> {
    let bytes = body::read(sent, limit::STATUS, "A report").await?;
    StatusReport::parse(&bytes).map_err(|error| {
        let code = match error {
            ReportError::TooLarge(_) => ProblemCode::TooLarge,
            ReportError::NotUnderstood(_) | ReportError::OutOfBounds { .. } => ProblemCode::BadRequest,
        };
        HttpError::new(code, format!("The body is not a report: {error}."))
    })
}

/// Is the manifest that was applied the one before with another fleet part? That is signed anew all the time, and to write so for
/// every endpoint would be a heartbeat.
fn is_renewal(served: &Served, caller: &Caller, now: &Reported, told: &Reported) -> bool {
    let manifest = |reported: &Reported| reported.applied.as_ref()?.manifest.parse::<Digest>().ok();
    manifest(now).zip(manifest(told)).is_some_and(|(now, told)| served.only_fleet_differs(&caller.key, now, told))
}

fn unavailable() -> HttpError {
    HttpError::new(ProblemCode::Overloaded, "The Kubernetes API does not take the report now. Report again later.")
}

#[cfg(test)]
mod tests {
    use super::super::index::EndpointKey;
    use super::*;

    #[test]
    fn an_agent_that_tells_the_ends_of_a_dozen_grants_one_by_one_is_not_limited_and_one_without_end_is() {
        let mut allowance = Buckets::new(OF_ENDPOINT);
        let key = EndpointKey { fleet: "berlin".parse().unwrap(), name: "ws-1".parse().unwrap() };
        // The agent waits half a second after a report; 64 is all that one report can say.
        let mut report = |number: u32| allowance.take(&key, Duration::from_millis(500) * number);
        let limited = (0..64).position(|number| report(number).is_err());
        assert!(limited.is_none_or(|number| number > 24), "{limited:?}");
        assert!(limited.is_some(), "half a second is not for ever");
    }
}
