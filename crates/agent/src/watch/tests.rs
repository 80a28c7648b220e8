//! The state machine under injected clocks: what is reported when, once, and never again after the end.

mod lying;
mod offline;
mod recurring;
mod status;

use jiff::Timestamp;
use proptest::prelude::*;
use tidegate_core::fleet::FleetBody;
use tidegate_core::grant::GrantBody;
use tidegate_core::interval::Interval;
use tidegate_core::manifest::RequestSummary;
use tidegate_core::name::FleetName;
use tidegate_core::policy::PolicyBody;
use tidegate_core::snapshot::{Me, accept};

use super::*;
use crate::about;
use crate::fixture::{Controller, Piece, Served, TRUST_DOMAIN, endpoint, fleet_body, in_force};
use crate::trust::Trust;

const EPOCH: i64 = 1_800_000_000;
const BOOT: &str = "boot-1";

fn at(second: i64) -> Instant {
    Instant::from_second(EPOCH + second)
}

/// Both clocks, in seconds after the same zero; boot-time is ten seconds ahead.
fn read(wall: i64, boot: i64) -> Now {
    Now { wall: Timestamp::from(at(wall)), boot: Duration::from_secs(u64::try_from(boot + 10).unwrap()) }
}

/// Both clocks agree.
fn now(second: i64) -> Now {
    read(second, second)
}

fn span(start: i64, end: i64) -> Interval {
    Interval { start: at(start), end: at(end) }
}

struct Bench {
    controller: Controller,
    /// What every snapshot says of the fleet, and when that was signed.
    fleet: (FleetBody, Instant),
    watch: Watch,
}

impl Bench {
    fn new() -> Self {
        let fleet = (fleet_body(), at(0));
        Self { controller: Controller::new(), fleet, watch: Watch::resume(None, BOOT.to_owned()).0 }
    }

    /// What the gateway's next answer makes of these parts; there was none yet.
    fn view(&self, parts: &[Piece], requests: Vec<RequestSummary>) -> View {
        let ring = Trust::check(self.controller.bundle(), &[self.controller.pin()]).unwrap().ring;
        let fleet: FleetName = "berlin".parse().unwrap();
        let me = Me { trust_domain: TRUST_DOMAIN.to_owned(), fleet, endpoint: endpoint(), agent: about::agent() };
        let fleet = self.controller.fleet(self.fleet.0.clone(), 1, self.fleet.1);
        let served = Served::new(&[&[self.controller.placement(1), fleet], parts].concat(), requests);
        let accepted = accept(&served.body, &ring, &me, None, &Default::default()).unwrap();
        View {
            signed: accepted.snapshot.issued_time().unwrap(),
            snapshot: Some(Arc::new(accepted.snapshot)),
            manifest: served.etag.trim_matches('"').to_owned(),
            applied: Some(Digest::of(served.body.manifest.get().as_bytes())),
            refused: accepted.refused,
            refused_manifest: None,
            contact: None,
            absence: EndReason::Absent,
        }
    }

    /// A gateway answers with these parts.
    fn apply(&mut self, parts: &[Piece], now: Now) -> Vec<String> {
        let view = View { contact: Some(now.boot), ..self.view(parts, Vec::new()) };
        told(self.watch.apply(view, now))
    }

    /// These parts are on disk, and no gateway has answered yet.
    fn load(&mut self, parts: &[Piece], now: Now) -> Vec<String> {
        let view = self.view(parts, Vec::new());
        told(self.watch.apply(view, now))
    }

    fn tick(&mut self, now: Now) -> Vec<String> {
        told(self.watch.tick(now))
    }

    fn grant(&self, request: &str, start: i64, end: i64) -> Piece {
        self.controller.grant(request, span(start, end))
    }

    /// As if the agent were started anew; the view is what it finds on disk.
    fn restart(&mut self, boot: &str, parts: &[Piece], now: Now) -> Vec<String> {
        let stored = serde_json::to_string(&self.watch.memory()).unwrap();
        let (watch, ends) = Watch::resume(Some(serde_json::from_str(&stored).unwrap()), boot.to_owned());
        self.watch = watch;
        told(ends).into_iter().chain(self.load(parts, now)).collect()
    }
}

