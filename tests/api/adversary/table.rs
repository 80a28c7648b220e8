//! The whole table, and the texts of the rules it expects. One file for each group of rules; a line is found by the words of
//! admission.md's table.

mod creation;
mod form;
mod names;
mod record;
mod rights;
mod slots;
mod status;
mod writes;

use super::attempt::Case;

const MANY: &str = "at most 64 annotations of 4096 characters each";
const BORN: &str = "a request must not be created with annotations; decisions come after it";
const OWNED: &str = "a request must not be created with ownerReferences or finalizers";
const FINALIZER: &str = "only the controller removes the finalizer tidegate.dev/revoke";
const ONLY: &str = "only a decision may be added to a request, no label, owner or finalizer";
const RECORD: &str = "a decision must not be changed or removed; a later one can be added";
const OTHER_NOTE: &str = "only a decision may be added to a request, no other annotation changed";
const DELETING: &str = "the request is being deleted; nothing can be decided any more";
const ONE: &str = "one decision at a time";
const ROOM: &str = "no more approvals after 32 decisions, no denials after 48: revoke or end this request";
const SELF: &str = "nobody may approve their own request";
const APPROVE: &str = "approve on jitpolicies/dev-tools is required";
const REVOKE: &str = "revoke on jitpolicies/dev-tools is required";
const END: &str = "only the requester ends a request; others need revoke on its policy or end-for-others";
const PROGRAM: &str = "a service account needs decide-as-serviceaccount on elevationrequests, by name and not by \"*\"";
const BEHALF: &str = "spec.onBehalf needs create-for-others on elevationrequests";
const REQUEST: &str = "request on jitpolicies/dev-tools is required";
/// By the schema, not by admission.
const IMMUTABLE: &str = "spec is immutable: a different wish is a different request";

/// Every attempt.
pub fn cases() -> Vec<Case> {
    [
        creation::cases(),
        form::cases(),
        slots::cases(),
        names::cases(),
        rights::cases(),
        record::cases(),
        writes::cases(),
        status::cases(),
    ]
    .concat()
}

/// The refusal of a key that would lie there and do nothing.
fn next(key: &str, slot: usize) -> String {
    format!("{key} is not a key that can be set now: the next decision is decision.tidegate.dev/{slot}")
}

/// The refusal of words that are no decision.
fn form(user: &str) -> String {
    format!(r#"a decision must read "{user} approve|deny|revoke|end[ for=45m][ stage=name][: comment]""#)
}

/// The refusal of another's name.
fn mine(user: &str) -> String {
    format!("a decision must start with your own user name, {user}")
}

/// The refusal of another requester.
fn requester(user: &str) -> String {
    format!("spec.requester must be your own user name, {user}")
}
