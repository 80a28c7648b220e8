//! Who may write a status, and what the gateway may ask for.

use anyhow::Result;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tidegate_api::JitPolicy;
use tidegate_api::names::SIGNER_NAME;
use tidegate_test_support::objects;

use crate::fleet::{Fleet, Judged as _};

const STATUS: &str = "status.tidegate.dev";

fn condition() -> Value {
    json!([{"type": "Enrolled", "status": "False", "reason": "NeverJoined", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}])
}

fn digest() -> String {
    format!("sha256:{}", "0".repeat(64))
}

#[tokio::test]
async fn no_status_is_written_by_a_cluster_admin() -> Result<()> {
    let fleet = Fleet::new("admin-status").await?;
    fleet.request("r").await?;
    let admin = fleet.control_plane.admin();
    let policies: Api<JitPolicy> = Api::namespaced(admin.client().await?, fleet.namespace.name());
    let (requests, endpoints) = (fleet.requests(admin).await?, fleet.endpoints(admin).await?);
    policies.create(&PostParams::default(), &objects::policy_on_request("p")?).await?;
    endpoints.create(&PostParams::default(), &objects::endpoint("ws-042", "alice@corp", "alice")?).await?;

    let patch = Patch::Merge(json!({"status": {"observedGeneration": 7}}));
    let params = PatchParams::default();
    let rule = "only the controller writes this status";
    policies.patch_status("p", &params, &patch).await.refused("JitPolicy", STATUS, rule)?;
    requests.patch_status("r", &params, &patch).await.refused("ElevationRequest", STATUS, rule)?;
    endpoints.patch_status("ws-042", &params, &patch).await.refused("ManagedEndpoint", STATUS, rule)
}

#[tokio::test]
async fn the_controller_writes_every_status() -> Result<()> {
    let fleet = Fleet::new("own-status").await?;
    let mut request = fleet.request("r").await?;
    let admin = fleet.control_plane.admin().client().await?;
    let policies: Api<JitPolicy> = Api::namespaced(admin, fleet.namespace.name());
    let mut policy = policies.create(&PostParams::default(), &objects::policy_on_request("p")?).await?;
    let endpoints = fleet.endpoints(fleet.control_plane.admin()).await?;
    let mut endpoint =
        endpoints.create(&PostParams::default(), &objects::endpoint("ws-042", "alice@corp", "alice")?).await?;

    // PUT, as the controller does it, with the rights it ships with.
    let controller = fleet.controller().await?;
    let post = PostParams::default();
    policy.status.get_or_insert_default().observed_generation = Some(1);
    let policies: Api<JitPolicy> = Api::namespaced(controller.client().await?, fleet.namespace.name());
    policies.replace_status("p", &post, &policy).await.allowed("JitPolicy")?;
    request.status.get_or_insert_default().state = Some("Pending".to_owned());
    fleet.requests(&controller).await?.replace_status("r", &post, &request).await.allowed("ElevationRequest")?;
    endpoint.status.get_or_insert_default().observed_generation = Some(1);
    fleet.endpoints(&controller).await?.replace_status("ws-042", &post, &endpoint).await.allowed("ManagedEndpoint")?;
    Ok(())
}

#[tokio::test]
async fn the_gateway_writes_nothing_that_is_the_controllers() -> Result<()> {
    let fleet = Fleet::new("gateway-status").await?;
    fleet.request("r").await?;
    let endpoints = fleet.endpoints(fleet.control_plane.admin()).await?;
    let mut endpoint =
        endpoints.create(&PostParams::default(), &objects::endpoint("ws-042", "alice@corp", "alice")?).await?;
    let status = json!({"observedGeneration": 1, "conditions": condition(), "certificate": {
        "serialNumber": "01", "publicKeyDigest": digest(), "expirationTime": "2027-01-01T00:00:00Z",
    }});
    endpoint.status = Some(serde_json::from_value(status)?);
    let controller = fleet.controller().await?;
    fleet.endpoints(&controller).await?.replace_status("ws-042", &PostParams::default(), &endpoint).await?;

    // The rights that only admission can take back.
    let gateway = fleet.gateway().await?;
    let rules: [(&str, &[&str]); 2] =
        [("managedendpoints/status", &["patch"]), ("elevationrequests/status", &["patch"])];
    fleet.grant(&gateway, "gateway-status", &rules).await?;
    let as_gateway = fleet.endpoints(&gateway).await?;
    let params = PatchParams::default();
    let rule = "the gateway must not write observedGeneration, conditions, certificate or signed";
    let signed = json!({"digest": digest(), "sequence": 1, "envelope": {
        "payloadType": "application/vnd.tidegate.placement.v1+json", "payload": "e30=", "signatures": [{"keyid": "k", "sig": "AA=="}],
    }});
    let attempts = [
        ("observedGeneration", json!({"observedGeneration": 2})),
        ("conditions", json!({"conditions": []})),
        ("conditions removed", json!({"conditions": null})),
        ("certificate", json!({"certificate": {"serialNumber": "02"}})),
        ("certificate removed", json!({"certificate": null})),
        ("signed", json!({"signed": signed})),
        ("the whole status removed", Value::Null),
    ];
    for (what, change) in attempts {
        let patch = Patch::Merge(json!({"status": change}));
        as_gateway.patch_status("ws-042", &params, &patch).await.refused(what, STATUS, rule)?;
    }
    // What the gateway will report comes with a later version of the kind; until then the key is dropped, not refused.
    let report = Patch::Merge(json!({"status": {"agent": {"version": "0.1.0"}}}));
    as_gateway.patch_status("ws-042", &params, &report).await.allowed("agent")?;
    let requests = fleet.requests(&gateway).await?;
    let patch = Patch::Merge(json!({"status": {"state": "Active"}}));
    requests.patch_status("r", &params, &patch).await.refused(
        "a request",
        STATUS,
        "only the controller writes this status",
    )
}

#[tokio::test]
async fn the_gateway_asks_for_endpoint_certificates_only() -> Result<()> {
    let fleet = Fleet::new("signers").await?;
    let gateway = fleet.gateway().await?;
    let requests: Api<CertificateSigningRequest> = Api::all(gateway.client().await?);
    let pem = rcgen::CertificateParams::default().serialize_request(&rcgen::KeyPair::generate()?)?.pem()?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let ask = async |signer: &str| {
        let wanted = CertificateSigningRequest {
            metadata: ObjectMeta { name: Some(fleet.namespace.name().to_owned()), ..ObjectMeta::default() },
            spec: CertificateSigningRequestSpec {
                request: ByteString(pem.clone().into_bytes()),
                signer_name: signer.to_owned(),
                usages: Some(vec!["client auth".to_owned()]),
                ..CertificateSigningRequestSpec::default()
            },
            status: None,
        };
        requests.create(&dry_run, &wanted).await
    };
    for signer in ["kubernetes.io/kube-apiserver-client", "tidegate.dev/gateway", "example.org/tidegate.dev-endpoint"] {
        let rule = "the gateway may only ask for tidegate.dev/endpoint certificates";
        ask(signer).await.refused(signer, "gateway-csr.tidegate.dev", rule)?;
    }
    ask(SIGNER_NAME).await.allowed(SIGNER_NAME)?;
    Ok(())
}
