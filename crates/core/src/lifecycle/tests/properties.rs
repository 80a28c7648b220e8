//! Properties over random histories. What a grant needs is told here from what people wrote alone, not by the code that
//! is tried.

use proptest::prelude::*;

use super::*;
use crate::approval::rule::AutomaticRule;
use crate::decision::Decision;
use crate::lock::Lock;

#[derive(Debug, Clone)]
enum Happening {
    Decide(String),
    Look(i64),
    Delete,
    EditPolicy,
    Suspend(bool),
    Guard(Guard),
    Lock(Lock),
    Unlock,
    Endpoint(bool),
    Fleet(bool),
}

/// Who may never count: the person under both names, and the owner.
const BANNED: [&str; 3] = ["alice@corp", "alice-admin@corp", "olga@corp"];
const PEOPLE: [&str; 7] =
    ["alice@corp", "alice-admin@corp", "olga@corp", "bob@corp", "bob-admin@corp", "carol@corp", "dan@corp"];

fn line() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "approve",
        "approve",
        "approve stage=managers",
        "approve stage=security",
        "approve for=5m",
        "approve for=48h",
        "approve stage=x",
        "deny",
        "revoke",
        "end",
        "garbage",
    ]);
    (prop::sample::select(PEOPLE.to_vec()), words).prop_map(|(who, word)| format!("{who} {word}"))
}

fn approval() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec!["approve", "approve stage=managers", "approve stage=security"]);
    (prop::sample::select(PEOPLE.to_vec()), words).prop_map(|(who, word)| format!("{who} {word}"))
}

fn guard() -> impl Strategy<Value = Guard> {
    prop::sample::select(vec![Guard::Passed, Guard::Passed, waiting(), open(), Guard::Repaired])
}

fn lock() -> impl Strategy<Value = Lock> {
    let effect = prop::sample::select(vec![Effect::DeclineNew, Effect::EndAccess]);
    let people = prop::sample::subsequence(PEOPLE.to_vec(), 0..3);
    let policy = prop::sample::select(vec![None, Some("dev-tools"), Some("other")]);
    let expires = prop::option::of(-100i64..15_000);
    (effect, people, policy, expires, 0u8..9).prop_map(|(effect, people, policy, expires, number)| Lock {
        name: format!("lock-{number}").parse().unwrap(),
        target: LockTarget {
            policies: policy.into_iter().map(|name| name.parse().unwrap()).collect(),
            ..identities(&people)
        },
        effect,
        message: String::new(),
        expires_at: expires.map(at),
    })
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => line().prop_map(Happening::Decide),
        6 => approval().prop_map(Happening::Decide),
        8 => (-5_000i64..20_000).prop_map(Happening::Look),
        8 => (0i64..3_000).prop_map(Happening::Look),
        1 => Just(Happening::Delete),
        1 => Just(Happening::EditPolicy),
        1 => any::<bool>().prop_map(Happening::Suspend),
        2 => guard().prop_map(Happening::Guard),
        1 => lock().prop_map(Happening::Lock),
        1 => Just(Happening::Unlock),
        1 => any::<bool>().prop_map(Happening::Endpoint),
        1 => any::<bool>().prop_map(Happening::Fleet),
    ]
}

/// How a request is asked, and under what.
#[derive(Debug, Clone)]
struct Start {
    start: Option<i64>,
    stages: &'static [(&'static str, u32)],
    rule: Option<u64>,
}

fn start() -> impl Strategy<Value = Start> {
    let stages: Vec<&'static [(&'static str, u32)]> =
        vec![&[], &[("managers", 1), ("security", 1)], &[("managers", 2)], &[("security", 1), ("managers", 2)]];
    let rule = prop::option::weighted(0.2, prop::sample::select(vec![600u64, 3_600]));
    (prop::option::of(-100i64..15_000), prop::sample::select(stages), rule).prop_map(|(start, stages, rule)| Start {
        start,
        stages,
        rule,
    })
}

