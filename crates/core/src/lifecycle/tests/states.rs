//! `docs/states.md`: the table of `edges` as a picture and as text. `TIDEGATE_WRITE_GOLDEN=1` writes it, otherwise it
//! is compared.

use std::fmt::Write;

use super::edges::{Cause, OPEN, Place, causes};
use super::*;

const REGENERATE: &str = "TIDEGATE_WRITE_GOLDEN";

const HEAD: &str = "\
# The states of a request

Generated from the table that core's tests hold every judgement to (`crates/core/src/lifecycle/tests/edges/causes.rs`);
`make golden` writes it anew. One function judges: `step(request, context, now)`. It runs whenever something changes and
whenever time may have changed something.

`Declined`, `Denied`, `Withdrawn`, `TimedOut`, `Expired`, `Revoked` and `Ended` are final: none of the causes below
changes them (each is tried on each). *(new)* has no status yet. *Scheduled, signed* is the state `Scheduled` once its
grant is signed, at most one hour before the start; only from there access begins. Access holds in `Active` alone, and
its end stands in the signed grant.

";

const BEFORE_TABLE: &str = "
## Every cause in every place

`-` means that the place stays the same; a blank that it cannot happen there, or that time decides first.

";

const BEFORE_EDGES: &str = "
## What is told

The events of every cause that is not the plain acceptance of a new request, and the reason: of the declined request, or
of the decision that does not count.

";

const BEFORE_REASONS: &str = "
## Why a request is declined

The reason stands in the column `REASON` and in the condition `Accepted`, whose message names the field and what would be right
(`kubectl get er -o wide`). Where several speak against it, the message says all, and the reason is the first of this table.

";

#[test]
#[expect(clippy::disallowed_methods, reason = "golden files are files; only this test reads or writes them")]
fn the_page_of_states_is_the_golden_file_of_the_table() {
    let path = format!("{}/../../docs/states.md", env!("CARGO_MANIFEST_DIR"));
    let page = page();
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(wanted, found)| wanted != found);
    assert!(page == written, "docs/states.md is not what the table says, see {REGENERATE}: {differs:?}");
}

fn page() -> String {
    let causes = causes();
    let (picture, matrix, told) = (picture(&causes), matrix(&causes), told(&causes));
    format!("{HEAD}{picture}{BEFORE_TABLE}{matrix}{BEFORE_EDGES}{told}{BEFORE_REASONS}{}", reasons())
}

/// Every way from one place to another, with the kinds of causes.
fn picture(causes: &[Cause]) -> String {
    let mut ways: BTreeMap<(Place, Place), BTreeSet<&str>> = BTreeMap::new();
    for cause in causes {
        for (from, _, edge) in cause.cases().into_iter().filter(|(from, _, edge)| *from != edge.to) {
            // What is not listed for a new request is that it is accepted.
            let short = if (from, edge.to) == (Place::New, Place::Pending) { "accepted" } else { cause.short };
            ways.entry((from, edge.to)).or_default().insert(short);
        }
    }
    let mut out = "```mermaid\nstateDiagram-v2\n    state \"Scheduled, signed\" as Signed\n".to_owned();
    for ((from, to), shorts) in &ways {
        let labels: Vec<&str> = shorts.iter().copied().collect();
        let _ = writeln!(out, "    {} --> {}: {}", node(*from), node(*to), labels.join(", "));
    }
    let ends: BTreeSet<Place> = ways.keys().map(|(_, to)| *to).filter(|to| !OPEN.contains(to)).collect();
    for end in ends {
        let _ = writeln!(out, "    {} --> [*]", node(end));
    }
    out + "```\n"
}

fn node(place: Place) -> String {
    match place {
        Place::New => "[*]".to_owned(),
        Place::Held
        | Place::Pending
        | Place::Scheduled
        | Place::Signed
        | Place::Active
        | Place::Declined
        | Place::Denied
        | Place::Withdrawn
        | Place::TimedOut
        | Place::Expired
        | Place::Revoked
        | Place::Ended => format!("{place:?}"),
    }
}

fn matrix(causes: &[Cause]) -> String {
    let mut out = format!("| Cause | {} |\n", OPEN.map(Place::text).join(" | "));
    let _ = writeln!(out, "|---|{}", "---|".repeat(OPEN.len()));
    for cause in causes {
        let cases = cause.cases();
        let cell = |place| match cases.iter().find(|(from, _, _)| *from == place) {
            None => "",
            Some((from, _, edge)) if *from == edge.to => "-",
            Some((_, _, edge)) => edge.to.text(),
        };
        let _ = writeln!(out, "| {} | {} |", cause.text, OPEN.map(cell).join(" | "));
    }
    out
}

