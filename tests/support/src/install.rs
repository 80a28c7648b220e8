//! Installs the shipped manifests and waits until they are in force. Admission comes into force some seconds after it is
//! written; only a refused attempt that names the policy proves that it has, so each policy has a probe here.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use tidegate_api::ElevationRequest;
use tidegate_api::names::{DECIDE_ANNOTATION, DECISION_PREFIX, GATEWAY, GROUP, VERSION};

use crate::assets;
use crate::control_plane::ControlPlane;
use crate::eventually::eventually;
use crate::objects;
use crate::servers::SYSTEM_NAMESPACE;

/// It takes 2 to 5 s; the rest is for a machine that builds something else at the same time.
const IN_FORCE_DEADLINE: Duration = Duration::from_secs(60);

/// The first minor version of Kubernetes 1 that knows mutating policies.
const MUTATING_SINCE: u32 = 36;

// === impl ControlPlane ===

impl ControlPlane {
    /// Applies `config/default`, and the mutating policies where the server knows them; returns once all is in force. No
    /// process is started.
    ///
    /// # Errors
    /// When a manifest is refused, or something is not in force within 60 s; the text names it.
    pub async fn install(&self) -> Result<()> {
        self.apply("config/default").await?;
        if self.minor() >= MUTATING_SINCE {
            self.apply("config/admission/mutating").await?;
        }
        self.in_force().await
    }

    /// Waits until what was installed, by whatever means, is in force.
    ///
    /// # Errors
    /// When something is not in force within 60 s; the text names it.
    pub async fn in_force(&self) -> Result<()> {
        self.kinds_established().await?;
        Probes::create(self).await?.run().await
    }

    /// Applies a kustomize folder of the repository as the administrator, server-side.
    ///
    /// # Errors
    /// When the folder does not build or the API server refuses an object.
    pub async fn apply(&self, folder: &str) -> Result<()> {
        let path = assets::repository().join(folder);
        let args =
            ["apply", "--server-side", "--field-manager=tidegate-install", "-k"].map(AsRef::<std::ffi::OsStr>::as_ref);
        let said = self.admin().kubectl(args.into_iter().chain([path.as_os_str()])).await?;
        said.ok().with_context(|| format!("cannot apply {folder}"))?;
        Ok(())
    }

    async fn kinds_established(&self) -> Result<()> {
        let api: Api<CustomResourceDefinition> = Api::all(self.admin().client().await?);
        eventually("our kinds", IN_FORCE_DEADLINE, async || {
            let all = api.list(&ListParams::default()).await?;
            let ours: Vec<_> = all.items.iter().filter(|crd| crd.spec.group == GROUP).collect();
            if ours.is_empty() {
                bail!("no CustomResourceDefinition of {GROUP}");
            }
            let established = |crd: &CustomResourceDefinition| {
                let conditions = crd.status.iter().flat_map(|status| status.conditions.iter().flatten());
                conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
            };
            match ours.iter().find(|crd| !established(crd)) {
                None => Ok(()),
                Some(waiting) => bail!("{} is not established", waiting.spec.names.plural),
            }
        })
        .await
    }
}

/// Attempts that the policies must refuse, all dry runs, in a namespace of their own.
struct Probes<'a> {
    control_plane: &'a ControlPlane,
    requests: Api<ElevationRequest>,
    namespace: String,
}

const PROBE: &str = "install-probe";

// === impl Probes ===

impl<'a> Probes<'a> {
    async fn create(control_plane: &'a ControlPlane) -> Result<Self> {
        let namespace = control_plane.namespace("install-probe").await?.name().to_owned();
        let requests = Api::namespaced(control_plane.admin().client().await?, &namespace);
        Ok(Self { control_plane, requests, namespace })
    }

    /// Runs every probe until it gives the answer that the policy is for.
    async fn run(&self) -> Result<()> {
        self.shipped_policies_are_known().await?;
        let me = self.control_plane.admin().user();
        // An object to try things on; the server may still refuse the kind for a moment.
        eventually("the probe request", IN_FORCE_DEADLINE, async || {
            let request = objects::request(PROBE, "probe", "probe", "probe", me)?;
            Ok(self.requests.create(&PostParams::default(), &request).await?)
        })
        .await?;
        eventually("decisions.tidegate.dev", IN_FORCE_DEADLINE, async || self.forged_decision().await).await?;
        eventually("status.tidegate.dev", IN_FORCE_DEADLINE, async || self.foreign_status().await).await?;
        eventually("gateway-csr.tidegate.dev", IN_FORCE_DEADLINE, async || self.foreign_signer().await).await?;
        eventually("warnings.tidegate.dev", IN_FORCE_DEADLINE, async || self.surprise().await).await?;
        if self.control_plane.minor() >= MUTATING_SINCE {
            eventually("requester.tidegate.dev", IN_FORCE_DEADLINE, async || self.requester_is_stamped(me).await)
                .await?;
            eventually("decide.tidegate.dev", IN_FORCE_DEADLINE, async || self.decision_is_stamped().await).await?;
        }
        let said = self.control_plane.admin().kubectl(["delete", "namespace", "--wait=false", &self.namespace]).await?;
        said.ok()?;
        Ok(())
    }

