//! What clients may take: every connection ends, whatever its client does, and there are never too many.

use std::sync::Arc;
use std::time::Duration;

use tidegate::gateway::{Life, Limits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::client::{Connection, Protocol, call, config, get, handshake, poll};
use crate::gate::{Gate, SOON};
use crate::objects::endpoint;
use crate::pki::Identity;

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];
/// A limit that a test waits for.
const SHORT: Duration = Duration::from_millis(200);
/// A limit that no test reaches: it gives up after [`SOON`].
const LONG: Duration = Duration::from_secs(60);

/// `GET /v1/trust` in HTTP/1.1.
const GET: &[u8] = b"GET /v1/trust HTTP/1.1\r\nhost: localhost\r\n\r\n";
/// The preface, empty settings, and `GET / https localhost` on stream 1, as HTTP/2 writes them.
const GET_HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \0\0\0\x04\0\0\0\0\0\
    \0\0\x0e\x01\x05\0\0\0\x01\x82\x87\x84\x41\x09localhost";

/// No time-out within [`SOON`].
fn patient() -> Limits {
    let life = Life { serving: LONG, ending: LONG };
    Limits {
        handshake: LONG,
        head: LONG,
        keep_alive: LONG,
        certified: life,
        anonymous: life,
        drain: LONG,
        ..Limits::default()
    }
}

async fn gate(limits: Limits) -> Gate {
    Gate::limited(limits, [endpoint("ws-1", "uid-1", "dev")]).await
}

/// A connection that agreed on this protocol and has said nothing.
async fn stream(gate: &Gate, identity: Option<&Identity>, protocol: Protocol) -> TlsStream<TcpStream> {
    let mut config = config(&gate.authority, identity, &[&rustls::version::TLS13]);
    config.alpn_protocols = vec![protocol.alpn().to_vec()];
    handshake(gate, Arc::new(config)).await.unwrap()
}

/// Says this, if the gateway still listens.
async fn say(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
}

/// Everything that the gateway says until it ends the connection, politely or not.
async fn until_end(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut said = Vec::new();
    let end = tokio::time::timeout(SOON, stream.read_to_end(&mut said)).await;
    drop(end.expect("the gateway ends the connection"));
    said
}

#[tokio::test]
async fn a_client_that_does_not_finish_its_handshake_is_cut() {
    let gate = gate(Limits { handshake: SHORT, ..patient() }).await;
    until_end(TcpStream::connect(gate.address).await.unwrap()).await;
    gate.connections(0).await;
    gate.assert_metric("tidegate_gateway_handshakes_total{result=\"timeout\"} 1");
}

#[tokio::test]
async fn a_client_that_asks_for_nothing_is_cut_with_and_without_a_certificate() {
    for protocol in BOTH {
        let gate = gate(Limits { head: SHORT, ..patient() }).await;
        let identity = gate.identity("ws-1");
        for identity in [None, Some(&identity)] {
            until_end(stream(&gate, identity, protocol).await).await;
        }
        let mut begun = stream(&gate, None, protocol).await;
        say(&mut begun, &GET_HTTP2[..3]).await;
        until_end(begun).await;
        gate.connections(0).await;
    }
}

