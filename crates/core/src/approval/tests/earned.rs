//! What a record must show before a grant is signed: whoever can write status still grants nothing.

use super::*;
use crate::approval::rule::AutomaticRule;
use crate::interval::Interval;
use crate::request::Status;

/// What is forged, and how.
type Forgery = (&'static str, fn(&mut World));

/// A request approved by bob for managers and carol for security, its grant not signed yet.
fn scheduled() -> World {
    let mut world = World::new(request());
    world.stages(&[("managers", 1), ("security", 1)]);
    let quick = AutomaticRule {
        name: "quick".parse().unwrap(),
        accounts: None,
        endpoints: None,
        applications: Vec::new(),
        max_duration: Some(Duration::from_secs(60)),
    };
    world.policy().rules.approval.automatic = vec![quick];
    world.request.wish.start = Some(at(10_000));
    world.step(0);
    world.decide("bob@corp approve for=20m");
    world.decide("carol@corp approve stage=security");
    assert_eq!(world.step(5), State::Scheduled);
    world
}

fn status(world: &mut World) -> &mut Status {
    world.request.status.as_mut().unwrap()
}

#[test]
fn what_people_or_a_rule_approved_is_signed() {
    let mut world = scheduled();
    assert_eq!(world.step(10_000), State::Active);
    assert_eq!(world.signed.len(), 1);
    let mut world = scheduled();
    world.request.wish.duration = Some(Duration::from_secs(60));
    world.request.decisions.clear();
    let Status { decisions, rule, granted, .. } = status(&mut world);
    decisions.clear();
    *rule = "quick".parse().ok();
    *granted = Some(Interval { start: at(10_000), end: at(10_060) });
    assert_eq!(world.step(10_000), State::Active);
}

#[test]
fn a_forged_record_grants_nothing() {
    let forgeries: [Forgery; 18] = [
        ("decisions that nobody wrote", |w| w.request.decisions.clear()),
        ("one of two approvals", |w| drop(w.request.decisions.remove(&2))),
        ("no approvals recorded", |w| status(w).decisions.clear()),
        ("another verb", |w| drop(w.request.decisions.insert(1, "bob@corp deny".into()))),
        ("another person", |w| drop(w.request.decisions.insert(1, "dan@corp approve for=20m".into()))),
        ("another person in the record", |w| status(w).decisions[0].by = "dan@corp".parse().ok()),
        ("nobody in the record", |w| status(w).decisions[0].by = None),
        ("another stage", |w| drop(w.request.decisions.insert(2, "carol@corp approve stage=legal".into()))),
        ("the same stage twice", |w| status(w).decisions[0].stage = "security".parse().ok()),
        ("another duration", |w| status(w).decisions[0].duration = None),
        ("a line that is none", |w| drop(w.request.decisions.insert(1, "nonsense".into()))),
        ("an approval beyond the cap", |w| {
            w.request.decisions.insert(33, "bob@corp approve for=20m".into());
            status(w).decisions[0].slot = 33;
        }),
        ("one person twice", |w| {
            w.request.decisions.insert(2, "bob@corp approve stage=security".into());
            status(w).decisions[1].by = "bob@corp".parse().ok();
        }),
        ("one person under two names", |w| {
            let two = crate::endpoint::AccountEntry {
                identities: ["bob@corp", "carol@corp"].map(|name| name.parse().unwrap()).into(),
                ..Default::default()
            };
            w.endpoint().accounts.insert("bob".parse().unwrap(), two);
        }),
        ("the person who asked", |w| {
            w.request.decisions.insert(2, "alice@corp approve stage=security".into());
            status(w).decisions[1].by = "alice@corp".parse().ok();
        }),
        ("the person under another name", |w| {
            w.request.decisions.insert(2, "alice-admin@corp approve stage=security".into());
            status(w).decisions[1].by = "alice-admin@corp".parse().ok();
        }),
        ("the owner of the endpoint", |w| w.endpoint().owner = "carol@corp".parse().ok()),
        ("a longer time", |w| status(w).granted.as_mut().unwrap().end = at(99_999)),
    ];
    for (what, forge) in forgeries {
        let mut world = scheduled();
        forge(&mut world);
        assert_eq!(world.step(10_000), State::Revoked, "{what}");
        assert!(world.signed.is_empty(), "{what}");
        assert!(world.status().message.contains("cannot be believed"), "{what}: {}", world.status().message);
    }
}

#[test]
fn a_forged_rule_grants_nothing() {
    let forgeries: [Forgery; 3] = [
        ("a rule that there is not", |w| status(w).rule = "trusted".parse().ok()),
        ("a rule for less time", |w| status(w).rule = "quick".parse().ok()),
        ("a rule for others' agents", |w| {
            w.policy().rules.approval.automatic[0].max_duration = None;
            let digest = w.policy().rules.digest();
            status(w).policy.as_mut().unwrap().digest = digest;
            w.request.wish.on_behalf = true;
            status(w).rule = "quick".parse().ok();
        }),
    ];
    for (what, forge) in forgeries {
        let mut world = scheduled();
        // The default, which is what the record is measured by where nobody approved.
        status(&mut world).granted = Some(Interval { start: at(10_000), end: at(11_800) });
        world.request.decisions.clear();
        status(&mut world).decisions.clear();
        forge(&mut world);
        assert_eq!(world.step(10_000), State::Revoked, "{what}");
        assert!(world.signed.is_empty(), "{what}");
    }
}

#[test]
fn a_record_out_of_nothing_grants_nothing() {
    for state in [State::Active, State::Scheduled] {
        for signed in [false, true] {
            let mut world = World::pending();
            let forged = status(&mut world);
            forged.state = state;
            forged.granted = Some(Interval { start: at(0), end: at(99_999) });
            forged.signed = signed;
            let step = world.look(10);
            assert_eq!(step.sign, None, "what is recorded as signed without a grant reaches no endpoint either");
            assert!(signed || step.status.unwrap().state == State::Revoked);
        }
    }
}

#[test]
fn without_its_endpoint_a_record_is_neither_signed_nor_taken_back() {
    let mut world = scheduled();
    let readable = std::mem::replace(&mut world.endpoint, crate::request::Lookup::Unreadable("spec".into()));
    assert_eq!(world.step(10_000), State::Scheduled);
    assert!(world.signed.is_empty());
    world.endpoint = readable;
    assert_eq!(world.step(10_001), State::Active);
}
