//! A report on a real API server, by the rights that the gateway is shipped with and under the shipped admission: what a small store
//! cannot show.

use anyhow::{Result, ensure};
use http::Method;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tidegate_api::ManagedEndpoint;
use tidegate_api::names::{CONTROLLER, GATEWAY};
use tidegate_core::name::Digest;
use tidegate_test_support::servers::SYSTEM_NAMESPACE;
use tidegate_test_support::{control_plane, objects};

use crate::client::{call, request};
use crate::gate::Gate;
use crate::objects::{FLEET, endpoint};

/// A report that is different for each number.
fn report(number: u32) -> String {
    let digest = Digest::of(&number.to_be_bytes());
    json!({
        "agent": {
            "version": format!("0.{number}.0"), "platform": "Linux", "architecture": "x86_64", "capabilities": ["logoff"],
        },
        "applied": {"manifest": digest},
        "rejected": [{"digest": digest, "code": "not_enforceable", "message": "no cgroup v2 here"}],
        "grants": [],
    })
    .to_string()
}

async fn put(gate: &Gate, body: String) -> u16 {
    let sent = request(Method::PUT, "/v1/status", body);
    call(gate, Some(&gate.identity("ws-1")), sent).await.status.as_u16()
}

/// Of the object as it is there.
fn status(object: &ManagedEndpoint) -> Result<Value> {
    Ok(serde_json::to_value(&object.status)?)
}

#[tokio::test]
async fn the_gateways_own_account_writes_its_keys_and_never_into_an_object_that_was_created_anew() -> Result<()> {
    let control_plane = control_plane().await?;
    let admin = control_plane.admin().client().await?;
    let metadata = ObjectMeta { name: Some(FLEET.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    Api::all(admin.clone()).create(&PostParams::default(), &namespace).await?;
    let endpoints: Api<ManagedEndpoint> = Api::namespaced(admin, FLEET);
    let wanted = objects::endpoint("ws-1", "alice@corp", "alice")?;
    let controller = control_plane.service_account(SYSTEM_NAMESPACE, CONTROLLER).await?.client().await?;
    let of_controller: Api<ManagedEndpoint> = Api::namespaced(controller, FLEET);
    let create = async || -> Result<ManagedEndpoint> {
        let mut created = endpoints.create(&PostParams::default(), &wanted).await?;
        created.status = Some(serde_json::from_value(json!({"observedGeneration": 1}))?);
        Ok(of_controller.replace_status("ws-1", &PostParams::default(), &created).await?)
    };
    let created = create().await?;

    let uid = created.uid().unwrap_or_default();
    let gateway = control_plane.service_account(SYSTEM_NAMESPACE, GATEWAY).await?.client().await?;
    let gate = Gate::writing(gateway, [endpoint("ws-1", &uid, "dev")]).await;
    ensure!(put(&gate, report(1)).await == 204);
    let written = status(&endpoints.get("ws-1").await?)?;
    ensure!(written["agent"]["version"] == "0.1.0" && written["observedGeneration"] == 1, "{written}");
    ensure!(written["rejected"]["code"] == "not_enforceable" && written["applied"]["time"].is_string(), "{written}");

    endpoints.delete("ws-1", &DeleteParams::default()).await?;
    let anew = create().await?;
    ensure!(anew.uid() != created.uid());
    ensure!(put(&gate, report(2)).await == 503, "this gateway has not seen yet that it is another object");
    let untouched = status(&endpoints.get("ws-1").await?)?;
    ensure!(untouched == json!({"observedGeneration": 1}), "{untouched}");
    Ok(())
}
