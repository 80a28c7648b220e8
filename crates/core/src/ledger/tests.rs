//! Who has how many requests open, under any interleaving.

use proptest::prelude::*;

use super::*;
use crate::lifecycle::fixture::{World, at, request};
use crate::reason::DeclineReason;

fn names(names: &[&str]) -> Vec<Identity> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// The request of this number, by this requester, for herself.
fn numbered(number: usize, requester: &str) -> Request {
    let mut request = request();
    request.reference.uid = format!("r-{number}").parse().unwrap();
    request.reference.name = format!("er-{number}").parse().unwrap();
    request.wish.requester = requester.parse().unwrap();
    request
}

fn status(state: State) -> Status {
    let mut status = World::pending().status().clone();
    status.identity = None;
    status.state = state;
    status
}

fn open_names(open: &OpenRequests) -> Vec<&str> {
    open.of_person.iter().map(|open| open.name.as_str()).collect()
}

#[test]
fn pending_and_scheduled_requests_are_open_and_no_others() {
    for state in State::ALL {
        let mut ledger = Ledger::default();
        ledger.note(&numbered(1, "alice@corp"), Some(&status(state)), &[], None);
        assert_eq!(ledger.len(), usize::from(matches!(state, State::Pending | State::Scheduled)), "{state}");
    }
    let mut ledger = Ledger::default();
    ledger.note(&numbered(1, "alice@corp"), None, &[], None);
    assert!(ledger.is_empty());
}

#[test]
fn what_has_ended_or_is_gone_is_not_open_any_more() {
    let mut ledger = Ledger::default();
    let (one, two) = (numbered(1, "alice@corp"), numbered(2, "alice@corp"));
    ledger.note(&one, Some(&status(State::Pending)), &[], Some(at(60)));
    ledger.note(&two, Some(&status(State::Scheduled)), &[], None);
    let beside = ledger.beside(&numbered(3, "alice@corp"), &[]);
    assert_eq!(open_names(&beside), ["er-1", "er-2"]);
    assert_eq!(beside.of_person[0].until, Some(at(60)));
    ledger.note(&one, Some(&status(State::Active)), &[], None);
    assert_eq!(open_names(&ledger.beside(&numbered(3, "alice@corp"), &[])), ["er-2"]);
    ledger.forget(&two.reference.uid);
    assert!(ledger.is_empty());
    assert_eq!(ledger.beside(&numbered(3, "alice@corp"), &[]), OpenRequests::default());
}

#[test]
fn a_request_does_not_stand_beside_itself() {
    let mut ledger = Ledger::default();
    let request = numbered(1, "alice@corp");
    ledger.note(&request, Some(&status(State::Pending)), &[], None);
    ledger.note(&request, Some(&status(State::Pending)), &[], None);
    assert_eq!(ledger.len(), 1);
    assert_eq!(ledger.beside(&request, &[]), OpenRequests::default());
}

#[test]
fn a_person_is_one_under_all_names() {
    let mut ledger = Ledger::default();
    let person = names(&["alice@corp", "alice-admin@corp"]);
    ledger.note(&numbered(1, "alice@corp"), Some(&status(State::Pending)), &person, None);
    assert_eq!(open_names(&ledger.beside(&numbered(2, "alice-admin@corp"), &person)), ["er-1"]);
    assert_eq!(open_names(&ledger.beside(&numbered(2, "bob@corp"), &names(&["bob@corp"]))), [""; 0]);
}

#[test]
fn who_was_the_person_at_acceptance_is_counted_though_the_account_is_another_persons_now() {
    let mut ledger = Ledger::default();
    let mut recorded = status(State::Pending);
    recorded.identity = "alice@corp".parse().ok();
    let mut request = numbered(1, "help@corp");
    request.wish.on_behalf = true;
    ledger.note(&request, Some(&recorded), &names(&["zoe@corp"]), None);
    assert_eq!(open_names(&ledger.beside(&numbered(2, "alice@corp"), &[])), ["er-1"]);
    assert_eq!(open_names(&ledger.beside(&numbered(2, "zoe@corp"), &[])), ["er-1"]);
}

#[test]
fn what_is_asked_on_behalf_counts_for_the_person_and_not_for_the_asker() {
    let mut ledger = Ledger::default();
    let mut for_alice = numbered(1, "help@corp");
    for_alice.wish.on_behalf = true;
    ledger.note(&for_alice, Some(&status(State::Pending)), &names(&["alice@corp"]), None);
    let mut for_zoe = numbered(2, "help@corp");
    for_zoe.wish.on_behalf = true;
    assert_eq!(open_names(&ledger.beside(&for_zoe, &names(&["zoe@corp"]))), [""; 0]);
    assert_eq!(open_names(&ledger.beside(&numbered(3, "help@corp"), &names(&["help@corp"]))), [""; 0]);
    assert_eq!(open_names(&ledger.beside(&numbered(3, "alice@corp"), &names(&["alice@corp"]))), ["er-1"]);
}

#[test]
fn an_endpoint_counts_everybodys() {
    let mut ledger = Ledger::default();
    for number in 0..MAX_OPEN_AT_ENDPOINT {
        let person = format!("person-{number}@corp");
        ledger.note(&numbered(number, &person), Some(&status(State::Pending)), &[], None);
    }
    let mut elsewhere = numbered(98, "x@corp");
    elsewhere.wish.endpoint = "ws-043".parse().unwrap();
    ledger.note(&elsewhere, Some(&status(State::Pending)), &[], None);
    let mut world = World::new(numbered(99, "alice@corp"));
    world.open = ledger.beside(&world.request, &names(&["alice@corp"]));
    assert_eq!((world.open.at_endpoint, world.open.of_person.len()), (16, 0));
    assert_eq!(world.step(0), State::Declined);
    assert_eq!(world.status().declined, Some(DeclineReason::TooManyOpenRequests));
    ledger.forget(&"r-0".parse().unwrap());
    let mut world = World::new(numbered(99, "alice@corp"));
    world.open = ledger.beside(&world.request, &names(&["alice@corp"]));
    assert_eq!(world.step(0), State::Pending);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Requests of two people are looked at in any order and again and again, as fifty creations at once are.
    #[test]
    fn never_more_are_open_than_allowed(max in 1u32..4, looks in prop::collection::vec((0usize..8, 0u8..6), 1..16)) {
        let person = |number: usize| if number.is_multiple_of(3) { "alice@corp" } else { "alice-admin@corp" };
        let people = names(&["alice@corp", "alice-admin@corp"]);
        let mut ledger = Ledger::default();
        let mut requests: Vec<Request> = (0..8).map(|number| numbered(number, person(number))).collect();
        for (number, what) in looks {
            let mut world = World::new(requests[number].clone());
            world.fleet.settings.max_open_requests = max;
            world.open = ledger.beside(&world.request, &people);
            if what == 0 && world.request.status.is_some() {
                world.decide("alice@corp end");
            }
            let was_open = world.request.status.is_some();
            let (before, state) = (ledger.len(), world.step(0));
            if !was_open {
                let room = before < usize::try_from(max).unwrap();
                prop_assert_eq!(state, if room { State::Pending } else { State::Declined });
            }
            ledger.note(&world.request, world.request.status.as_ref(), &people, None);
            requests[number] = world.request;
            prop_assert!(ledger.len() <= usize::try_from(max).unwrap());
        }
    }
}
