//! The semantics of label selectors as Kubernetes has them, and that `except` wins.

use proptest::prelude::*;

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn expression(operator: Operator, values: &[&str]) -> Expression {
    Expression { key: "team".to_owned(), operator, values: values.iter().map(|v| (*v).to_owned()).collect() }
}

fn selector(match_labels: &[(&str, &str)], match_expressions: Vec<Expression>) -> Selector {
    Selector { match_labels: labels(match_labels), match_expressions }
}

#[test]
fn a_selector_matches_as_kubernetes_label_selectors_do() {
    use Operator::{DoesNotExist, Exists, In, NotIn};
    let (dev, ops, none) = (labels(&[("team", "dev"), ("tier", "low")]), labels(&[("team", "ops")]), Labels::new());
    let one = |operator, values: &[&str]| selector(&[], vec![expression(operator, values)]);
    for (what, selector, on_dev, on_ops, on_none) in [
        ("an empty selector matches everything", Selector::default(), true, true, true),
        ("one label", selector(&[("team", "dev")], vec![]), true, false, false),
        ("all labels must match", selector(&[("team", "dev"), ("tier", "high")], vec![]), false, false, false),
        ("keys and values are case sensitive", selector(&[("Team", "DEV")], vec![]), false, false, false),
        ("In: one of the values", one(In, &["dev", "qa"]), true, false, false),
        ("In nothing: never", one(In, &[]), false, false, false),
        ("NotIn: another value or no label", one(NotIn, &["dev"]), false, true, true),
        ("Exists: any value", one(Exists, &[]), true, true, false),
        ("DoesNotExist: no label", one(DoesNotExist, &[]), false, false, true),
        (
            "labels and expressions must both match",
            selector(&[("tier", "low")], vec![expression(NotIn, &["ops"])]),
            true,
            false,
            false,
        ),
        (
            "all expressions must match",
            selector(&[], vec![expression(Exists, &[]), expression(NotIn, &["dev"])]),
            false,
            true,
            false,
        ),
    ] {
        assert_eq!(selector.matches(&dev), on_dev, "{what}: team=dev,tier=low");
        assert_eq!(selector.matches(&ops), on_ops, "{what}: team=ops");
        assert_eq!(selector.matches(&none), on_none, "{what}: no labels");
    }
}

#[test]
fn names_reach_exactly_the_named_endpoints() {
    let target = EndpointTarget::Names(["ws-042".parse().unwrap()].into());
    assert!(target.reaches(&"ws-042".parse().unwrap(), &Labels::new()));
    assert!(!target.reaches(&"ws-0421".parse().unwrap(), &labels(&[("team", "dev")])));
    assert!(!EndpointTarget::Names(BTreeSet::new()).reaches(&"ws-042".parse().unwrap(), &Labels::new()));
}

fn accounts(names: &[&str]) -> BTreeSet<Account> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn groups(names: &[&str]) -> BTreeSet<Group> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn except_wins_over_every_way_to_be_reached() {
    let alice: Account = "alice".parse().unwrap();
    let hers = groups(&["developers", "interns"]);
    let ways = [
        ("everyone", AccountTarget { everyone: true, ..AccountTarget::default() }),
        ("by name", AccountTarget { names: accounts(&["alice"]), ..AccountTarget::default() }),
        ("by group", AccountTarget { groups: groups(&["developers"]), ..AccountTarget::default() }),
        (
            "every way at once",
            AccountTarget {
                everyone: true,
                names: accounts(&["alice"]),
                groups: groups(&["developers"]),
                ..AccountTarget::default()
            },
        ),
    ];
    let exceptions = [
        ("her name", AccountSet { names: accounts(&["alice"]), ..AccountSet::default() }),
        ("one of her groups", AccountSet { groups: groups(&["interns"]), ..AccountSet::default() }),
        ("the group that reaches her", AccountSet { groups: groups(&["developers"]), ..AccountSet::default() }),
    ];
    for (way, target) in ways {
        assert!(target.reaches(&alice, &hers), "{way}");
        for (who, except) in &exceptions {
            let target = AccountTarget { except: except.clone(), ..target.clone() };
            assert!(!target.reaches(&alice, &hers), "{way}, except {who}");
        }
        let others = AccountSet { names: accounts(&["bob"]), groups: groups(&["ops"]) };
        let target = AccountTarget { except: others, ..target };
        assert!(target.reaches(&alice, &hers), "{way}, except others");
    }
}

#[test]
fn an_account_that_nothing_names_is_not_reached() {
    let alice: Account = "alice".parse().unwrap();
    let nobody = AccountTarget::default();
    let others =
        AccountTarget { names: accounts(&["Alice", "bob"]), groups: groups(&["ops"]), ..AccountTarget::default() };
    for target in [nobody, others] {
        assert!(!target.reaches(&alice, &groups(&["developers"])));
        assert!(!target.reaches(&alice, &BTreeSet::new()));
    }
}

fn any_set() -> impl Strategy<Value = (bool, BTreeSet<String>, BTreeSet<String>)> {
    let few = || prop::collection::btree_set("[abc]", 0..3);
    (any::<bool>(), few(), few())
}

proptest! {
    #[test]
    fn whoever_is_excepted_is_never_reached(
        (everyone, names, its_groups) in any_set(),
        (_, except_names, except_groups) in any_set(),
        name in "[abc]",
        own in prop::collection::btree_set("[abc]", 0..3),
    ) {
        let names_of = |set: &BTreeSet<String>| set.iter().map(|n| n.parse().unwrap()).collect();
        let groups_of = |set: &BTreeSet<String>| set.iter().map(|n| n.parse().unwrap()).collect();
        let target = AccountTarget {
            everyone,
            names: names_of(&names),
            groups: groups_of(&its_groups),
            except: AccountSet { names: names_of(&except_names), groups: groups_of(&except_groups) },
        };
        let reached = target.reaches(&name.parse().unwrap(), &groups_of(&own));
        let excepted = except_names.contains(&name) || !except_groups.is_disjoint(&own);
        let meant = everyone || names.contains(&name) || !its_groups.is_disjoint(&own);
        prop_assert_eq!(reached, meant && !excepted);
    }
}
