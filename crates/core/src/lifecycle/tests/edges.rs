//! The state table as data: every cause, in every place where a request can stand, with where it leads. Where a cause
//! is not listed for a place it changes nothing there (a request that nobody has looked at yet is accepted). `states`
//! writes the page from it.

mod causes;

pub(in crate::lifecycle::tests) use self::causes::causes;
use super::*;
use EventKind as E;
use Place::{
    Active, Declined, Denied, Ended, Expired, Held, New, Pending, Revoked, Scheduled, Signed, TimedOut, Withdrawn,
};

/// Where a request stands: its state, and whether its grant is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    New,
    Held,
    Pending,
    Scheduled,
    Signed,
    Active,
    Declined,
    Denied,
    Withdrawn,
    TimedOut,
    Expired,
    Revoked,
    Ended,
}

/// What can happen.
pub(super) struct Cause {
    /// In the picture.
    pub(super) short: &'static str,
    /// In the table.
    pub(super) text: &'static str,
    act: fn(&mut World),
    /// Where it can happen, and the second at which it does; others are [`Place::second`].
    only: &'static [(Place, i64)],
    pub(super) edges: Vec<Edge>,
}

/// Where it leads.
pub(super) struct Edge {
    pub(super) from: Place,
    pub(super) to: Place,
    pub(super) events: Vec<EventKind>,
    /// The reason of a declined request, or of a decision that does not count.
    pub(super) reason: &'static str,
    /// Part of what people are told.
    message: &'static str,
}

/// The places in which something can change.
pub(super) const OPEN: [Place; 6] = [New, Held, Pending, Scheduled, Signed, Active];
const FINAL: [Place; 7] = [Declined, Denied, Withdrawn, TimedOut, Expired, Revoked, Ended];

// === impl Place ===

impl Place {
    pub(super) fn text(self) -> &'static str {
        match self {
            New => "(new)",
            Held => "Held",
            Pending => "Pending",
            Scheduled => "Scheduled",
            Signed => "Scheduled, signed",
            Active => "Active",
            Declined => "Declined",
            Denied => "Denied",
            Withdrawn => "Withdrawn",
            TimedOut => "TimedOut",
            Expired => "Expired",
            Revoked => "Revoked",
            Ended => "Ended",
        }
    }

    pub(super) fn of(status: Option<&Status>) -> Self {
        let Some(status) = status else { return New };
        match status.state {
            State::Held => Held,
            State::Pending => Pending,
            State::Declined => Declined,
            State::Denied => Denied,
            State::Withdrawn => Withdrawn,
            State::TimedOut => TimedOut,
            State::Scheduled if status.signed => Signed,
            State::Scheduled => Scheduled,
            State::Active => Active,
            State::Expired => Expired,
            State::Revoked => Revoked,
            State::Ended => Ended,
        }
    }

    /// A request that stands there, asked under two stages: `managers`, then `security`.
    fn world(self) -> World {
        let mut world = World::new(request());
        world.stages(&[("managers", 1), ("security", 1)]);
        let start = if matches!(self, Scheduled | Signed) { Some(at(10_000)) } else { None };
        world.request.wish.start = start;
        match self {
            New => return world,
            Held => world.guard = waiting(),
            Declined => world.policy().suspended = true,
            Pending | Scheduled | Signed | Active | Denied | Withdrawn | TimedOut | Expired | Revoked | Ended => {}
        }
        world.step(0);
        match self {
            New | Held | Pending | Declined => {}
            Scheduled | Signed | Active | Expired | Revoked | Ended => both_approve(&mut world),
            Denied => world.decide("bob@corp deny"),
            Withdrawn => world.decide("alice@corp end"),
            TimedOut => after(&mut world, 3_600),
        }
        world.step(10);
        match self {
            Signed => after(&mut world, 6_400),
            Expired => after(&mut world, 1_810),
            Revoked => world.decide("eve@corp revoke"),
            Ended => world.decide("alice@corp end"),
            New | Held | Pending | Scheduled | Active | Declined | Denied | Withdrawn | TimedOut => {}
        }
        let last = if self == Expired { 1_811 } else { 11 };
        world.step(if self == Signed { 6_401 } else { last });
        assert_eq!(Self::of(world.request.status.as_ref()), self);
        world
    }

    fn second(self) -> i64 {
        match self {
            Signed => 6_500,
            New | Held | Pending | Scheduled | Active | Declined | Denied | Withdrawn | TimedOut | Expired
            | Revoked | Ended => 20,
        }
    }
}

// === impl Cause ===

impl Cause {
    fn new(short: &'static str, text: &'static str, act: fn(&mut World)) -> Self {
        Self { short, text, act, only: &[], edges: Vec::new() }
    }

    fn only(mut self, places: &'static [(Place, i64)]) -> Self {
        self.only = places;
        self
    }

    fn to(mut self, from: &[Place], to: Place, events: &[EventKind], message: &'static str) -> Self {
        let edge = |from: &Place| Edge { from: *from, to, events: events.to_vec(), reason: "", message };
        self.edges.extend(from.iter().map(edge));
        self
    }