fn world(start: &Start) -> World {
    let mut world = World::new(request());
    let two = ["bob@corp", "bob-admin@corp"].map(|name| name.parse().unwrap()).into();
    let bob = crate::endpoint::AccountEntry { identities: two, groups: BTreeSet::new() };
    world.endpoint().accounts.insert("bob".parse().unwrap(), bob);
    world.request.wish.start = start.start.map(at);
    world.stages(start.stages);
    world.policy().rules.approval.automatic = start.rule.map(rule).into_iter().collect();
    world
}

fn rule(seconds: u64) -> AutomaticRule {
    AutomaticRule {
        name: "quick".parse().unwrap(),
        accounts: None,
        endpoints: None,
        applications: Vec::new(),
        max_duration: Some(Duration::from_secs(seconds)),
    }
}

fn happen(world: &mut World, happening: &Happening) {
    match happening {
        Happening::Decide(line) => world.decide(line),
        Happening::Look(_) => {}
        Happening::Delete => world.request.deleting = true,
        Happening::EditPolicy => {
            world.policy().rules.targets.accounts.except.names.insert("zoe".parse().unwrap());
        }
        Happening::Suspend(suspended) => world.policy().suspended = *suspended,
        Happening::Guard(guard) => world.guard = guard.clone(),
        Happening::Lock(lock) => world.fleet.switches.locks.push(lock.clone()),
        Happening::Unlock => world.fleet.switches.locks.clear(),
        Happening::Endpoint(true) => {
            world.endpoint = self::world(&Start { start: None, stages: &[], rule: None }).endpoint
        }
        Happening::Endpoint(false) => world.endpoint = Lookup::Unreadable("spec".into()),
        Happening::Fleet(signed) => world.fleet.requires = signed.then_some(crate::envelope::fixture::requires(5, 5)),
    }
}

/// Is what people wrote enough for the stages? Every stage takes its approvals from people who are all different.
fn is_approved(world: &World, start: &Start) -> bool {
    let approvals: Vec<(String, Option<String>)> = world
        .request
        .decisions
        .values()
        .filter_map(|line| line.parse::<Decision>().ok())
        .filter(|d| d.verb == Verb::Approve && !BANNED.contains(&d.by.as_str()))
        .map(|d| (d.by.to_string().replace("-admin", ""), d.stage.map(|stage| stage.to_string())))
        .collect();
    let stages: &[(&str, u32)] = if start.stages.is_empty() { &[("default", 1)] } else { start.stages };
    let seats: Vec<&str> = stages.iter().flat_map(|(name, n)| (0..*n).map(move |_| *name)).collect();
    seat(&seats, &approvals, &mut Vec::new())
}

fn seat(seats: &[&str], approvals: &[(String, Option<String>)], seated: &mut Vec<String>) -> bool {
    let Some((first, others)) = seats.split_first() else { return true };
    approvals.iter().any(|(person, stage)| {
        if seated.contains(person) || stage.as_deref().is_some_and(|stage| stage != *first) {
            return false;
        }
        seated.push(person.clone());
        let all = seat(others, approvals, seated);
        seated.pop();
        all
    })
}

