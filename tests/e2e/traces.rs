//! Traces: one for each request, over both servers, by what a collector receives; and nothing waits for a collector that is not there.

mod collector;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::ResourceExt;
use serde_json::Value;
use tidegate_api::names::{CONTROLLER, GATEWAY};
use tidegate_core::name::Digest;
use tidegate_test_support::{Controller, Gateway, Process, eventually};
use tokio::net::TcpListener;

use self::collector::{Collector, Sent};
use crate::agent::SOON;
use crate::fleet::{ENDPOINT, Fleet, POLICY};
use crate::installation::{Breakable, READY, breakable, shared};

/// The spans of a grant that a person approved, in the order in which they end; both gateways have it, one hands it out.
const WAY: [(&str, &str); 9] = [
    ("decision", CONTROLLER),
    ("judge", CONTROLLER),
    ("sign grant", CONTROLLER),
    ("write status", CONTROLLER),
    ("grant reaches gateway", GATEWAY),
    ("grant reaches gateway", GATEWAY),
    ("hand out grant", GATEWAY),
    ("apply grant", GATEWAY),
    ("elevation request", CONTROLLER),
];

/// Within this a grant is at its endpoint if nobody waits for an exporter, which gives a batch up after 10 s.
const WITHOUT_WAITING: Duration = Duration::from_secs(10);

/// An installation whose servers send their traces to these URLs.
async fn traced(controller: &str, gateways: &str) -> Result<Breakable> {
    let mut broken = breakable().await?;
    let installation = &mut broken.installation;
    let control_plane = installation.control_plane;
    let sends = |command: &mut Command, to: &str| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", to);
    };
    installation.controller.process.sigterm()?;
    installation.controller.process.ended(SOON).await?;
    installation.controller = Controller::start_anew_with(control_plane, |command| sends(command, controller)).await?;
    for gateway in &mut installation.gateways {
        *gateway = Gateway::start_with(control_plane, |command| sends(command, gateways)).await?;
        gateway.ready(READY).await?;
    }
    installation.controller.ready(READY).await?;
    Ok(broken)
}

/// Its begin of this many bytes, in hex digits: how a trace and its first span are named.
fn digest(of: &str, bytes: usize) -> String {
    Digest::of(of.as_bytes()).to_hex()[..2 * bytes].to_owned()
}

fn only<'a>(spans: &'a [Sent], name: &str) -> Result<&'a Sent> {
    let found: Vec<&Sent> = spans.iter().filter(|span| span.name == name).collect();
    ensure!(found.len() == 1, "{name}: {found:?}");
    Ok(found[0])
}

/// All of one trace, in an order that can be, under the first span.
fn hangs_together(spans: &[Sent], uid: &str) -> Result<()> {
    let root = only(spans, "elevation request")?;
    assert_eq!(root.id, digest(&format!("tidegate.dev/span/{uid}"), 8));
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "no two share an id");
    for span in spans {
        assert_eq!(span.trace, digest(&format!("tidegate.dev/trace/{uid}"), 16), "{span:?}");
        assert_eq!(span.parent, if span.id == root.id { "" } else { &root.id }, "{span:?}");
        ensure!(span.from <= span.to, "{span:?} ends before it begins");
        ensure!(root.from <= span.from && span.to <= root.to, "{span:?} is outside of {root:?}");
        for (key, value) in [("tidegate.endpoint.name", ENDPOINT), ("tidegate.policy", POLICY)] {
            assert_eq!(span.said[key], value, "{span:?}");
        }
        for key in ["service.version", "service.instance.id"] {
            ensure!(span.process.get(key).is_some_and(|value| !value.is_empty()), "{key}: {:?}", span.process);
        }
    }
    Ok(())
}

