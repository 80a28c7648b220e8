//! Who gets through the handshake, and who is known after it.

use std::sync::Arc;

use rustls::HandshakeKind;
use tidegate_core::interval::Instant;

use crate::client::{Connection, Protocol, call, config, get, handshake, poll};
use crate::gate::{Gate, write_files};
use crate::objects::endpoint;
use crate::pki::{Authority, Identity};

async fn gate() -> Gate {
    Gate::with([endpoint("ws-1", "uid-1", "dev")]).await
}

/// What a client sees that shows this certificate: with TLS 1.3 the refusal comes with the first read.
async fn refusal(gate: &Gate, identity: &Identity) -> String {
    let mut connection = match Connection::open(gate, Some(identity), Protocol::Http1).await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    let error = connection.send(get("/v1/trust")).await.expect_err("a refused handshake");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    cause.unwrap_or_else(|| error.to_string())
}

#[tokio::test]
async fn the_snapshot_needs_a_certificate() {
    let gate = gate().await;
    let answer = call(&gate, None, poll(None, std::time::Duration::ZERO)).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (401, "CertificateRequired"));
}

#[tokio::test]
async fn a_certificate_of_an_earlier_or_unknown_object_is_void() {
    let gate = gate().await;
    for (name, uid) in [("ws-1", "uid-0"), ("ws-2", "uid-1")] {
        let identity = gate.authority.endpoint(name, uid);
        let answer = call(&gate, Some(&identity), poll(None, std::time::Duration::ZERO)).await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (403, "CertificateVoid"), "{name} {uid}");
    }
}

#[tokio::test]
async fn the_gateways_own_certificate_is_not_a_clients() {
    let gate = gate().await;
    let refused = refusal(&gate, &gate.authority.server()).await;
    assert!(refused.contains("BadCertificate") || refused.contains("UnsupportedCertificate"), "{refused}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_an_expired_one_is_refused_in_the_handshake() {
    let gate = gate().await;
    let stranger = Authority::new("another authority").endpoint("ws-1", "uid-1");
    let refused = refusal(&gate, &stranger).await;
    assert!(refused.contains("UnknownCA"), "{refused}");
    let expired = gate.authority.endpoint_until("ws-1", "uid-1", 2001);
    let refused = refusal(&gate, &expired).await;
    assert!(refused.contains("CertificateExpired"), "{refused}");
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let gate = gate().await;
    let old = config(&gate.authority, None, &[&rustls::version::TLS12]);
    let refused = handshake(&gate, Arc::new(old)).await.expect_err("TLS 1.3 only").to_string();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
}

#[tokio::test]
async fn no_session_is_resumed_so_every_connection_shows_its_certificate() {
    let gate = gate().await;
    let mut config = config(&gate.authority, Some(&gate.identity("ws-1")), &[&rustls::version::TLS13]);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    for _ in 0..3 {
        let stream = handshake(&gate, Arc::clone(&config)).await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
        // Tickets would arrive with the first answer.
        let mut connection = Connection::over(stream, Protocol::Http1).await.unwrap();
        assert_eq!(connection.send(get("/v1/trust")).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn rotated_files_count_for_the_next_connection() {
    let gate = gate().await;
    assert!(!gate.tls.reload().unwrap(), "nothing has changed yet");
    let mut before = Connection::open(&gate, None, Protocol::Http1).await.unwrap();
    let next = Authority::new("the next authority");
    write_files(&gate.folder, &next, &next.server());
    assert!(gate.tls.reload().unwrap());
    assert!(Connection::open(&gate, None, Protocol::Http1).await.is_err(), "the old authority vouches no longer");
    assert_eq!(before.send(get("/v1/trust")).await.unwrap().status, 200, "a live connection goes on");

    std::fs::write(gate.folder.path().join("tls.key"), "torn").unwrap();
    assert!(gate.tls.reload().unwrap_err().to_string().contains("tls.key"));
    let config = config(&next, None, &[&rustls::version::TLS13]);
    assert!(handshake(&gate, Arc::new(config)).await.is_ok(), "what was good before stays");
}

#[tokio::test]
async fn the_validity_that_is_told_is_of_the_certificate_that_is_loaded() {
    let gate = gate().await;
    let at = |text: &str| text.parse::<Instant>().unwrap();
    for (year, end) in [(2031, "2031-01-01T00:00:00Z"), (2032, "2032-01-01T00:00:00Z")] {
        write_files(&gate.folder, &gate.authority, &gate.authority.endpoint_until("ws-1", "uid-1", year));
        assert!(gate.tls.reload().unwrap());
        assert_eq!(gate.tls.validity(), (at("2000-01-01T00:00:00Z"), at(end)));
    }
    std::fs::write(gate.folder.path().join("tls.crt"), "torn").unwrap();
    assert!(gate.tls.reload().is_err());
    assert_eq!(gate.tls.validity().1, at("2032-01-01T00:00:00Z"), "it is still the one that is shown");
}
