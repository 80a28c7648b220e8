//! What people are told.

use super::corpus::corpus;
use super::*;

/// The text of the corpus' case of this name.
fn text(name: &str) -> String {
    let corpus = corpus();
    let case = corpus.cases().into_iter().find(|case| case.name == name).unwrap();
    let (snapshot, asked) = (corpus.snapshot(&case), corpus.asked(&case));
    let (rights, query) = (Rights::new(&snapshot), case.query(&asked));
    rights.text(&query, &evaluate(&rights, &query, case.now), case.now)
}

#[test]
fn a_text_says_what_is_so_and_what_would_be_accepted() {
    for (case, expected) in [
        (
            "root is not ours",
            "nothing of Tidegate is in place for \"root\": the standing rules of this computer decide",
        ),
        (
            "without a fleet part nothing is allowed, not even a grant",
            "/opt/toolchain/setup on this computer: it is not known yet what is in force here; connect the computer to its gateway",
        ),
        (
            "a Lock on this endpoint stops what is granted ahead",
            "/opt/toolchain/setup on ws-042: stopped by a Lock: stolen",
        ),
        (
            "a Lock on this account stops asking too",
            "/opt/toolchain/setup on ws-042: stopped by a Lock; ask an administrator",
        ),
        (
            "an absolute blocklist stops any application",
            "/opt/toolchain/wallet on ws-042: blocklist never of the fleet names it (item wallet)",
        ),
        (
            "an absolute blocklist counts where an attribute cannot be read",
            "/opt/toolchain/setup on ws-042: blocklist never of the fleet may name it (item mallory): state spec.application.vendor",
        ),
        (
            "a grant lets its account start its one program",
            "/opt/toolchain/setup is allowed by setup-granted (tools) until 2026-11-22T10:30:00Z",
        ),
        (
            "a window lets the program start",
            "/opt/toolchain/setup is allowed by tools-window until 2026-11-22T11:00:00Z",
        ),
        (
            "an item that depends on an unreadable attribute allows nothing",
            "/opt/toolchain/setup on ws-042: vendor-window (item vendor) would allow it, but this could not be read: vendor",
        ),
        (
            "a blocklist that cannot be excluded allows nothing",
            "/opt/toolchain/setup on ws-042: tools-window (item toolchain) would allow it, but this could not be read: vendor",
        ),
        (
            "after the tolerance nothing new starts",
            "/opt/toolchain/setup on ws-042: tools-window allows it only after contact with the gateway, last had 1h1s ago",
        ),
        (
            "what is on request has to be asked for",
            "/opt/toolchain/setup can be requested under tools: 5m to 4h (30m unless you say otherwise), a reason of at least 10 characters",
        ),
        (
            "an account that a policy leaves out is told so",
            "/opt/toolchain/setup on ws-042: not-alice-window leaves \"alice\" out (except)",
        ),
        (
            "a program that an item leaves out is told so",
            "/opt/toolchain/bin/sh on ws-042: tools-window (item toolchain) leaves it out (except)",
        ),
        ("with nothing at all", "an administrator's shell on ws-042: no policy is for this computer"),
        ("without a policy for the account", "/opt/toolchain/setup on ws-042: no policy here is for \"bob\""),
        (
            "without a policy for the program",
            "/usr/bin/vim on ws-042: in no policy for you now; tools allows /opt/toolchain/** on request; tools-window allows /opt/toolchain/**",
        ),
        (
            "a window that is not open yet",
            "/opt/toolchain/setup on ws-042: in no policy for you now; tools-later allows /opt/toolchain/** from 2026-11-22T10:10:01Z on",
        ),
        (
            "an attribute that a request leaves out is not covered",
            "/opt/toolchain/setup on ws-042: in no policy for you now; vendor-request allows vendor Example GmbH on request \
             (item vendor may cover it: state spec.application.vendor)",
        ),
        (
            "what others may write to is covered by no rule",
            "/home/alice/setup on ws-042: others than root may write to the file or a folder above it",
        ),
    ] {
        assert_eq!(text(case), expected, "{case}");
    }
}
