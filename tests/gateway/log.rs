//! What the gateway logs of a grant on its way: a line for each step, however often an agent asks.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tidegate_core::state::State;
use tidegate_core::wire::{Have, SnapshotBody};
use tracing_subscriber::fmt::MakeWriter;

use crate::client::{call, poll, request as http_request};
use crate::gate::Gate;
use crate::objects::{endpoint, request};

/// What is logged on this thread, where each of these tests runs as a whole.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Said {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Said {
    /// The lines about a request, from now on.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let json = tracing_subscriber::fmt().json().flatten_event(true).with_writer(self.clone());
        tracing::subscriber::set_default(json.finish())
    }

    /// Event and uid of each line about a request at ws-1, since the last look.
    fn taken(&self) -> Vec<(String, String)> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.filter(|line| line["request_uid"].is_string());
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        lines
            .map(|line| {
                assert_eq!((&line["fleet"], &line["endpoint"]), (&json!("berlin"), &json!("ws-1")), "{line}");
                (word(&line["event"]), word(&line["request_uid"]))
            })
            .collect()
    }
}

/// A poll that names no manifest and has these parts.
fn asking(have: &str) -> Request<Full<Bytes>> {
    let mut request = poll(None, Duration::ZERO);
    request.headers_mut().insert("tidegate-have", have.parse().unwrap());
    request
}

fn lines(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(event, uid)| ((*event).to_owned(), (*uid).to_owned())).collect()
}

#[tokio::test]
async fn a_grant_is_logged_when_it_is_first_handed_out_and_when_it_is_first_reported() {
    let gate = Gate::with([endpoint("ws-1", "uid-1", "dev"), request("er-1", "ws-1", "uid-1", State::Active)]).await;
    gate.endpoints.create("ws-1", "uid-1");
    let identity = gate.identity("ws-1");
    let said = Said::default();
    let _listening = said.listen();

    let body: SnapshotBody = serde_json::from_value(call(&gate, Some(&identity), asking("")).await.json()).unwrap();
    assert_eq!(said.taken(), lines(&[("HandedOut", "er-1-uid")]));
    for _ in 0..3 {
        assert_eq!(call(&gate, Some(&identity), asking("")).await.status, 200);
    }
    assert_eq!(said.taken(), lines(&[]), "whoever asks again fills no log");

    gate.served.apply(request("er-2", "ws-1", "uid-1", State::Active));
    let have = Have::of(body.parts.keys()).to_string();
    assert_eq!(call(&gate, Some(&identity), asking(&have)).await.status, 200);
    assert_eq!(said.taken(), lines(&[("HandedOut", "er-2-uid")]), "the agent has the other");

    let report = json!({
        "agent": {"version": "0.1.0", "platform": "Linux", "architecture": "x86_64", "capabilities": []},
        "grants": [
            {"requestUid": "er-1-uid", "appliedTime": "2026-11-22T10:00:00Z"},
            {"requestUid": "er-2-uid"},
            {"requestUid": "er-of-another-uid", "appliedTime": "2026-11-22T10:00:00Z"},
        ],
    });
    let put = http_request(Method::PUT, "/v1/status", report.to_string());
    assert_eq!(call(&gate, Some(&identity), put).await.status, 204);
    assert_eq!(said.taken(), lines(&[("Reported", "er-1-uid")]));
}
