//! The status report: what it says, when it comes, and that a gateway which does not take it holds nothing up.

use http::Method;
use tidegate_core::name::Digest;
use tidegate_core::wire::{ProblemCode, StatusReport};

use crate::agent::Agent;
use crate::clock::Stopwatch;
use crate::fixture::Served;
use crate::gateway::{Call, Cluster, Gateway};
use crate::{HOUR, call, cluster, parts, served, state};

fn is_report(call: &Call) -> bool {
    call.path == "/v1/status"
}

/// The next report for which `is` holds.
async fn report(gateway: &mut Gateway, is: impl Fn(&StatusReport) -> bool) -> StatusReport {
    let read = |call: &Call| is_report(call).then(|| StatusReport::parse(&call.body).unwrap());
    let found = call(gateway, |call| read(call).is_some_and(|report| is(&report))).await;
    assert_eq!(found.method, Method::PUT);
    read(&found).unwrap()
}

/// Begun and ended, of the grant that answers this request.
fn times(report: &StatusReport, request: &str) -> Option<(bool, bool)> {
    let grant = report.grants.iter().find(|grant| grant.request_uid.as_str() == format!("{request}-uid"))?;
    Some((grant.applied_time.is_some(), grant.ended_time.is_some()))
}

fn digest(served: &Served) -> Digest {
    Digest::of(served.body.manifest.get().as_bytes())
}

#[tokio::test]
async fn what_is_applied_begun_ended_and_refused_is_reported_also_at_the_start() {
    let (cluster, mut gateway) = cluster(&[]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    let first = served(&cluster.controller, &[("a", HOUR), ("b", HOUR)]);
    let applied = digest(&first);
    cluster.serve(first);
    let told = report(&mut gateway, |report| times(report, "b") == Some((true, false))).await;
    assert_eq!(told.applied.unwrap().manifest, applied);
    assert_eq!((told.agent.version.as_str(), told.agent.platform.as_str()), (env!("CARGO_PKG_VERSION"), "Linux"));
    assert_eq!((told.agent.architecture.as_str(), told.agent.capabilities.len()), (std::env::consts::ARCH, 0));

    let mut forged = parts(&cluster.controller, &[("b", HOUR), ("c", HOUR)]);
    forged[3].1.signatures[0].sig[0] ^= 1;
    let forged = Served::new(&forged, Vec::new());
    let refused = digest(&forged);
    cluster.serve(forged);
    let told = report(&mut gateway, |report| times(report, "a") == Some((true, true))).await;
    assert_eq!(times(&told, "b"), Some((true, false)));
    let told = report(&mut gateway, |report| !report.rejected.is_empty()).await;
    assert_eq!((told.rejected[0].digest, told.rejected[0].code.as_str()), (refused, "bad_signature"));

    cluster.serve(served(&cluster.controller, &[("b", HOUR)]));
    agent.grant("ended", "a").await;
    let told = report(&mut gateway, |report| report.rejected.is_empty() && times(report, "a").is_none()).await;
    assert_eq!(times(&told, "b"), Some((true, false)), "an end that was taken is not told again");
    agent.stop().await;

    let agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    let told = report(&mut gateway, |_| true).await;
    assert_eq!((times(&told, "b"), told.grants.len()), (Some((true, false)), 1));
    agent.stop().await;
}

#[tokio::test]
async fn an_end_that_no_gateway_took_is_reported_once_one_does_and_holds_nothing_up() {
    for problem in [ProblemCode::NotReady, ProblemCode::TooManyRequests] {
        an_end_is_reported_in_the_end(problem).await;
    }
}

async fn an_end_is_reported_in_the_end(problem: ProblemCode) {
    let (cluster, mut gateway) = cluster(&[("a", HOUR)]).await;
    cluster.deafen(Some(problem));
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    report(&mut gateway, |report| times(report, "a") == Some((true, false))).await;
    cluster.serve(served(&cluster.controller, &[]));
    agent.grant("ended", "a").await;
    report(&mut gateway, |report| times(report, "a") == Some((true, true))).await;
    report(&mut gateway, |report| times(report, "a") == Some((true, true))).await;
    cluster.deafen(None);
    report(&mut gateway, |report| times(report, "a") == Some((true, true))).await;
    assert!(agent.seen("connection").iter().all(|e| e["up"] == true), "the poll never failed");
}

#[tokio::test]
async fn a_dozen_grants_that_end_one_after_the_other_are_told_in_a_few_reports() {
    let names: Vec<String> = ('a'..='l').map(String::from).collect();
    let grants: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), HOUR)).collect();
    let (cluster, mut gateway) = cluster(&grants).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    report(&mut gateway, |report| times(report, "l") == Some((true, false))).await;
    let taken = Stopwatch::start();
    for left in (0..grants.len()).rev() {
        cluster.serve(served(&cluster.controller, &grants[..left]));
        agent.grant("ended", grants[left].0).await;
    }
    let mut reports = 0;
    let ended = |report: &StatusReport| times(report, "a") == Some((true, true)) || report.grants.is_empty();
    loop {
        let told = report(&mut gateway, |_| true).await;
        reports += 1;
        if ended(&told) {
            break;
        }
    }
    // One at once, then one each half second: the slower the machine, the more there is to tell.
    let at_most = 2 + taken.read().as_millis() / 500;
    assert!(reports <= at_most, "{reports} reports, at most {at_most}");
}

#[tokio::test]
async fn a_gateway_without_the_route_is_asked_once_for_each_connection() {
    let (cluster, mut gateway) = cluster(&[("a", HOUR)]).await;
    cluster.deafen(Some(ProblemCode::NotFound));
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    call(&mut gateway, is_report).await;
    for request in ["b", "c"] {
        cluster.serve(served(&cluster.controller, &[(request, HOUR)]));
        agent.grant("started", request).await;
    }
    assert!(std::iter::from_fn(|| gateway.calls.try_recv().ok()).all(|call| !is_report(&call)));
    cluster.deafen(None);
    // A poll that fails is given up with its connection; the next one is another.
    cluster.fail(Some(ProblemCode::NotReady));
    agent.event("connection", |e| e["up"] == false).await;
    cluster.fail(None);
    let told = report(&mut gateway, |report| times(report, "c").is_some()).await;
    assert_eq!(times(&told, "b"), Some((true, true)));
    let (_, errors) = agent.stop().await;
    assert_eq!(errors.matches("takes no status reports").count(), 1, "{errors}");
}

#[tokio::test]
async fn nothing_is_reported_to_a_server_that_is_not_the_gateway() {
    let (cluster, gateway) = cluster(&[("a", HOUR)]).await;
    let dir = state();
    let mut agent = Agent::start(&[&gateway.url], cluster.controller.pin(), dir.path());
    agent.grant("started", "a").await;
    agent.stop().await;
    let mut impostor = Gateway::start(&Cluster::new()).await;
    let mut agent = Agent::start(&[&impostor.url], cluster.controller.pin(), dir.path());
    agent.event("connection", |e| e["up"] == false).await;
    agent.stop().await;
    assert!(impostor.calls.try_recv().is_err());
}