fn told(causes: &[Cause]) -> String {
    let mut out = "| From | Cause | To | Events | Reason |\n|---|---|---|---|---|\n".to_owned();
    for place in OPEN {
        for cause in causes {
            for edge in cause.edges.iter().filter(|edge| edge.from == place) {
                let events: Vec<&str> = edge.events.iter().map(|kind| kind.as_str()).collect();
                let (from, to) = (edge.from.text(), edge.to.text());
                let _ = writeln!(out, "| {from} | {} | {to} | {} | {} |", cause.text, events.join(", "), edge.reason);
            }
        }
    }
    out
}

fn reasons() -> String {
    assert_eq!(REASONS.map(|(reason, _, _)| reason), DeclineReason::ALL);
    let mut out = "| Reason | It means | What helps |\n|---|---|---|\n".to_owned();
    for (reason, means, helps) in REASONS {
        let _ = writeln!(out, "| `{reason}` | {means} | {helps} |");
    }
    out
}

/// What each means, and what helps.
const REASONS: [(DeclineReason, &str, &str); 25] = [
    (DeclineReason::PolicyNotFound, "there is no policy of that name", "`kubectl get jitpolicies` lists them"),
    (
        DeclineReason::PolicyNotOnRequest,
        "the policy grants ahead; nobody asks under it",
        "use it when its time has come, or name one with access `OnRequest`",
    ),
    (
        DeclineReason::PolicyNotReady,
        "the policy cannot be used as it is written",
        "its owner corrects it; then ask again",
    ),
    (DeclineReason::PolicyChanged, "the policy was changed after you asked", "ask again, under its new terms"),
    (
        DeclineReason::JitDisabled,
        "a switch is off: the policy is suspended, a Lock declines what is new, or the installation is suspended",
        "wait until it is on again",
    ),
    (
        DeclineReason::Locked,
        "a Lock stops you, the computer, the policy or the fleet",
        "its message says why and whom to ask",
    ),
    (
        DeclineReason::EndpointNotFound,
        "there is no computer of that name, or it was made anew since",
        "`kubectl get managedendpoints` lists them",
    ),
    (DeclineReason::EndpointNotTargeted, "the policy is not for this computer", "name another policy"),
    (DeclineReason::AccountNotTargeted, "the policy is not for this account", "name another policy"),
    (
        DeclineReason::AccountUnknown,
        "nobody has recorded who is behind the account",
        "an endpoint administrator adds the account to the computer or the Fleet",
    ),
    (DeclineReason::RequesterNotAccount, "the account is somebody else's", "ask for your own account"),
    (
        DeclineReason::AgentTooOld,
        "the computer's agent is older than the policy wants, or cannot do what it asks for",
        "update the agent",
    ),
    (DeclineReason::AgentUnknown, "the computer's agent has never said what it is", "start the agent"),
    (DeclineReason::PlatformNotTargeted, "the policy is for other operating systems", "name another policy"),
    (
        DeclineReason::ApplicationRequired,
        "the policy elevates single programs, and none is named",
        "say in `spec.application` which",
    ),
    (
        DeclineReason::ApplicationNotCovered,
        "the policy does not cover the program, or a blocklist does",
        "name one that it covers, or another policy",
    ),
    (DeclineReason::ReasonRequired, "the policy wants a reason", "write `spec.reason`"),
    (DeclineReason::ReasonTooShort, "the reason is too short", "say more"),
    (
        DeclineReason::ReasonMismatch,
        "the reason is not of the form that the policy wants",
        "the message shows the form",
    ),
    (DeclineReason::TicketRequired, "the policy wants a ticket", "write `spec.ticket`"),
    (
        DeclineReason::TicketMismatch,
        "the ticket is not of the form that the policy wants",
        "the message shows the form",
    ),
    (DeclineReason::DurationOutOfRange, "the policy allows shorter or longer only", "the message says what it allows"),
    (DeclineReason::StartTimeOutOfRange, "the start is more than 7 days ahead", "ask later, or for an earlier start"),
    (
        DeclineReason::TooManyOpenRequests,
        "you, or the computer, have as many requests open as may be",
        "end one of them, or wait",
    ),
    (DeclineReason::AdmissionUnprotected, "it was made while nothing proved who makes requests", "ask again"),
];
