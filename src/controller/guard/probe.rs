//! Probes: forgeries that the API server must refuse, tried as dry runs by a ServiceAccount that RBAC would allow them. A
//! refusal counts only if it names our policy, and beside each forgery an honest attempt must succeed: a 403 for another reason
//! proves nothing.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tidegate_api::names::DECISION_PREFIX;
use tidegate_api::{ElevationRequest, ElevationRequestSpec};
use tidegate_core::name::FleetName;

use super::NotPassed;
use crate::runtime::Replica;

/// The ServiceAccount that tries, and the request that it tries it on.
const PROBE: &str = "tidegate-probe";
/// Longest life of its token, in seconds: the API server's least.
const TOKEN_SECONDS: i64 = 600;
/// Somebody else's name.
const SOMEBODY: &str = "somebody-else";
const DECISIONS: &str = "decisions.tidegate.dev";
const STATUS: &str = "status.tidegate.dev";

/// Tries forgeries.
pub struct Probe {
    client: Client,
    /// Probes pass the gate of the process that makes them.
    replica: Replica,
    namespace: String,
}

/// One fleet's requests, as the probe sees them.
struct Attempts {
    requests: Api<ElevationRequest>,
    user: String,
    place: String,
}

impl Probe {
    /// The probe of an installation in this namespace.
    #[must_use]
    pub fn new(client: Client, replica: Replica, namespace: &str) -> Self {
        Self { client, replica, namespace: namespace.to_owned() }
    }

    /// Tries a forged creation in every fleet, and a forged decision and a foreign status on the probe's own request.
    ///
    /// # Errors
    /// [`NotPassed::Unprotected`] names what was let through, and where; [`NotPassed::Unknown`] if the own namespace cannot be probed.
    pub async fn run(&self, fleets: &[FleetName]) -> Result<(), NotPassed> {
        let client = self.client_of_probe().await?;
        let user = format!("system:serviceaccount:{}:{PROBE}", self.namespace);
        let own = Attempts::new(&client, &self.namespace, &user);
        own.creation().await?;
        own.decision().await?;
        own.status().await?;
        for fleet in fleets {
            match Attempts::new(&client, fleet.as_str(), &user).creation().await {
                // A fleet's own quota, webhook or end must not stop the others: what the policies say has been compared already.
                Err(NotPassed::Unknown { what, source }) => {
                    tracing::warn!(fleet = fleet.as_str(), what, error = %source, "a fleet could not be probed");
                }
                result => result?,
            }
        }
        Ok(())
    }

    /// A client with a short-lived token of the probe.
    async fn client_of_probe(&self) -> Result<Client, NotPassed> {
        let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let wanted = TokenRequest { spec, ..TokenRequest::default() };
        let what = || format!("a token for ServiceAccount {PROBE}");
        let unknown = |source| NotPassed::Unknown { what: what(), source };
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
        let answer = accounts.create_token_request(PROBE, &PostParams::default(), &wanted).await;
        let token = answer.map_err(unknown)?.status.map(|status| status.token).unwrap_or_default();
        self.replica.client_with_token(&token).await.map_err(unknown)
    }
}

// === impl Attempts ===

impl Attempts {
    fn new(client: &Client, namespace: &str, user: &str) -> Self {
        Self {
            requests: Api::namespaced(client.clone(), namespace),
            user: user.to_owned(),
            place: format!("namespace {namespace}"),
        }
    }

    /// Asking in somebody else's name is refused, in the own name it is not.
    async fn creation(&self) -> Result<(), NotPassed> {
        let honest = self.requests.create(&dry_post(), &self.request(&self.user)).await;
        self.goes(honest, "an honest request")?;
        let forged = self.requests.create(&dry_post(), &self.request(SOMEBODY)).await;
        self.refused(forged, DECISIONS, "a request in somebody else's name")
    }

    /// A decision in somebody else's name is refused, giving back one's own request is not.
    async fn decision(&self) -> Result<(), NotPassed> {
        self.exists().await?;
        let annotate = |name: &str| {
            let line = format!("{name} end");
            Patch::Merge(json!({"metadata": {"annotations": {format!("{DECISION_PREFIX}1"): line}}}))
        };
        let honest = self.requests.patch(PROBE, &dry_patch(), &annotate(&self.user)).await;
        self.goes(honest, "an honest decision")?;
        let forged = self.requests.patch(PROBE, &dry_patch(), &annotate(SOMEBODY)).await;
        self.refused(forged, DECISIONS, "a decision in somebody else's name")
    }

    /// A status by anybody but the controller is refused.
    async fn status(&self) -> Result<(), NotPassed> {
        let patch = Patch::Merge(json!({"status": {"state": "Active"}}));
        let forged = self.requests.patch_status(PROBE, &dry_patch(), &patch).await;
        self.refused(forged, STATUS, "a status that is not the controller's")
    }

    /// The request that decisions are tried on; made once, under a policy that does not exist.
    async fn exists(&self) -> Result<(), NotPassed> {
        let unknown = |source| NotPassed::Unknown { what: format!("the request {PROBE}"), source };
        if self.requests.get_opt(PROBE).await.map_err(unknown)?.is_none() {
            self.requests.create(&PostParams::default(), &self.request(&self.user)).await.map_err(unknown)?;
        }
        Ok(())
    }

    fn request(&self, requester: &str) -> ElevationRequest {
        let spec = ElevationRequestSpec {
            policy_name: PROBE.to_owned(),
            endpoint_name: PROBE.to_owned(),
            account: PROBE.to_owned(),
            requester: Some(requester.to_owned()),
            reason: "the controller tries whether forgeries are refused".to_owned(),
            ..ElevationRequestSpec::default()
        };
        ElevationRequest::new(PROBE, spec)
    }

    /// An honest attempt that is refused proves nothing, neither way.
    fn goes<T>(&self, answer: kube::Result<T>, what: &str) -> Result<(), NotPassed> {
        match answer {
            Ok(_) => Ok(()),
            // The own request may be there already.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(source) => Err(self.unknown(what, source)),
        }
    }

    /// A forgery must be refused, by name. Refused by somebody else it proves nothing.
    fn refused<T>(&self, answer: kube::Result<T>, policy: &str, what: &str) -> Result<(), NotPassed> {
        match answer {
            Ok(_) => {
                let place = &self.place;
                Err(NotPassed::Unprotected(format!("{what} is let through in {place}: {policy} is not in force")))
            }
            Err(kube::Error::Api(status)) if names(&status.message, policy) => Ok(()),
            Err(source) => Err(self.unknown(what, source)),
        }
    }

    fn unknown(&self, what: &str, source: kube::Error) -> NotPassed {
        NotPassed::Unknown { what: format!("trying {what} in {}", self.place), source }
    }
}

fn names(message: &str, policy: &str) -> bool {
    message.contains(&format!("ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request"))
}

fn dry_post() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

fn dry_patch() -> PatchParams {
    PatchParams { dry_run: true, ..PatchParams::default() }
}
