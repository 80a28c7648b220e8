//! Whose name stands in a decision: names are compared as whole tokens, byte by byte.

use super::super::attempt::Target::{Admins, Erins, Fresh};
use super::super::attempt::{Case, case, decide, no, not, ok};
use super::super::cast::Who::{
    Admin, AdminAsBob, AdminAsMaster, Alice, Bob, Capital, CarolAsBob, Colon, Controller, Erin, Gateway, Lookalike,
    Probe, Quotes, Regex, Slash, Spaced, Stage, Star, Tricky, Zoe,
};
use super::{APPROVE, PROGRAM, SELF, form, mine};

pub fn cases() -> Vec<Case> {
    [forged(), strange(), impersonated(), oneself()].concat()
}

fn forged() -> Vec<Case> {
    vec![
        case("bob as carol", Bob, Fresh, decide(1, "carol@corp approve"), no(mine("bob@corp"))),
        case("bob as the requester", Bob, Fresh, decide(1, "alice@corp end"), no(mine("bob@corp"))),
        case("a name that begins like bob's", Bob, Fresh, decide(1, "bob@corporation approve"), no(mine("bob@corp"))),
        case("a name that ends like bob's", Bob, Fresh, decide(1, "rob:bob@corp approve"), no(mine("bob@corp"))),
        case("bob's name with a colon", Bob, Fresh, decide(1, "bob@corp: approve"), no(mine("bob@corp"))),
        case("bob's name in capitals", Bob, Fresh, decide(1, "BOB@CORP approve"), no(mine("bob@corp"))),
        case("bob's name with a Cyrillic o", Bob, Fresh, decide(1, "b\u{43e}b@corp approve"), no(mine("bob@corp"))),
        case("bob's name in full width", Bob, Fresh, decide(1, "\u{ff42}ob@corp approve"), no(mine("bob@corp"))),
        case("a cluster admin as bob", Admin, Fresh, decide(1, "bob@corp approve"), no(mine("tidegate-test-admin"))),
        case("every verb by *, as bob", Star, Fresh, decide(1, "bob@corp approve"), no(mine("star@corp"))),
        case("the requester as bob", Alice, Fresh, decide(1, "bob@corp approve"), no(mine("alice@corp"))),
        case(
            "the controller as bob",
            Controller,
            Fresh,
            decide(1, "bob@corp approve"),
            no("a decision must start with your own user name"),
        ),
        case(
            "the gateway as bob",
            Gateway,
            Fresh,
            decide(1, "bob@corp approve"),
            no("a decision must start with your own user name"),
        ),
        case(
            "the probe's forgery",
            Probe,
            Fresh,
            decide(1, "somebody@else deny"),
            no("a decision must start with your own user name"),
        ),
        case(
            "as a ServiceAccount",
            Bob,
            Fresh,
            decide(1, "system:serviceaccount:tidegate-system:tidegate-controller approve"),
            no(mine("bob@corp")),
        ),
    ]
}