/// Nothing in force, as before the first snapshot.
fn nothing() -> View {
    View {
        snapshot: None,
        manifest: String::new(),
        applied: None,
        refused: Vec::new(),
        refused_manifest: None,
        signed: at(0),
        contact: None,
        absence: EndReason::Absent,
    }
}

/// The events about rights and the clock, in short.
fn told(events: Vec<Event>) -> Vec<String> {
    let name = |right: &RightReport| match &right.source {
        Source::Grant { request, .. } => request.to_string(),
        Source::Policy { policy, .. } => format!("{policy}/{}", right.account),
    };
    let short = |event| match event {
        Event::Upcoming(right) => Some(format!("upcoming {}", name(&right))),
        Event::Started(right) => Some(format!("started {}", name(&right))),
        Event::Changed(right) => Some(format!("changed {}", name(&right))),
        Event::Withheld { right, reason } => Some(format!("withheld {} {reason:?}", name(&right))),
        Event::Ended { right, reason, message } => {
            Some(format!("ended {} {reason:?} {message}", name(&right)).trim_end().to_owned())
        }
        Event::Request { request, state, .. } => Some(format!("request {request} {state}")),
        Event::Clock { sound } => Some(format!("clock {sound}")),
        Event::Snapshot { .. } | Event::Refused { .. } | Event::Enrolment { .. } | Event::Connection { .. } => None,
    };
    events.into_iter().filter_map(short).collect()
}

#[test]
fn a_grant_starts_when_it_arrives_and_ends_at_its_deadline() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    assert_eq!(bench.apply(&[grant], now(5)), ["started a"]);
    assert_eq!(bench.tick(now(599)), [""; 0]);
    assert_eq!(bench.tick(now(600)), ["ended a Expired"]);
    assert_eq!(bench.tick(now(601)), [""; 0], "an end is told once");
}

#[test]
fn a_part_that_vanished_before_its_deadline_ends_its_right_at_once() {
    let mut bench = Bench::new();
    let (a, b) = (bench.grant("a", 0, 600), bench.grant("b", 0, 600));
    bench.apply(&[a, b.clone()], now(5));
    assert_eq!(bench.apply(&[b], now(6)), ["ended a Absent"]);
}

#[test]
fn a_right_of_the_future_is_announced_then_started_then_ended() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 100, 200);
    let mut view = bench.view(&[grant], Vec::new());
    (view.signed, view.contact) = (at(0), Some(now(0).boot));
    assert_eq!(told(bench.watch.apply(view, now(0))), ["upcoming a"]);
    assert_eq!(bench.tick(now(99)), [""; 0]);
    assert_eq!(bench.tick(now(100)), ["started a"]);
    assert_eq!(bench.tick(now(199)), [""; 0]);
    assert_eq!(bench.tick(now(200)), ["ended a Expired"]);
}

#[test]
fn a_window_holds_for_every_account_that_the_policy_reaches() {
    let mut bench = Bench::new();
    let window = bench.controller.window(span(0, 600), 1);
    assert_eq!(bench.apply(&[window], now(0)), ["started window/alice", "started window/bob"]);
    assert_eq!(bench.tick(now(600)), ["ended window/alice Expired", "ended window/bob Expired"]);
}

#[test]
fn an_expired_part_that_is_still_served_gives_nothing() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    assert_eq!(bench.apply(&[grant], now(700)), [""; 0]);
}

#[test]
fn a_clock_set_back_after_the_end_revives_nothing() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(std::slice::from_ref(&grant), now(0));
    bench.tick(now(600));
    assert_eq!(bench.tick(read(0, 601)), ["clock false"]);
    assert_eq!(bench.apply(std::slice::from_ref(&grant), read(0, 602)), [""; 0]);
    assert_eq!(bench.restart(BOOT, &[grant], read(0, 603)), ["clock false"]);
}

#[test]
fn a_clock_set_forward_ends_a_right_and_setting_it_back_revives_nothing() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(std::slice::from_ref(&grant), now(0));
    assert_eq!(bench.tick(read(5000, 1)), ["ended a Expired"]);
    assert_eq!(bench.apply(&[grant], read(2, 2)), [""; 0]);
}

#[test]
fn sleep_counts() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(&[grant], now(0));
    assert_eq!(bench.tick(read(30, 600)), ["clock false", "ended a Expired"]);
}

