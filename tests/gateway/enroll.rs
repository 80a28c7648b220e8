//! Enrolment: what is checked before anything is created, and how a caller learns of its certificate.

use anyhow::ensure;
use http::Method;
use rcgen::{CertificateParams, KeyPair, SanType};
use tidegate_core::wire::limit;
use tidegate_test_support::eventually;

use crate::client::{Answer, call, request};
use crate::gate::{Gate, SOON};
use crate::objects::{FLEET, TRUST_DOMAIN, endpoint};

async fn gate() -> Gate {
    Gate::with([endpoint("ws-1", "uid-1", "dev")]).await
}

/// A certificate request with a new key, for this name.
fn csr(uri: &str) -> String {
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.serialize_request(&key).unwrap().pem().unwrap()
}

fn own_csr() -> String {
    csr(&format!("spiffe://{TRUST_DOMAIN}/fleet/{FLEET}/endpoint/ws-1"))
}

fn body(endpoint: &str, csr: &str) -> String {
    serde_json::json!({"fleet": FLEET, "endpoint": endpoint, "csr": csr}).to_string()
}

async fn enroll(gate: &Gate, body: String) -> Answer {
    call(gate, None, request(Method::POST, "/v1/enroll", body)).await
}

#[tokio::test]
async fn a_request_waits_for_a_person_and_then_gives_the_certificate() {
    let gate = gate().await;
    let body = body("ws-1", &own_csr());
    let waiting = enroll(&gate, body.clone()).await;
    assert_eq!((waiting.status.as_u16(), waiting.header("retry-after")), (202, Some("1")));
    let [name] = gate.csrs.names().try_into().unwrap();
    assert_eq!(waiting.json()["certificateSigningRequest"], name);
    let message = waiting.json()["message"].as_str().unwrap().to_owned();
    assert!(message.ends_with(&format!("kubectl certificate approve {name}")), "{message}");

    gate.csrs.issue(&name, "the certificate");
    let issued = enroll(&gate, body.clone()).await;
    assert_eq!((issued.status.as_u16(), issued.json()), (200, serde_json::json!({"certificate": "the certificate"})));
    let again = enroll(&gate, body).await;
    assert_eq!(again.body, issued.body, "a lost answer burns nothing");
    assert_eq!(gate.csrs.names(), [name]);
}