    fn declined(mut self, from: &[Place], reason: &'static str, message: &'static str) -> Self {
        let edge = |from: &Place| Edge { from: *from, to: Declined, events: vec![E::Declined], reason, message };
        self.edges.extend(from.iter().map(edge));
        self
    }

    fn ignored(mut self, from: &[Place], reason: &'static str, count: usize) -> Self {
        let edge = |from: &Place| Edge {
            from: *from,
            to: *from,
            events: vec![E::DecisionIgnored; count],
            reason,
            message: "",
        };
        self.edges.extend(from.iter().map(edge));
        self
    }

    /// Where it can happen, when, and where it leads.
    pub(super) fn cases(&self) -> Vec<(Place, i64, Edge)> {
        let everywhere: Vec<(Place, i64)> = OPEN.map(|place| (place, place.second())).into();
        let places = if self.only.is_empty() { &everywhere } else { &self.only.to_vec() };
        let case = |(place, second): &(Place, i64)| (*place, *second, self.edge(*place));
        places.iter().map(case).collect()
    }

    fn edge(&self, from: Place) -> Edge {
        let listed = self.edges.iter().find(|edge| edge.from == from);
        match (listed, from) {
            (Some(Edge { from, to, events, reason, message }), _) => {
                Edge { from: *from, to: *to, events: events.clone(), reason, message }
            }
            (None, New) => Edge { from, to: Pending, events: vec![E::Accepted], reason: "", message: "waiting for" },
            (None, _) => Edge { from, to: from, events: Vec::new(), reason: "", message: "" },
        }
    }
}

fn after(world: &mut World, second: i64) {
    world.step(second);
}

fn both_approve(world: &mut World) {
    world.decide("bob@corp approve");
    world.decide("carol@corp approve");
}

#[test]
fn every_cause_leads_from_every_place_where_the_table_says() {
    for cause in causes() {
        for (from, second, expected) in cause.cases() {
            let mut world = from.world();
            let decided = world.request.status.as_ref().map_or(0, |status| status.decisions.len());
            (cause.act)(&mut world);
            let was_signed = world.request.status.as_ref().is_some_and(|status| status.signed);
            let step = world.look(second);
            let what = format!("{} in {from:?}", cause.text);
            assert_eq!(Place::of(step.status.as_ref()), expected.to, "{what}");
            let events: Vec<EventKind> = step.events.iter().map(|event| event.kind).collect();
            assert_eq!(events, expected.events, "{what}");
            let now_signed = step.status.as_ref().is_some_and(|status| status.signed);
            assert_eq!(step.sign.is_some(), now_signed && !was_signed, "{what}");
            assert!(!was_signed || now_signed, "{what}");
            let Some(status) = step.status else { continue };
            let told = step.events.last().map_or(status.message.as_str(), |event| &event.message);
            assert!(told.contains(expected.message), "{what}: {told}");
            let ignored = status.decisions.iter().skip(decided).rev().find_map(|d| d.ignored.as_ref());
            let reasons = [status.declined.map(|r| r.to_string()), ignored.map(|(r, _)| r.to_string())];
            let reason = reasons.into_iter().flatten().next().unwrap_or_default();
            assert!(expected.reason.is_empty() || reason == expected.reason, "{what}: {reason}");
        }
    }
}

#[test]
fn no_cause_changes_a_final_state() {
    for cause in causes() {
        for place in FINAL {
            for second in [-90, 20, 3_600, 6_500, 10_000, 11_800] {
                let mut world = place.world();
                (cause.act)(&mut world);
                let before = world.status().clone();
                let step = world.look(second);
                assert_eq!(Place::of(step.status.as_ref()), place, "{} in {place:?}", cause.text);
                assert!(step.events.iter().all(|event| event.kind == E::DecisionIgnored), "{:?}", step.events);
                assert_eq!((step.sign, step.wake), (None, None), "{} in {place:?}", cause.text);
                let status = Status { decisions: before.decisions.clone(), ..step.status.unwrap() };
                assert_eq!(status, before, "{} in {place:?}", cause.text);
            }
        }
    }
}

#[test]
fn every_state_and_every_event_is_in_the_table() {
    let edges: Vec<Edge> = causes().iter().flat_map(|cause| cause.cases()).map(|(_, _, edge)| edge).collect();
    for place in OPEN.into_iter().chain(FINAL) {
        assert!(place == New || edges.iter().any(|edge| edge.to == place && edge.from != place), "{place:?}");
    }
    for kind in [E::Held, E::Accepted, E::Declined, E::Approved, E::Denied, E::TimedOut, E::Withdrawn, E::Activated]
        .into_iter()
        .chain([E::Expired, E::Revoked, E::Ended, E::DecisionIgnored])
    {
        assert!(edges.iter().any(|edge| edge.events.contains(&kind)), "{kind:?}");
    }
}
