//! What the gateway measures: the way of a change, and work without the time a poll is held.

use std::time::Duration;

use tidegate::clock;
use tidegate_core::state::State;

use crate::client::{call, poll};
use crate::gate::{Gate, SOON};
use crate::objects::{endpoint, in_force, request};

async fn gate(hold: Duration) -> Gate {
    let gate = Gate::start(hold).await;
    gate.served.apply(endpoint("ws-1", "uid-1", "dev"));
    gate.becomes_ready();
    gate
}

/// The value of this series.
fn value(gate: &Gate, series: &str) -> f64 {
    let text = gate.registry.render(true);
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is missing in:\n{text}")).parse().unwrap()
}

fn stage(gate: &Gate, stage: &str) -> f64 {
    value(gate, &format!("tidegate_gateway_propagation_seconds_count{{stage=\"{stage}\"}}"))
}

#[tokio::test]
async fn the_time_a_poll_is_held_is_no_work() {
    // A hold ends in its last tenth, so this one takes 0.9 s at least.
    let gate = gate(Duration::from_secs(1)).await;
    let identity = gate.identity("ws-1");
    let tag = call(&gate, Some(&identity), poll(None, SOON)).await.etag();
    let began = clock::monotonic();
    assert_eq!(call(&gate, Some(&identity), poll(Some(&tag), SOON)).await.status, 304);
    let whole = (clock::monotonic() - began).as_secs_f64();
    let series = "tidegate_gateway_request_duration_seconds_sum{class=\"3xx\",route=\"/v1/snapshot\"}";
    let work = value(&gate, series);
    assert!(work > 0.0 && work <= whole - 0.9, "{work} s of work in a call of {whole} s");
}

#[tokio::test]
async fn a_change_is_measured_on_its_way_once() {
    let gate = gate(Duration::from_secs(55)).await;
    let identity = gate.identity("ws-1");
    let (committed, first) = (stage(&gate, "commit_to_gateway"), call(&gate, Some(&identity), poll(None, SOON)).await);
    assert_eq!(stage(&gate, "gateway_to_wake"), 0.0, "nobody waited");
    let waiting = call(&gate, Some(&identity), poll(Some(&first.etag()), SOON));
    let changing = async {
        gate.waiters(1).await;
        gate.served.apply(request("er-1", "ws-1", "uid-1", State::Active));
        // The same state again brings nothing new.
        gate.served.apply(request("er-1", "ws-1", "uid-1", State::Active));
    };
    let (second, ()) = tokio::join!(waiting, changing);
    assert_eq!(second.status, 200);
    assert_eq!(stage(&gate, "commit_to_gateway"), committed + 1.0, "one grant was signed");
    assert_eq!(stage(&gate, "gateway_to_wake"), 1.0);
    assert_eq!(stage(&gate, "wake_to_applied"), 1.0, "of the first manifest");
    for _ in 0..2 {
        call(&gate, Some(&identity), poll(Some(&second.etag()), Duration::ZERO)).await;
    }
    assert_eq!(stage(&gate, "wake_to_applied"), 2.0, "of the second, once");
    gate.served.apply(in_force(2, &[]));
    assert_eq!(stage(&gate, "commit_to_gateway"), committed + 2.0, "the fleet part");
    assert!(value(&gate, "tidegate_gateway_render_seconds_count") >= 2.0);
}

#[tokio::test]
async fn what_is_kept_is_counted_with_its_bytes() {
    let gate = gate(Duration::from_secs(55)).await;
    let (parts, bytes) = gate.served.size();
    assert_eq!(parts, 2, "a placement and the fleet part");
    gate.served.apply(request("er-1", "ws-1", "uid-1", State::Active));
    let (more, larger) = gate.served.size();
    assert_eq!(more, 3);
    assert!(larger > bytes);
}