#[tokio::test]
async fn an_idle_http_1_connection_is_closed_after_its_first_request() {
    // The first request has to arrive within this time too.
    let gate = gate(Limits { head: Duration::from_secs(2), ..patient() }).await;
    let mut idle = stream(&gate, None, Protocol::Http1).await;
    say(&mut idle, GET).await;
    let said = until_end(idle).await;
    assert!(said.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn an_http_2_client_that_shows_no_sign_of_life_is_cut() {
    let gate = gate(Limits { keep_alive: SHORT, ..patient() }).await;
    let mut dead = stream(&gate, None, Protocol::Http2).await;
    say(&mut dead, GET_HTTP2).await;
    let said = until_end(dead).await;
    assert!(!said.is_empty(), "it was served before");
    gate.connections(0).await;
}

#[tokio::test]
async fn a_client_speaks_the_protocol_that_the_handshake_agreed_on_or_is_cut() {
    let gate = gate(patient()).await;
    let switched = stream(&gate, None, Protocol::Http1).await;
    match Connection::over(switched, Protocol::Http2).await {
        Ok(mut connection) => {
            drop(connection.send(get("/v1/trust")).await.expect_err("HTTP/2 after agreeing on HTTP/1"))
        }
        Err(error) => drop(error),
    }
    let mut switched = stream(&gate, None, Protocol::Http2).await;
    say(&mut switched, GET).await;
    assert!(!until_end(switched).await.starts_with(b"HTTP/1.1"));
    gate.connections(0).await;
}

#[tokio::test]
async fn a_stranger_is_cut_after_a_time_even_if_it_answers_nothing_and_an_endpoint_is_not() {
    let short = Life { serving: SHORT, ending: SHORT };
    let gate = gate(Limits { anonymous: short, ..patient() }).await;
    let identity = gate.identity("ws-1");
    let mut agent = Connection::open(&gate, Some(&identity), Protocol::Http2).await.unwrap();
    for (protocol, request) in [(Protocol::Http1, GET), (Protocol::Http2, GET_HTTP2)] {
        let mut stranger = stream(&gate, None, protocol).await;
        say(&mut stranger, request).await;
        until_end(stranger).await;
    }
    gate.connections(1).await;
    assert_eq!(agent.send(poll(None, Duration::ZERO)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_that_is_to_end_is_cut_when_it_does_not() {
    for protocol in BOTH {
        let gate = gate(Limits { certified: Life { serving: SHORT, ending: SHORT }, ..patient() }).await;
        let identity = gate.identity("ws-1");
        if let Ok(mut agent) = Connection::open(&gate, Some(&identity), protocol).await {
            let held = agent.send(poll(Some(&gate.tag("ws-1")), LONG)).await;
            assert!(held.is_err(), "{protocol:?}: the poll would be held for longer");
        }
        gate.connections(0).await;
        gate.waiters(0).await;
    }
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once_and_counted() {
    let gate = gate(Limits { connections: 1, ..patient() }).await;
    let identity = gate.identity("ws-1");
    let first = Connection::open(&gate, Some(&identity), Protocol::Http2).await.unwrap();
    until_end(TcpStream::connect(gate.address).await.unwrap()).await;
    gate.assert_metric("tidegate_gateway_connections_refused_total{cause=\"connections\"} 1");
    drop(first);
    gate.connections(0).await;
    assert_eq!(call(&gate, Some(&identity), poll(None, Duration::ZERO)).await.status, 200, "there is room again");
}

#[tokio::test]
async fn strangers_do_not_shut_out_endpoints() {
    let gate = gate(Limits { connections: 3, anonymous_connections: 1, ..patient() }).await;
    let mut first = Connection::open(&gate, None, Protocol::Http2).await.unwrap();
    assert_eq!(first.send(get("/v1/trust")).await.unwrap().status, 200);
    until_end(stream(&gate, None, Protocol::Http2).await).await;
    gate.assert_metric("tidegate_gateway_connections_refused_total{cause=\"anonymous\"} 1");
    gate.connections(1).await;
    let identity = gate.identity("ws-1");
    assert_eq!(call(&gate, Some(&identity), poll(None, Duration::ZERO)).await.status, 200);
}

#[tokio::test]
async fn a_stopping_gateway_does_not_wait_for_a_client_that_never_ends() {
    let gate = gate(Limits { drain: SHORT, ..patient() }).await;
    let _stuck = TcpStream::connect(gate.address).await.unwrap();
    gate.connections(1).await;
    gate.stopping.cancel();
    tokio::time::timeout(SOON, gate.running).await.expect("the listener ends").unwrap();
}

#[test]
fn a_stranger_stays_for_two_minutes_at_most_and_an_endpoint_until_its_poll_is_answered() {
    let Limits { anonymous, certified, drain, .. } = Limits::default();
    assert!(anonymous.serving + anonymous.ending <= Duration::from_secs(120));
    assert!(certified.ending >= tidegate_core::wire::limit::POLL_HOLD + drain);
}
