//! Everything that can happen to a request in a small world, searched breadth first with `step` as it is: people append
//! decisions and delete, time passes, controllers look, write by compare-and-set, and crash before every write. The
//! search finds what broken controllers do, which shows that it can find something.

mod search;

use self::search::{Broken, Model, Violation};
use super::*;

/// Approvals of both stages by everybody who may and who may not, and two ways to end; the third is in `FEW`.
const PEOPLE: &[&str] = &[
    "bob@corp approve",
    "bob-admin@corp approve stage=managers",
    "carol@corp approve",
    "alice@corp approve",
    "alice-admin@corp approve stage=security",
    "eve@corp deny",
    "alice@corp end",
];

/// The same with fewer people, for two controllers.
const FEW: &[&str] = &["bob@corp approve", "carol@corp approve", "eve@corp revoke"];

#[expect(clippy::disallowed_macros, reason = "the size of the search is shown with --nocapture")]
fn report(name: &str, model: &Model, found: &Result<usize, Violation>) {
    match found {
        Ok(states) => println!("{name}: {states} states, {} judgements", model.judgements()),
        Err(violation) => println!("{name}: {violation}"),
    }
}

#[test]
fn one_controller_that_crashes_anywhere_grants_only_what_distinct_people_approved_once() {
    let mut model = Model::new(PEOPLE, 3, 1, Broken::Nothing);
    let found = model.search();
    report("one controller, three decisions", &model, &found);
    assert!(found.is_ok_and(|states| states > 100_000));
}

#[test]
fn two_controllers_with_stale_caches_grant_only_what_distinct_people_approved_once() {
    let mut model = Model::new(FEW, 3, 2, Broken::Nothing);
    let found = model.search();
    report("two controllers, three decisions", &model, &found);
    assert!(found.is_ok_and(|states| states > 100_000));
}

#[test]
fn the_search_finds_what_broken_controllers_do() {
    for (broken, alphabet, controllers, wanted) in [
        (Broken::WritesWithoutComparing, FEW, 2, &["granted twice", "came back after its end"][..]),
        (Broken::TakesTheAskerForAnother, PEOPLE, 1, &["Active without the stages met by distinct people"]),
        (Broken::CountsPeopleTwice, PEOPLE, 1, &["Active without the stages met by distinct people"]),
        (Broken::ForgetsTheEnd, FEW, 1, &["came back after its end", "granted twice"]),
    ] {
        let mut model = Model::new(alphabet, 3, controllers, broken);
        let found = model.search();
        report(&format!("{broken:?}"), &model, &found);
        let violation = found.expect_err("a broken controller is caught");
        assert!(wanted.contains(&violation.what), "{broken:?}: {violation}");
        assert!(violation.path.len() <= 12, "the shortest way there: {violation}");
    }
}