/// What must hold after each look.
fn holds(world: &World, start: &Start, ended: Option<State>, second: i64) -> Result<(), TestCaseError> {
    let Some(status) = &world.request.status else { return Ok(()) };
    let by_rule = start.rule.is_some_and(|seconds| seconds >= 1_800);
    if status.state.is_granted() || !world.signed.is_empty() {
        prop_assert!(by_rule || is_approved(world, start), "granted without a rule and without the stages met");
    }
    prop_assert!(ended.is_none_or(|ended| status.state == ended), "a final state is final");
    if status.state == State::Active {
        prop_assert_eq!(status.granted.unwrap().position(at(second)), Position::Inside);
        prop_assert_eq!(world.signed.len(), 1, "Active is written together with its grant");
    }
    for grant in &world.signed {
        prop_assert_eq!(Some(grant.interval()), status.granted, "what is signed is what is recorded");
    }
    prop_assert!(world.signed.len() <= 1, "signed twice");
    prop_assert!(world.wake.is_none_or(|wake| wake > at(second)), "a wake that is due already would spin");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_history_breaks_the_invariants(start in start(), history in prop::collection::vec(happening(), 0..20)) {
        let mut world = world(&start);
        let mut ended: Option<State> = None;
        for happening in [Happening::Look(0)].iter().chain(&history) {
            happen(&mut world, happening);
            let Happening::Look(second) = happening else { continue };
            let counted = |world: &World| {
                world.request.status.iter().flat_map(|s| &s.decisions).filter(|d| d.is_counted_approval()).count()
            };
            let before = counted(&world);
            let step = world.look(*second);
            world.signed.extend(step.sign);
            world.wake = step.wake;
            world.request.status = step.status;
            prop_assert!(counted(&world) == before || world.guard == Guard::Passed, "counted without the guard");
            holds(&world, &start, ended, *second)?;
            ended = world.request.status.as_ref().map(|status| status.state).filter(|state| state.is_final());
        }
    }

    #[test]
    fn the_result_is_the_same_however_decisions_are_cut_into_looks(
        start in start(), lines in prop::collection::vec(line(), 0..10), cuts in prop::collection::vec(0usize..3, 10),
    ) {
        let (mut once, mut each) = (world(&start), world(&start));
        once.step(0);
        each.step(0);
        for (line, looks) in lines.iter().zip(cuts) {
            once.decide(line);
            each.decide(line);
            for _ in 0..looks {
                each.step(60);
            }
        }
        once.step(60);
        each.step(60);
        // Whether a grant was signed before the end came depends on when somebody looked; nothing else does.
        let plain = |world: &World| Status { signed: false, ..world.status().clone() };
        prop_assert_eq!(plain(&once), plain(&each));
        prop_assert!(once.signed.len() <= each.signed.len());
    }

    #[test]
    fn a_repeated_look_changes_nothing(
        start in start(), history in prop::collection::vec(happening(), 0..8), second in -100i64..20_000,
    ) {
        let mut world = world(&start);
        world.request.status = world.look(0).status;
        history.iter().for_each(|happening| happen(&mut world, happening));
        let first = world.look(second);
        world.request.status = first.status.clone();
        let again = world.look(second);
        prop_assert_eq!(&again.status, &first.status);
        prop_assert_eq!(again.events, []);
        prop_assert_eq!(again.sign, None);
        prop_assert_eq!(again.wake, first.wake);
    }

    #[test]
    fn a_lock_makes_nothing_more_allowed(
        start in start(), history in prop::collection::vec(happening(), 0..8), lock in lock(),
        looked in any::<bool>(), second in 0i64..12_000,
    ) {
        let mut world = world(&start);
        if looked {
            world.request.status = world.look(0).status;
        }
        for happening in &history {
            happen(&mut world, happening);
            if let Happening::Look(earlier) = happening {
                world.request.status = world.look(*earlier).status;
            }
        }
        let without = world.look(second);
        world.fleet.switches.locks.push(lock.clone());
        let with = world.look(second);
        let granted = |step: &Step| step.status.as_ref().is_some_and(|status| status.state.is_granted());
        prop_assert!(!granted(&with) || granted(&without));
        prop_assert!(with.sign.is_none() || without.sign.is_some());
        let everybody = lock.target.identities.is_empty() && !lock.target.policies.contains(&"other".parse().unwrap());
        if lock.effect == Effect::EndAccess && everybody && lock.is_in_force(at(second)) {
            prop_assert!(!granted(&with) && with.sign.is_none());
        }
    }

    #[test]
    fn the_order_of_locks_and_accounts_is_no_matter(
        start in start(), locks in prop::collection::vec(lock(), 0..5), lines in prop::collection::vec(line(), 0..4),
        second in 0i64..12_000,
    ) {
        let mut world = world(&start);
        world.request.status = world.look(0).status;
        lines.iter().for_each(|line| world.decide(line));
        let mut numbered = locks;
        (0..).zip(&mut numbered).for_each(|(number, lock)| lock.name = format!("lock-{number}").parse().unwrap());
        world.fleet.switches.locks = numbered;
        let one_way = world.look(second);
        world.fleet.switches.locks.reverse();
        prop_assert_eq!(world.look(second), one_way);
    }
}