/// No name of a person, nothing that a person wrote.
fn names_nobody(spans: &[Sent]) -> Result<()> {
    for span in spans {
        let all = format!("{span:?}").to_lowercase();
        for word in ["alice", "bob", "carol", "corp", "pairing", "skeleton", "decision.tidegate.dev", "er-1"] {
            ensure!(!all.contains(word), "{word} is in {all}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn one_trace_leads_from_the_decision_through_both_servers_to_the_delivery() -> Result<()> {
    let (collector, url) = Collector::start().await?;
    let broken = traced(&url, &url).await?;
    let fleet = Fleet::new(&broken.installation, "traces").await?;
    let agent = fleet.agent().await?;
    let granted = fleet.granted("er-1", "30m").await?;
    let uid = granted.uid().context("no uid")?;
    agent.started("er-1", SOON).await?;
    // Each process sends its own, when it comes to it.
    let spans = eventually("the spans of the whole way", SOON, async || {
        let spans = collector.about(&uid);
        ensure!(spans.len() >= WAY.len(), "{spans:?}");
        Ok(spans)
    })
    .await?;

    hangs_together(&spans, &uid)?;
    names_nobody(&spans)?;
    let mut expected = WAY;
    let mut found: Vec<(&str, &str)> = spans.iter().map(|span| (span.name.as_str(), span.service())).collect();
    let ends = |name: &str| only(&spans, name).map(|span| span.to);
    let way = ["decision", "judge", "sign grant", "hand out grant", "apply grant", "elevation request"];
    let way = way.into_iter().map(ends).collect::<Result<Vec<_>>>()?;
    ensure!(way.is_sorted(), "{found:?}");
    ensure!(ends("sign grant")? <= ends("write status")? && ends("write status")? <= ends("elevation request")?);
    // Gateways may have it before the controller has the answer to its write.
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    let decision = only(&spans, "decision")?;
    assert_eq!((decision.said["tidegate.decision.verb"].as_str(), decision.outcome()), ("approve", "Counted"));
    let whole = only(&spans, "elevation request")?;
    assert_eq!((whole.outcome(), whole.from), ("Applied", decision.from), "the way begins with the decision");

    let trace = digest(&format!("tidegate.dev/trace/{uid}"), 16);
    let approved = broken.installation.controller.process.stderr.lines().into_iter().find_map(|line| {
        let line: Value = serde_json::from_str(&line).ok()?;
        (line["request_uid"] == uid.as_str() && line["event"] == "Approved").then_some(line)
    });
    assert_eq!(approved.context("no line about the approval")?["trace_id"], trace.as_str());

    // What follows is in the same trace, and of passes that change nothing there is no span.
    fleet.decide(&fleet.bob, "er-1", "revoke: the ticket was closed").await?;
    agent.ended("er-1", SOON).await?;
    let spans = collector.has(&uid, "write status", "Revoked", SOON).await?;
    let later: Vec<&str> = spans[WAY.len()..].iter().map(|span| span.name.as_str()).collect();
    assert_eq!(later, ["decision", "judge", "write status"]);
    ensure!(spans.iter().all(|span| span.trace == trace), "{spans:?}");
    names_nobody(&spans)
}

#[tokio::test]
async fn what_was_told_last_is_sent_before_the_process_ends() -> Result<()> {
    let (collector, url) = Collector::start().await?;
    let broken = traced(&url, &url).await?;
    let fleet = Fleet::new(&broken.installation, "flushed").await?;
    fleet.ask("er-1", "30m").await?;
    let uid = fleet.in_state("er-1", "Pending", SOON).await?.uid().context("no uid")?;
    ensure!(collector.about(&uid).is_empty(), "nobody has decided: {:?}", collector.about(&uid));
    fleet.decide(&fleet.bob, "er-1", "deny: not today").await?;
    fleet.in_state("er-1", "Denied", SOON).await?;
    let controller = &broken.installation.controller.process;
    controller.sigterm()?;
    controller.ended(SOON).await?;
    // Nothing is sent after the end, and what was sent needs a moment to be taken in at most.
    let spans = collector.has(&uid, "elevation request", "Denied", SOON).await?;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "decision").count(), 1, "{names:?}");
    assert_eq!(names.len(), 4, "{names:?}");
    hangs_together(&spans, &uid)
}

#[tokio::test]
async fn a_collector_that_refuses_or_never_answers_holds_nothing_up() -> Result<()> {
    // The kernel takes the connection, and nobody ever answers on it.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let silent = (format!("http://{}", silent.local_addr()?), silent);
    // Nothing can listen on the discard port without being root.
    let broken = traced(&silent.0, "http://127.0.0.1:9").await?;
    let installation = &broken.installation;
    let fleet = Fleet::new(installation, "alone").await?;
    let agent = fleet.agent().await?;
    for name in ["er-1", "er-2", "er-3"] {
        fleet.ask(name, "30m").await?;
        fleet.in_state(name, "Pending", SOON).await?;
        fleet.decide(&fleet.bob, name, "approve").await?;
        agent.started(name, WITHOUT_WAITING).await?;
    }
    let told = |line: &str| line.contains("traces were lost");
    let told_by = async |gateway: &Gateway| gateway.process.stderr.wait_for("the loss", 0, READY, told).await;
    let [first, second] = &installation.gateways;
    futures::future::try_join(told_by(first), told_by(second)).await?;
    for gateway in [first, second] {
        let told = gateway.process.stderr.lines().iter().filter(|line| told(line)).count();
        ensure!(told == 1, "a loss is told once a minute, not {told} times");
    }
    let controller = &installation.controller.process;
    controller.sigterm()?;
    let status = controller.ended(SOON).await?;
    ensure!(status.success(), "{status}");
    let given_up = |line: &str| line.contains("the last traces were not taken in time");
    controller.stderr.wait_for("what cannot be sent is waited for for a second", 0, SOON, given_up).await?;
    Ok(())
}

/// Where the connections of this process lead that it has opened itself: ports.
fn outward(process: &Process) -> Result<BTreeSet<u16>> {
    let mut sockets = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", process.id()))? {
        let Ok(target) = std::fs::read_link(entry?.path()) else { continue };
        let inode = target.to_str().and_then(|target| target.strip_prefix("socket:[")?.strip_suffix(']'));
        sockets.extend(inode.map(str::to_owned));
    }
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let (mut local, mut remote) = (BTreeSet::new(), Vec::new());
    for line in std::fs::read_to_string("/proc/net/tcp")?.lines().skip(1) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let [_, from, to, state, ..] = columns[..] else { continue };
        if columns.get(9).is_none_or(|inode| !sockets.contains(*inode)) {
            continue;
        }
        match state {
            // It listens there: who comes in has not been called.
            "0A" => drop(local.insert(port(from))),
            _ => remote.push((port(from), port(to))),
        }
    }
    let called = remote.into_iter().filter(|(from, _)| !local.contains(from)).filter_map(|(_, to)| to);
    Ok(called.collect())
}

#[tokio::test]
async fn without_the_setting_nothing_is_sent_anywhere() -> Result<()> {
    // Where exporters send to unless they are told otherwise. If something listens there already, all the better.
    let _default = TcpListener::bind("127.0.0.1:4317").await;
    let installation = shared().await?;
    let fleet = Fleet::new(installation, "untraced").await?;
    let agent = fleet.agent().await?;
    fleet.granted("er-1", "30m").await?;
    agent.started("er-1", SOON).await?;
    let api_server: u16 =
        installation.control_plane.server().rsplit(':').next().context("no port")?.trim_end_matches('/').parse()?;
    let processes = [&installation.controller.process];
    for process in processes.into_iter().chain(installation.gateways.iter().map(|gateway| &gateway.process)) {
        eventually("connections to the API server alone", SOON, async || {
            let called = outward(process)?;
            ensure!(called == BTreeSet::from([api_server]), "{called:?}, the API server is at {api_server}");
            Ok(())
        })
        .await?;
        ensure!(!process.stderr.lines().iter().any(|line| line.contains("trace_id")), "{}", process.stderr.tail(20));
    }
    Ok(())
}