#[test]
fn behind_signed_time_nothing_starts_and_what_runs_goes_on_to_its_end() {
    let mut bench = Bench::new();
    let (a, b) = (bench.grant("a", 0, 600), bench.grant("b", 0, 900));
    bench.apply(std::slice::from_ref(&a), now(0));
    assert_eq!(bench.apply(&[a, b], read(-3600, 10)), ["clock false", "withheld b Clock"]);
    let standings: Vec<Standing> = bench.watch.rows(read(-3600, 10)).iter().map(|row| row.standing).collect();
    assert_eq!(standings, [Standing::Active, Standing::Withheld(Obstacle::Clock)]);
    assert_eq!(bench.tick(read(-3000, 600)), ["ended a Expired"]);
    assert_eq!(bench.tick(now(700)), ["clock true", "started b"]);
}

#[test]
fn a_restart_remembers_deadlines_and_what_is_over() {
    let mut bench = Bench::new();
    let (a, b) = (bench.grant("a", 0, 600), bench.grant("b", 0, 50));
    let parts = [a, b];
    bench.apply(&parts, now(0));
    bench.tick(now(50));
    assert_eq!(bench.restart(BOOT, &parts, now(100)), ["started a"]);
    assert_eq!(bench.restart(BOOT, &parts, read(-1000, 600)), ["clock false", "ended a Expired"]);
}

#[test]
fn an_end_while_the_agent_was_off_is_told_at_the_next_start() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(std::slice::from_ref(&grant), now(0));
    assert_eq!(bench.restart(BOOT, &[grant], now(700)), ["ended a Expired"]);
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(&[grant], now(0));
    assert_eq!(bench.restart(BOOT, &[], now(100)), ["ended a Absent"]);
}

#[test]
fn a_begun_grant_ends_with_its_boot_and_a_window_is_judged_anew() {
    let mut bench = Bench::new();
    let (a, later) = (bench.grant("a", 0, 600), bench.grant("later", 300, 600));
    let window = bench.controller.window(span(0, 600), 1);
    let parts = [a, later, window];
    let mut view = bench.view(&parts, Vec::new());
    (view.signed, view.contact) = (at(0), Some(now(0).boot));
    bench.watch.apply(view, now(0));
    let after = bench.restart("boot-2", &parts, read(310, 0));
    assert_eq!(after, ["ended a Reboot", "started window/alice", "started later", "started window/bob"]);
    assert_eq!(bench.restart("boot-3", &parts, read(320, 0))[0], "ended later Reboot");
}

#[test]
fn a_reboot_with_the_clock_set_back_starts_nothing() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(std::slice::from_ref(&grant), now(0));
    bench.tick(now(600));
    assert_eq!(bench.restart("boot-2", &[grant], read(-3600, 0)), ["clock false"]);
}

#[test]
fn a_part_that_comes_back_keeps_its_first_deadline() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    // Signed at 0 and seen at 100: the clock can be set back by more than a minute without being behind the floor.
    bench.apply(std::slice::from_ref(&grant), now(100));
    assert_eq!(bench.apply(&[], now(110)), ["ended a Absent"]);
    assert_eq!(bench.apply(&[grant], read(30, 120)), ["started a"]);
    assert_eq!(bench.tick(read(509, 599)), [""; 0]);
    assert_eq!(bench.tick(read(510, 600)), ["ended a Expired"]);
}

#[test]
fn a_part_that_comes_back_after_its_end_gives_nothing() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(std::slice::from_ref(&grant), now(0));
    bench.apply(&[], now(10));
    assert_eq!(bench.apply(&[grant], read(560, 600)), [""; 0]);
}

#[test]
fn another_interval_is_told_and_followed() {
    let mut bench = Bench::new();
    let mut edit = |sequence, start, end, at| {
        bench.fleet.0.policies = in_force(sequence);
        let window = bench.controller.window(span(start, end), sequence);
        bench.apply(&[window], now(at))
    };
    edit(1, 0, 600, 0);
    assert_eq!(edit(2, 0, 300, 1), ["changed window/alice", "changed window/bob"]);
    let moved = edit(3, 400, 500, 2);
    let each = |account| [format!("ended window/{account} Absent"), format!("upcoming window/{account}")];
    assert_eq!(moved, [each("alice"), each("bob")].concat());
    assert_eq!(bench.tick(now(400)), ["started window/alice", "started window/bob"]);
    assert_eq!(bench.tick(now(500)), ["ended window/alice Expired", "ended window/bob Expired"]);
}

