//! Secrets that do not parse, and keys of the wrong kind: the controller names the Secret and says what to do, never overwrites a key,
//! judges nothing, and goes on by itself once the Secret is right.

use anyhow::{Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use tidegate_test_support::eventually;
use tidegate_test_support::servers::{SYSTEM_NAMESPACE, admin_get};

use crate::course::{self, PATIENCE, REQUEST};
use crate::fleet::Fleet;
use crate::installation::{Installation, READY};
use crate::kept::Kept;
use crate::record::Recorder;

const SIGNING: &str = "tidegate-signing";
const AUTHORITY: &str = "tidegate-ca";
const GATEWAY: &str = "tidegate-gateway-tls";

/// A Secret that is wrong.
struct Wrong {
    what: &'static str,
    secret: &'static str,
    key: &'static str,
    /// `None`: the key is missing.
    value: Option<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_no_key_is_named_and_nothing_is_judged_until_it_is_right() -> Result<()> {
    let (installation, mut controller) = Installation::start().await?;
    let recorder = Recorder::start(installation.control_plane).await?;
    let secrets: Api<Secret> = Api::namespaced(installation.control_plane.admin().client().await?, SYSTEM_NAMESPACE);
    let other_kind = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?.serialize_pem();
    let wrong = |what, secret, key, value: Option<&str>| Wrong { what, secret, key, value: value.map(str::to_owned) };
    let table = [
        wrong("no PEM", SIGNING, "signing.key", Some("not a key")),
        wrong("no entry", SIGNING, "signing.key", None),
        wrong("a key of another kind", SIGNING, "signing.key", Some(&other_kind)),
        wrong(
            "no certificate",
            AUTHORITY,
            "tls.crt",
            Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ),
        wrong("another one's key", AUTHORITY, "tls.key", Some(&other_kind)),
    ];
    for Wrong { what, secret, key, value } in table {
        let fleet = Fleet::new(&installation, "secret").await?;
        course::settled(&fleet).await?;
        fleet.ask(REQUEST, "5m").await?;
        course::state(&fleet, &["Pending"]).await?;
        controller.kill9().await;
        let right = secrets.get(secret).await?;
        let broken = put(&secrets, secret, key, value).await?;
        course::decide(&fleet, 1, "approve").await?;

        controller = installation.controller().await?;
        let named =
            |line: &str| line.contains(&format!("Secret {secret}")) && line.contains("restore it from a backup");
        controller.says(&format!("{secret}: {what}"), PATIENCE, named).await?;
        alarms(&controller, secret).await?;
        ensure!(secrets.get(secret).await?.data == broken.data, "{what}: {secret} was overwritten");
        let state = fleet.requests().await?.get(REQUEST).await?.status.and_then(|status| status.state);
        ensure!(state.as_deref() == Some("Pending"), "{what}: {state:?} without a key");

        let mut mended = secrets.get(secret).await?;
        mended.data = right.data;
        secrets.replace(secret, &PostParams::default(), &mended).await?;
        course::state(&fleet, &["Active"]).await?;
        println!("{secret}: {what}: named, not overwritten, and mended without a restart");
    }

    // The gateway's certificate can be made anew at any time, so it is.
    put(&secrets, GATEWAY, "tls.crt", Some("not a certificate".to_owned())).await?;
    let refused = installation.gateway().await.err().map(|error| format!("{error:#}")).unwrap_or_default();
    ensure!(refused.contains("--tls-dir") && refused.contains("tls.crt"), "the gateway said: {refused}");
    controller.kill9().await;
    controller = installation.controller().await?;
    controller.ready_is(true, READY).await?;
    eventually("a gateway with a new certificate", READY, async || {
        let gateway = installation.gateway().await?;
        gateway.ready(READY).await
    })
    .await?;
    recorder.check().await
}

/// What the alert on keys asks for: it leads, and this key is not loaded. Readiness speaks of the caches alone, and those are warm.
async fn alarms(controller: &Kept, secret: &str) -> Result<()> {
    let (missing, there) = if secret == SIGNING { ("signing", "ca") } else { ("ca", "signing") };
    let [missing, there] =
        [(missing, 0), (there, 1)].map(|(key, is)| format!("tidegate_key_loaded{{key=\"{key}\"}} {is}"));
    eventually("a leader that says which key is missing", READY, async || {
        let metrics = admin_get(controller.admin(), "/metrics").await?.1;
        for line in ["tidegate_leader 1", &missing, &there] {
            ensure!(metrics.lines().any(|said| said == line), "not {line}");
        }
        Ok(())
    })
    .await
}

/// Puts `value` in the place of what is under `key`.
async fn put(secrets: &Api<Secret>, name: &str, key: &str, value: Option<String>) -> Result<Secret> {
    let mut secret = secrets.get(name).await?;
    let data = secret.data.get_or_insert_default();
    match value {
        Some(value) => drop(data.insert(key.to_owned(), ByteString(value.into_bytes()))),
        None => drop(data.remove(key)),
    }
    Ok(secrets.replace(name, &PostParams::default(), &secret).await?)
}