#[tokio::test]
async fn the_object_asks_our_signer_for_a_client_certificate_of_seven_days() {
    let gate = gate().await;
    let csr = own_csr();
    enroll(&gate, body("ws-1", &csr)).await;
    let [name] = gate.csrs.names().try_into().unwrap();
    let hash = name.strip_prefix("berlin.ws-1.").expect("fleet and endpoint are in the name");
    assert!(hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
    let spec = gate.csrs.get(&name).spec;
    assert_eq!(spec.signer_name, "tidegate.dev/endpoint");
    assert_eq!(spec.usages, Some(vec!["client auth".to_owned(), "digital signature".to_owned()]));
    assert_eq!(spec.expiration_seconds, Some(604_800));
    assert_eq!(spec.request.0, csr.as_bytes());
}

#[tokio::test]
async fn a_call_that_asks_again_waits_for_the_approval() {
    let gate = gate().await;
    let body = body("ws-1", &own_csr());
    assert_eq!(enroll(&gate, body.clone()).await.status, 202);
    let [name] = gate.csrs.names().try_into().unwrap();
    let before = gate.csrs.reads();
    let (answer, ()) = tokio::join!(enroll(&gate, body), async {
        eventually("a call that looks again and again", SOON, async || {
            let reads = gate.csrs.reads() - before;
            ensure!(reads >= 3, "{reads} reads");
            Ok(())
        })
        .await
        .unwrap();
        gate.csrs.issue(&name, "the certificate");
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_stopping_gateway_does_not_keep_an_enrolment_waiting() {
    let gate = gate().await;
    let body = body("ws-1", &own_csr());
    assert_eq!(enroll(&gate, body.clone()).await.status, 202);
    let before = gate.csrs.reads();
    let (answer, ()) = tokio::join!(enroll(&gate, body), async {
        eventually("a call that waits", SOON, async || {
            ensure!(gate.csrs.reads() > before, "nobody asks");
            Ok(())
        })
        .await
        .unwrap();
        gate.stopping.cancel();
    });
    assert_eq!(answer.status, 202);
}

#[tokio::test]
async fn a_refusal_says_who_refused_and_what_to_do() {
    for (kind, status, code) in [("Denied", 403, "Denied"), ("Failed", 400, "BadRequest")] {
        let gate = gate().await;
        let body = body("ws-1", &own_csr());
        enroll(&gate, body.clone()).await;
        let [name] = gate.csrs.names().try_into().unwrap();
        gate.csrs.refuse(&name, kind, "not on my watch");
        let answer = enroll(&gate, body).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (status, code));
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(&name) && detail.contains("not on my watch. Enrol with a new key"), "{detail}");
    }
}

#[tokio::test]
async fn nothing_is_created_for_a_call_that_does_not_hold() {
    let gate = gate().await;
    let own = own_csr();
    let other = csr(&format!("spiffe://{TRUST_DOMAIN}/fleet/{FLEET}/endpoint/ws-2"));
    let elsewhere = csr(&format!("spiffe://elsewhere.test/fleet/{FLEET}/endpoint/ws-1"));
    let unknown = csr(&format!("spiffe://{TRUST_DOMAIN}/fleet/{FLEET}/endpoint/ws-9"));
    for (call, status, code, said) in [
        (body("ws-9", &unknown), 404, "EndpointNotFound", "There is no ManagedEndpoint ws-9 in namespace berlin"),
        (body("ws-1", &other), 400, "BadRequest", "endpoint/ws-1 is expected"),
        (body("ws-1", &elsewhere), 400, "BadRequest", "spiffe://tidegate.test/"),
        (body("ws-1", &own.replace('A', "B")), 400, "BadRequest", "certificate signing request"),
        (body("WS 1", &own), 400, "BadRequest", "endpoint name"),
        ("{}".to_owned(), 400, "BadRequest", "missing field"),
        (body("ws-1", &own).replace("\"csr\"", "\"uid\":\"x\",\"csr\""), 400, "BadRequest", "unknown field"),
    ] {
        let answer = enroll(&gate, call).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (status, code), "{said}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(said), "{detail}");
    }
    assert!(gate.csrs.names().is_empty(), "{:?}", gate.csrs.names());
}

#[tokio::test]
async fn an_oversize_body_is_refused_unread() {
    let gate = gate().await;
    let answer = enroll(&gate, "x".repeat(limit::ENROLL + 1)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (413, "TooLarge"));
    let largest = enroll(&gate, "x".repeat(limit::ENROLL)).await;
    assert_eq!(largest.problem(), "BadRequest");
}

#[tokio::test]
async fn an_object_of_the_same_name_by_somebody_else_is_not_waited_for() {
    let gate = gate().await;
    let body = body("ws-1", &own_csr());
    enroll(&gate, body.clone()).await;
    let [name] = gate.csrs.names().try_into().unwrap();
    let mut squatted = gate.csrs.get(&name);
    squatted.spec.request.0 = own_csr().into_bytes();
    gate.csrs.put(&name, squatted);
    gate.csrs.issue(&name, "a certificate for another key");
    let answer = enroll(&gate, body).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "Denied"));
}

#[tokio::test]
async fn trouble_with_the_api_is_not_a_refusal_and_stays_inside() {
    let gate = gate().await;
    gate.csrs.break_down();
    let answer = enroll(&gate, body("ws-1", &own_csr())).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "Overloaded"));
    assert!(!answer.json().to_string().contains("InternalError"));
}

#[tokio::test]
async fn whoever_asks_with_ever_new_keys_is_told_to_come_later_and_others_are_not() {
    let gate = Gate::with([endpoint("ws-1", "uid-1", "dev"), endpoint("ws-2", "uid-2", "dev")]).await;
    let bodies: Vec<_> = (0..6).map(|_| body("ws-1", &own_csr())).collect();
    for body in &bodies[..5] {
        assert_eq!(enroll(&gate, body.clone()).await.status, 202);
    }
    let names = gate.csrs.names();
    assert_eq!(names.len(), 5);
    let refused = enroll(&gate, bodies[5].clone()).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (429, "TooManyRequests"));
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(refused.header("connection"), Some("close"));
    assert_eq!(gate.csrs.names(), names, "nothing was created");

    names.iter().for_each(|name| gate.csrs.issue(name, "the certificate"));
    for body in &bodies[..5] {
        assert_eq!(enroll(&gate, body.clone()).await.status, 200, "a call repeated is not a new one");
    }
    let other = csr(&format!("spiffe://{TRUST_DOMAIN}/fleet/{FLEET}/endpoint/ws-2"));
    assert_eq!(enroll(&gate, body("ws-2", &other)).await.status, 202);
}

#[tokio::test]
async fn a_gateway_that_is_not_ready_does_not_say_that_an_endpoint_is_missing() {
    let gate = Gate::start(std::time::Duration::from_secs(55)).await;
    let answer = enroll(&gate, body("ws-1", &own_csr())).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "NotReady"));
}
