//! Stopping: no new connections, and what is held is answered, not cut.

use std::time::Duration;

use tidegate_core::state::State;

use crate::client::{Connection, Protocol, call, poll};
use crate::gate::{Gate, SOON};
use crate::objects::{endpoint, request};

#[tokio::test]
async fn a_stopping_gateway_answers_held_polls_with_304_and_ends() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let gate = Gate::with([endpoint("ws-1", "uid-1", "dev")]).await;
        let identity = gate.identity("ws-1");
        let tag = call(&gate, Some(&identity), poll(None, Duration::ZERO)).await.etag();
        let mut agent = Connection::open(&gate, Some(&identity), protocol).await.unwrap();
        let (answer, ()) = tokio::join!(agent.send(poll(Some(&tag), Duration::from_secs(55))), async {
            gate.waiters(1).await;
            gate.stopping.cancel();
        });
        let answer = answer.unwrap();
        assert_eq!((answer.status.as_u16(), answer.etag()), (304, tag), "{protocol:?}");
        assert_eq!(answer.header("tidegate-reconnect-window"), Some("5"));
        assert!(agent.send(poll(None, Duration::ZERO)).await.is_err(), "the connection is closed politely");
        tokio::time::timeout(SOON, gate.running).await.expect("the listener ends").unwrap();
        assert!(tokio::net::TcpStream::connect(gate.address).await.is_err(), "nobody listens");
    }
}

#[tokio::test]
async fn a_change_that_came_before_the_stop_is_delivered_and_not_304() {
    let gate = Gate::with([endpoint("ws-1", "uid-1", "dev")]).await;
    let identity = gate.identity("ws-1");
    let tag = call(&gate, Some(&identity), poll(None, Duration::ZERO)).await.etag();
    let mut agent = Connection::open(&gate, Some(&identity), Protocol::Http1).await.unwrap();
    let (answer, ()) = tokio::join!(agent.send(poll(Some(&tag), Duration::from_secs(55))), async {
        gate.waiters(1).await;
        gate.served.apply(request("er-1", "ws-1", "uid-1", State::Active));
        gate.stopping.cancel();
    });
    assert_eq!(answer.unwrap().status, 200);
}
