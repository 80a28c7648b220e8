//! Does a decision count? The API server has checked who wrote it and with which right; here it meets the request's state, the
//! policy's terms and the ban on approving for oneself, a second time and on every path.

use std::time::Duration;

use crate::decision::{Decision, Verb};
use crate::interval::format_duration;
use crate::name::Identity;
use crate::policy::OnRequest;
use crate::reason::IgnoredReason;
use crate::request::{Accepted, FoldedDecision, Request, Status, Wish};
use crate::state::State;

/// The only stage there is where a policy names none.
pub const DEFAULT_STAGE: &str = "default";
/// Approvals that the default stage needs.
pub const DEFAULT_APPROVALS: u32 = 1;

/// Why a decision does not count, with the text for people.
pub type Ignored = (IgnoredReason, String);

/// Does this decision count for a request in this state? `accepted` is what the request was accepted under; it is absent
/// once the objects behind a granted request are gone, when only revoke and end make sense. `person` is whom the request was accepted
/// for: being taken off the account since then makes nobody an approver.
///
/// # Errors
/// Why it does not count.
pub fn counts(
    decision: &Decision,
    state: State,
    wish: &Wish,
    person: Option<&Identity>,
    accepted: Option<&Accepted<'_>>,
) -> Result<(), Ignored> {
    in_time(decision.verb, state)?;
    match decision.verb {
        Verb::Approve => {
            known_stage(decision, wish)?;
            let accepted = accepted.ok_or_else(|| too_late(state))?;
            not_for_oneself(decision, wish, person, accepted)?;
            duration_in_range(decision, accepted)
        }
        Verb::Deny => known_stage(decision, wish),
        Verb::Revoke | Verb::End => Ok(()),
    }
}

/// The approvals that count so far.
#[must_use]
pub fn approved(decisions: &[FoldedDecision]) -> u32 {
    let counted = decisions.iter().filter(|d| d.is_counted_approval()).count();
    u32::try_from(counted).unwrap_or(u32::MAX)
}

/// Granted duration: the smallest `for=` among the counted approvals, else the one asked for, else the policy's default.
#[must_use]
pub fn granted_duration(decisions: &[FoldedDecision], wish: &Wish, terms: &OnRequest) -> Duration {
    decisions
        .iter()
        .filter(|d| d.is_counted_approval())
        .filter_map(|d| d.duration)
        .min()
        .or(wish.duration)
        .unwrap_or(terms.duration.default)
}

/// Do the approvals that were counted stand in the request as they were counted, and are they enough? Status is the controller's
/// record, not its proof: nothing is signed on the record alone.
#[must_use]
pub fn is_earned(request: &Request, status: &Status) -> bool {
    let stands = |folded: &FoldedDecision| {
        let written = request.decisions.get(&folded.slot).and_then(|line| line.parse::<Decision>().ok());
        written.is_some_and(|d| Some(d.by) == folded.by && d.verb == Verb::Approve && d.duration == folded.duration)
    };
    status.decisions.iter().filter(|d| d.is_counted_approval()).all(stands)
        && approved(&status.decisions) >= DEFAULT_APPROVALS
}

fn in_time(verb: Verb, state: State) -> Result<(), Ignored> {
    let open = match verb {
        Verb::Approve => state == State::Pending,
        Verb::Deny | Verb::Revoke | Verb::End => state == State::Pending || state.is_granted(),
    };
    if open { Ok(()) } else { Err(too_late(state)) }
}

fn too_late(state: State) -> Ignored {
    (IgnoredReason::TooLate, format!("the request is {state} already; this decision changes nothing"))
}

fn known_stage(decision: &Decision, wish: &Wish) -> Result<(), Ignored> {
    match &decision.stage {
        Some(stage) if stage.as_str() != DEFAULT_STAGE => Err((
            IgnoredReason::UnknownStage,
            format!(
                "{} has no stage {stage}; its only stage is {DEFAULT_STAGE}. Decide again without stage=",
                wish.policy
            ),
        )),
        _ => Ok(()),
    }
}

fn not_for_oneself(
    decision: &Decision,
    wish: &Wish,
    person: Option<&Identity>,
    accepted: &Accepted<'_>,
) -> Result<(), Ignored> {
    let by = &decision.by;
    let who = if *by == wish.requester {
        "asked for it".to_owned()
    } else if accepted.account.identities.contains(by) || person == Some(by) {
        format!("is the person behind \"{}\" on {}", wish.account, wish.endpoint)
    } else if accepted.endpoint.owner.as_ref() == Some(by) {
        format!("owns {}", wish.endpoint)
    } else {
        return Ok(());
    };
    Err((
        IgnoredReason::SelfApproval,
        format!("{by} {who}; nobody approves for themselves. Somebody else has to approve"),
    ))
}

fn duration_in_range(decision: &Decision, accepted: &Accepted<'_>) -> Result<(), Ignored> {
    let range = &accepted.terms.duration;
    let Some(asked) = decision.duration.filter(|d| !range.allows(*d)) else {
        return Ok(());
    };
    let (relation, bound, advice) = if asked > range.max {
        ("above the maximum", range.max, "less")
    } else {
        ("below the minimum", range.min, "more")
    };
    let (asked, bound) = (format_duration(asked), format_duration(bound));
    let policy = &accepted.policy.name;
    Err((
        IgnoredReason::DurationOutOfRange,
        format!(
            "{asked} is {relation} of {bound} in {policy}; this approval does not count. Approve again with {bound} or {advice}"
        ),
    ))
}