/// Names with signs that mean something in the line, in a regular expression, or in a file's name.
fn strange() -> Vec<Case> {
    vec![
        case(
            "`bob@corp approve:` as bob, with a comment",
            Tricky,
            Fresh,
            decide(1, "bob@corp approve: approve"),
            no(mine("bob@corp approve:")),
        ),
        case("`bob@corp approve:` as bob", Tricky, Fresh, decide(1, "bob@corp approve"), no(mine("bob@corp approve:"))),
        case("`bob corp` in full", Spaced, Fresh, decide(1, "bob corp approve"), no(form("bob corp"))),
        case("`bob corp` by half", Spaced, Fresh, decide(1, "corp approve"), no(mine("bob corp"))),
        case("`eve:`", Colon, Fresh, decide(1, "eve: approve"), ok()),
        case("`eve:` with a comment", Colon, Fresh, decide(1, "eve: deny: no: never"), ok()),
        case("`eve:` without the colon", Colon, Fresh, decide(1, "eve approve"), no(mine("eve:"))),
        case("`eve:` without a verb", Colon, Fresh, decide(1, "eve: hello"), no(form("eve:"))),
        case("a name with slashes and a hash", Slash, Fresh, decide(1, "https://idp.corp/bob#1 approve for=5m"), ok()),
        case("a name with quotes", Quotes, Fresh, decide(1, "o'brien\"x\"@corp approve"), ok()),
        case("a name with quotes, as bob", Quotes, Fresh, decide(1, "bob@corp approve"), no(mine("o'brien\"x\"@corp"))),
        case("`.*`", Regex, Fresh, decide(1, ".* approve"), ok()),
        case("`.*` as bob", Regex, Fresh, decide(1, "bob@corp approve"), no(mine(".*"))),
        case("`stage=security` in the general form", Stage, Fresh, decide(1, "stage=security approve"), no(APPROVE)),
        case("`stage=security` for its stage", Stage, Fresh, decide(1, "stage=security approve stage=security"), ok()),
        case(
            "bob with a Cyrillic o, as bob",
            Lookalike,
            Fresh,
            decide(1, "bob@corp approve"),
            no(mine("b\u{43e}b@corp")),
        ),
        case("bob with a Cyrillic o, as themselves", Lookalike, Fresh, decide(1, "b\u{43e}b@corp approve"), ok()),
        case("`Bob@corp` as bob", Capital, Fresh, decide(1, "bob@corp approve"), no(mine("Bob@corp"))),
        case("a composed name", Zoe, Fresh, decide(1, "zo\u{e9}@corp approve"), ok()),
        case(
            "a composed name, decomposed",
            Zoe,
            Fresh,
            decide(1, "zoe\u{301}@corp approve"),
            no(mine("zo\u{e9}@corp")),
        ),
    ]
}

fn impersonated() -> Vec<Case> {
    vec![
        case("impersonated, as the impersonated", AdminAsBob, Fresh, decide(1, "bob@corp approve"), ok()),
        case(
            "impersonated, as the admin",
            AdminAsBob,
            Fresh,
            decide(1, "tidegate-test-admin approve"),
            no(mine("bob@corp")),
        ),
        case(
            "in a group of masters by impersonation, as bob",
            AdminAsMaster,
            Fresh,
            decide(1, "bob@corp approve"),
            no(mine("mallory@corp")),
        ),
        case(
            "impersonation without the right",
            CarolAsBob,
            Fresh,
            decide(1, "bob@corp approve"),
            not("carol@corp", "cannot impersonate"),
        ),
    ]
}

fn oneself() -> Vec<Case> {
    vec![
        case("a requester approves", Alice, Fresh, decide(1, "alice@corp approve"), no(SELF)),
        case("a requester who is an approver approves", Erin, Erins, decide(1, "erin@corp approve"), no(SELF)),
        case("and for a stage", Erin, Erins, decide(1, "erin@corp approve stage=security"), no(SELF)),
        case("and for a minute", Erin, Erins, decide(1, "erin@corp approve for=1m: only this once"), no(SELF)),
        case("a requester who is an approver denies", Erin, Erins, decide(1, "erin@corp deny"), ok()),
        case("and revokes", Erin, Erins, decide(1, "erin@corp revoke"), ok()),
        case("an approver approves another's", Erin, Fresh, decide(1, "erin@corp approve"), ok()),
        case("a cluster admin's own", Admin, Admins, decide(1, "tidegate-test-admin approve"), no(SELF)),
        case("a cluster admin approves another's", Admin, Fresh, decide(1, "tidegate-test-admin approve"), ok()),
        case("bob approves the admin's", Bob, Admins, decide(1, "bob@corp approve"), ok()),
        case(
            "the controller approves",
            Controller,
            Fresh,
            decide(1, "system:serviceaccount:tidegate-system:tidegate-controller approve"),
            no(APPROVE),
        ),
        case(
            "the controller revokes",
            Controller,
            Fresh,
            decide(1, "system:serviceaccount:tidegate-system:tidegate-controller revoke"),
            no("revoke on"),
        ),
        case(
            "the gateway approves",
            Gateway,
            Fresh,
            decide(1, "system:serviceaccount:tidegate-system:tidegate-gateway approve"),
            no(PROGRAM),
        ),
        case(
            "the probe approves",
            Probe,
            Fresh,
            decide(1, "system:serviceaccount:tidegate-system:tidegate-probe approve"),
            no(APPROVE),
        ),
    ]
}