    /// A policy without a probe would be used before it is in force: such a test fails now and then.
    async fn shipped_policies_are_known(&self) -> Result<()> {
        let api: Api<ValidatingAdmissionPolicy> = Api::all(self.control_plane.admin().client().await?);
        let shipped: BTreeSet<_> =
            api.list(&ListParams::default()).await?.into_iter().filter_map(|p| p.metadata.name).collect();
        let probed = ["decisions", "status", "gateway-csr", "warnings"];
        let probed: BTreeSet<_> = probed.map(|name| format!("{name}.{GROUP}")).into();
        if shipped != probed {
            bail!("installed policies are {shipped:?}, but install.rs probes {probed:?}; add or remove a probe");
        }
        Ok(())
    }

    async fn forged_decision(&self) -> Result<()> {
        let forged = json!({"metadata": {"annotations": {format!("{DECISION_PREFIX}1"): "somebody@else approve"}}});
        let tried = self.requests.patch(PROBE, &PatchParams::default().dry_run(), &Patch::Merge(&forged)).await;
        refused_by("decisions.tidegate.dev", tried)
    }

    async fn foreign_status(&self) -> Result<()> {
        let foreign = json!({"status": {"state": "Active"}});
        let tried = self.requests.patch_status(PROBE, &PatchParams::default().dry_run(), &Patch::Merge(&foreign)).await;
        refused_by("status.tidegate.dev", tried)
    }

    async fn foreign_signer(&self) -> Result<()> {
        let gateway = self.control_plane.service_account(SYSTEM_NAMESPACE, GATEWAY).await?;
        let pem = CertificateParams::default().serialize_request(&KeyPair::generate()?)?.pem()?;
        let wanted = CertificateSigningRequest {
            metadata: ObjectMeta { name: Some(PROBE.to_owned()), ..ObjectMeta::default() },
            spec: CertificateSigningRequestSpec {
                request: ByteString(pem.into_bytes()),
                signer_name: "kubernetes.io/kube-apiserver-client".to_owned(),
                usages: Some(vec!["client auth".to_owned()]),
                ..CertificateSigningRequestSpec::default()
            },
            status: None,
        };
        let api: Api<CertificateSigningRequest> = Api::all(gateway.client().await?);
        refused_by("gateway-csr.tidegate.dev", api.create(&dry_run(), &wanted).await)
    }

    /// Nothing is refused here, so it is a warning that proves it.
    async fn surprise(&self) -> Result<()> {
        let policy = serde_json::to_vec(&objects::policy_on_request(PROBE)?)?;
        let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{}/jitpolicies?dryRun=All", self.namespace);
        let request = http::Request::post(path).header("content-type", "application/json").body(policy.into())?;
        let answer = self.control_plane.admin().client().await?.send(request).await?;
        if answer.headers().contains_key("warning") { Ok(()) } else { bail!("no warning: {}", answer.status()) }
    }

    async fn requester_is_stamped(&self, me: &str) -> Result<()> {
        let mut request = objects::request("unstamped", "probe", "probe", "probe", me)?;
        request.spec.requester = None;
        let stamped = self.requests.create(&dry_run(), &request).await?.spec.requester;
        if stamped.as_deref() == Some(me) { Ok(()) } else { bail!("spec.requester is {stamped:?}") }
    }

    async fn decision_is_stamped(&self) -> Result<()> {
        let decide = json!({"metadata": {"annotations": {DECIDE_ANNOTATION: "revoke"}}});
        let answer = self.requests.patch(PROBE, &PatchParams::default().dry_run(), &Patch::Merge(&decide)).await?;
        let annotations = answer.metadata.annotations.unwrap_or_default();
        if annotations.contains_key(&format!("{DECISION_PREFIX}1")) {
            Ok(())
        } else {
            bail!("annotations are {annotations:?}")
        }
    }
}

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

/// `Ok` if the attempt was refused and the refusal names `policy`.
fn refused_by<T>(policy: &str, tried: kube::Result<T>) -> Result<()> {
    match tried {
        Ok(_) => Err(anyhow!("it let the attempt pass")),
        Err(error) if error.to_string().contains(policy) => Ok(()),
        Err(other) => Err(anyhow!("refused, but not by it: {other}")),
    }
}