#[test]
fn a_void_certificate_ends_everything_and_says_why() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(&[grant], now(0));
    let void = View { absence: EndReason::CertificateVoid, ..nothing() };
    assert_eq!(told(bench.watch.apply(void, now(1))), ["ended a CertificateVoid"]);
}

fn summary(name: &str, state: State) -> RequestSummary {
    RequestSummary {
        name: name.parse().unwrap(),
        uid: format!("{name}-uid").parse().unwrap(),
        account: "alice".parse().unwrap(),
        state,
        message: String::new(),
        expiration_time: None,
    }
}

#[test]
fn an_end_on_time_by_the_controllers_clock_is_no_absence() {
    let ends = |state: State, seconds: i64| {
        let mut bench = Bench::new();
        let grant = bench.grant("a", 0, 600);
        let uid = bench
            .view(std::slice::from_ref(&grant), Vec::new())
            .snapshot
            .unwrap()
            .grants
            .keys()
            .next()
            .unwrap()
            .clone();
        bench.apply(&[grant], now(5));
        let without = bench.view(&[], vec![RequestSummary { uid, ..summary("a", state) }]);
        told(bench.watch.apply(without, now(seconds))).swap_remove(0)
    };
    assert_eq!(ends(State::Expired, 599), "ended a Expired");
    assert_eq!(ends(State::Expired, 597), "ended a Absent", "no clock is as far ahead");
    assert_eq!(ends(State::Revoked, 599), "ended a Absent");
}

#[test]
fn requests_are_told_when_they_change_and_old_ends_are_no_news() {
    let mut bench = Bench::new();
    bench.watch.apply(nothing(), now(0));
    let view = bench.view(&[], vec![summary("a", State::Pending), summary("old", State::Denied)]);
    assert_eq!(told(bench.watch.apply(view.clone(), now(0))), ["request a Pending"]);
    assert_eq!(told(bench.watch.apply(view, now(1))), [""; 0]);
    let view = bench.view(&[], vec![summary("a", State::Denied), summary("b", State::Declined)]);
    assert_eq!(told(bench.watch.apply(view, now(2))), ["request a Denied", "request b Declined"]);
}

#[test]
fn naps_end_at_the_next_edge() {
    let mut bench = Bench::new();
    assert_eq!(bench.watch.nap(now(0)), NAP);
    let grant = bench.grant("a", 0, 600);
    bench.apply(&[grant], now(0));
    let mut close = now(599);
    close.wall = close.wall.checked_add(Duration::from_millis(750)).unwrap();
    assert_eq!(bench.watch.nap(close), Duration::from_millis(250));
    assert_eq!(bench.watch.nap(now(599)), NAP);
}

#[test]
fn what_is_long_over_is_forgotten() {
    let mut bench = Bench::new();
    let grant = bench.grant("a", 0, 600);
    bench.apply(&[grant], now(0));
    bench.apply(&[], now(700));
    assert_eq!(bench.watch.memory().sights.len(), 1);
    bench.tick(now(600 + 7 * 86_400));
    assert_eq!(bench.watch.memory().sights.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the wall clock does, and however often the agent is restarted or the part vanishes and returns.
    #[test]
    fn no_grant_is_active_past_its_length_in_boot_time(
        steps in prop::collection::vec((-2000i64..2000, 0i64..200, 0u8..4), 1..30),
    ) {
        let mut bench = Bench::new();
        let grant = bench.grant("a", 0, 600);
        let parts = [grant];
        let mut boot = 0;
        bench.apply(&parts, now(0));
        let mut over = false;
        for (wall, passed, what) in steps {
            boot += passed;
            let reading = read(wall, boot);
            match what {
                0 => drop(bench.apply(&[], reading)),
                1 => drop(bench.apply(&parts, reading)),
                2 => drop(bench.restart(BOOT, &parts, reading)),
                _ => drop(bench.tick(reading)),
            }
            let active = bench.watch.rows(reading).iter().any(|row| row.standing == Standing::Active);
            over |= boot >= 600 || (!active && what != 0 && wall >= 600);
            prop_assert!(!(over && active), "active {boot} s after its start");
        }
    }
}
