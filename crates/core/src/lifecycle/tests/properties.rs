//! Properties over random histories.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Happening {
    Decide(String),
    Look(i64),
    Delete,
    EditPolicy,
    Guard(Guard),
}

fn happening() -> impl Strategy<Value = Happening> {
    let people = prop::sample::select(vec!["alice@corp", "alice-admin@corp", "olga@corp", "bob@corp", "carol@corp"]);
    let words = prop::sample::select(vec![
        "approve",
        "approve for=5m",
        "approve for=48h",
        "approve stage=x",
        "deny",
        "revoke",
        "end",
        "garbage",
    ]);
    prop_oneof![
        5 => (people, words).prop_map(|(who, word)| Happening::Decide(format!("{who} {word}"))),
        6 => (-5_000i64..20_000).prop_map(Happening::Look),
        1 => Just(Happening::Delete),
        1 => Just(Happening::EditPolicy),
        2 => prop::sample::select(vec![Guard::Passed, waiting(), open(), Guard::Repaired]).prop_map(Happening::Guard),
    ]
}

fn wish_start() -> impl Strategy<Value = Option<i64>> {
    prop::option::of(-100i64..15_000)
}

fn others_approved(status: &Status) -> bool {
    let banned = ["alice@corp", "alice-admin@corp", "olga@corp"];
    status.decisions.iter().any(|d| {
        d.ignored.is_none()
            && d.verb == Some(Verb::Approve)
            && d.by.as_ref().is_some_and(|by| !banned.contains(&by.as_str()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_history_breaks_the_invariants(start in wish_start(), history in prop::collection::vec(happening(), 0..25)) {
        let mut request = request();
        request.wish.start = start.map(at);
        let mut world = World::new(request);
        world.step(0);
        let mut ended: Option<State> = None;
        for happening in history {
            match happening {
                Happening::Decide(line) => world.decide(&line),
                Happening::Delete => world.request.deleting = true,
                Happening::Guard(guard) => world.guard = guard,
                Happening::EditPolicy => {
                    if let Lookup::Found(p) = &mut world.policy {
                        p.rules.targets.accounts.except.names.insert("zoe".parse().unwrap());
                    }
                }
                Happening::Look(second) => {
                    let (believed, granted) = (world.guard == Guard::Passed, others_approved(world.status()));
                    let state = world.step(second);
                    let status = world.status();
                    if !granted && others_approved(status) {
                        prop_assert!(believed, "an approval counted without the guard");
                    }
                    if let Some(ended) = ended {
                        prop_assert_eq!(state, ended, "a final state is final");
                    }
                    ended = state.is_final().then_some(state);
                    if state.is_granted() || !world.signed.is_empty() {
                        prop_assert!(others_approved(status), "granted without another's approval");
                    }
                    if state == State::Active {
                        prop_assert!(status.granted.unwrap().position(at(second)) == Position::Inside);
                        prop_assert!(status.signed, "Active is written together with its grant");
                    }
                    prop_assert!(world.signed.len() <= 1, "signed twice");
                    if let Some(wake) = world.wake {
                        prop_assert!(wake > at(second), "a wake that is due already would spin");
                    }
                }
            }
        }
    }

    #[test]
    fn folding_at_once_or_one_by_one_gives_the_same_result(
        lines in prop::collection::vec(happening(), 0..10), repeats in 1usize..3,
    ) {
        let lines: Vec<String> = lines.into_iter().filter_map(|h| match h {
            Happening::Decide(line) => Some(line),
            Happening::Look(_) | Happening::Delete | Happening::EditPolicy | Happening::Guard(_) => None,
        }).collect();
        let mut once = World::pending();
        let mut each = World::pending();
        for line in &lines {
            once.decide(line);
            each.decide(line);
            for _ in 0..repeats {
                each.step(60);
            }
        }
        once.step(60);
        each.step(60);
        let plain = |world: &World| {
            let s = world.status();
            (s.state, s.denied, s.granted, s.decisions.clone())
        };
        prop_assert_eq!(plain(&once), plain(&each));
    }

    #[test]
    fn a_repeated_step_changes_nothing(second in 0i64..10_000, line in "(bob@corp|alice@corp) (approve|deny|end|revoke)") {
        let mut world = World::pending();
        world.decide(&line);
        world.step(second);
        let (before, events) = (world.status().clone(), world.events.len());
        world.step(second);
        prop_assert_eq!(&before, world.status());
        prop_assert_eq!(events, world.events.len());
    }
}
