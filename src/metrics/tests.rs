//! Every metric moves, by the method that is made for it, and only within its words.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use tidegate_core::decision::Verb;
use tidegate_core::interval::Instant;
use tidegate_core::part::PartKind;
use tidegate_core::reason::DeclineReason;
use tidegate_core::refusal::RefusalCode;
use tidegate_core::state::State;

use super::*;

const SOME: Duration = Duration::from_millis(700);

fn controller(metrics: &Metrics) -> (ControllerMetrics, KubeMetrics) {
    (ControllerMetrics::new(metrics).unwrap(), KubeMetrics::new(metrics, &[Kind::Policy, Kind::Lock]).unwrap())
}

/// Every method once.
fn use_controller(metrics: &Metrics) {
    let (controller, kube) = controller(metrics);
    controller.reconciled(Kind::Request, Outcome::Ok, Duration::from_millis(3));
    controller.failed(Kind::Policy, FailedStep::Fetch);
    controller.due(Kind::Request, 4);
    controller.waited(Kind::Request, SOME);
    controller.guard(true);
    controller.clock_jumped();
    controller.leader(true);
    controller.suspended(true);
    controller.declined(DeclineReason::Locked);
    controller.decided(Some(Verb::Approve), true);
    controller.decided(None, false);
    controller.settled(Settled::Approved, By::Rule, Duration::from_secs(90));
    controller.expired(Duration::from_secs(1));
    controller.delivered(Duration::from_secs(2));
    controller.signed(PartKind::Grant);
    controller.key_loaded(KeyName::Signing, true);
    controller.key_expires(KeyName::Gateway, Instant::from_second(1_800_000_000));
    controller.certified(CertificateResult::Signed);
    controller.holds(&Census {
        requests: [(State::Active, 3)].into(),
        oldest_pending: Some(Instant::from_second(1_790_000_000)),
        overdue: 1,
        policies: [(PolicyStanding::Invalid, 2)].into(),
        endpoints: [(EndpointState::Locked, 5)].into(),
        locks: (1, 2),
    });
    kube.asked(KubeVerb::Watch, Some(StatusCode::OK));
    kube.asked(KubeVerb::Get, None);
    kube.watched("jitpolicies", Instant::from_second(1_790_000_001));
    kube.watched("pods", Instant::from_second(1_790_000_001));
}

fn use_gateway(metrics: &Metrics) {
    let gateway = GatewayMetrics::new(metrics, &["/v1/snapshot", "none"]).unwrap();
    gateway.waiters().set(1);
    gateway.connections().set(2);
    gateway.render().observe(0.001);
    gateway.answered("/v1/snapshot", StatusCode::TOO_MANY_REQUESTS, SOME);
    gateway.enrolled(StatusCode::ACCEPTED);
    gateway.handshake(Handshake::Timeout);
    gateway.connection_refused(Excess::Anonymous);
    gateway.rejected(RefusalCode::Rollback);
    gateway.propagated(Stage::GatewayToWake, SOME);
    gateway.serves(Duration::from_secs(31), 7, 900);
    gateway.shows(Instant::from_second(1_790_000_000), Instant::from_second(1_797_776_000));
}

/// Series names (with labels) that are not 0.
fn moved(text: &str) -> BTreeSet<&str> {
    let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.filter(|(_, value)| *value != "0").map(|(series, _)| series).collect()
}

#[test]
fn every_metric_moves_by_the_method_made_for_it() {
    for (process, use_it) in [("controller", use_controller as fn(&Metrics)), ("gateway", use_gateway)] {
        let metrics = Metrics::new(process).unwrap();
        use_it(&metrics);
        let text = metrics.render(true);
        let moved = moved(&text);
        for Defined { name, kind, .. } in metrics.defined() {
            let sample = if kind == "histogram" { format!("{name}_count") } else { name.clone() };
            let is_of = |series: &&str| series.split('{').next() == Some(sample.as_str());
            assert!(moved.iter().any(is_of), "nothing moves {name}:\n{text}");
        }
    }
}

#[test]
fn a_series_exists_as_0_before_anything_happens_and_none_comes_later() {
    let metrics = Metrics::new("controller").unwrap();
    controller(&metrics);
    let names = |text: &str| -> BTreeSet<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        samples.map(|(series, _)| series.to_owned()).collect()
    };
    let before = names(&metrics.render(false));
    assert!(before.contains("tidegate_decisions_total{counted=\"false\",verb=\"malformed\"}"), "{before:?}");
    assert!(before.contains("tidegate_declined_total{reason=\"PolicyNotFound\"}"), "{before:?}");

    let used = Metrics::new("controller").unwrap();
    use_controller(&used);
    assert_eq!(names(&used.render(true)), before, "a word that its label does not list");
}

#[test]
fn a_value_is_under_its_words() {
    let metrics = Metrics::new("controller").unwrap();
    use_controller(&metrics);
    let text = metrics.render(true);
    for line in [
        "tidegate_controller_ready 1",
        "tidegate_reconcile_total{kind=\"ElevationRequest\",result=\"ok\"} 1",
        "tidegate_reconcile_errors_total{kind=\"JitPolicy\",reason=\"fetch\"} 1",
        "tidegate_expiry_lag_seconds_bucket{le=\"0.5\"} 0",
        "tidegate_expiry_lag_seconds_bucket{le=\"1\"} 1",
        "tidegate_decisions_total{counted=\"true\",verb=\"approve\"} 1",
        "tidegate_decisions_total{counted=\"false\",verb=\"malformed\"} 1",
        "tidegate_elevation_requests{state=\"Active\"} 3",
        "tidegate_elevation_requests{state=\"Pending\"} 0",
        "tidegate_locks{effect=\"EndAccess\"} 2",
        "tidegate_watch_progress_timestamp_seconds{kind=\"JitPolicy\"} 1790000001",
        "tidegate_kube_requests_total{class=\"none\",verb=\"get\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
    }
    assert!(ControllerMetrics::new(&metrics).is_err(), "registered twice");
}

#[test]
fn what_is_no_longer_there_is_0_at_the_next_scrape() {
    let metrics = Metrics::new("controller").unwrap();
    let (controller, _) = controller(&metrics);
    controller.holds(&Census { requests: [(State::Active, 3)].into(), overdue: 2, ..Census::default() });
    controller.holds(&Census::default());
    let text = metrics.render(true);
    assert!(text.contains("tidegate_elevation_requests{state=\"Active\"} 0\n"), "{text}");
    assert!(text.contains("tidegate_overdue_grants 0\n"), "{text}");
}
