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
    format!("{HEAD}{}{BEFORE_TABLE}{}{BEFORE_EDGES}{}", picture(&causes), matrix(&causes), told(&causes))
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
