//! Does a decision count, and is a request approved? The API server has checked who wrote a decision and with which
//! right; here it meets the request's state, the policy's stages and the ban on approving for oneself, a second time
//! and on every path.

pub mod rule;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::acceptance::{Accepted, out_of_range};
use crate::access::Terms;
use crate::approval::rule::{Asked, Stage};
use crate::decision::{Decision, Verb};
use crate::endpoint::Endpoint;
use crate::name::{Identity, StageName};
use crate::policy::Policy;
use crate::reason::IgnoredReason;
use crate::request::{FoldedDecision, Request, StageProgress, Status, Wish};
use crate::state::State;
use crate::target::Platform;

/// The last slot that an approval may have: beyond it there is room for what ends access.
pub const MAX_APPROVE_SLOT: u32 = 32;
/// The last slot that a denial may have.
pub const MAX_DENY_SLOT: u32 = 48;

/// Why a decision does not count, with the text for people.
pub type Ignored = (IgnoredReason, String);

/// Judges one decision after all that came before it. `accepted` is what the request was accepted under; it is absent
/// once the objects behind a granted request are gone, when only what ends access makes sense. Gives the stage that an
/// approval counts for.
///
/// # Errors
/// Why it does not count.
pub fn counts(
    slot: u32,
    decision: &Decision,
    wish: &Wish,
    status: &Status,
    accepted: Option<&Accepted<'_>>,
) -> Result<Option<StageName>, Ignored> {
    in_time(decision.verb, status.state)?;
    within_cap(slot, decision.verb)?;
    match decision.verb {
        Verb::Approve => {
            let accepted = accepted.ok_or_else(|| too_late(status.state))?;
            not_for_oneself(decision, wish, status.identity.as_ref(), accepted)?;
            duration_in_range(decision, accepted)?;
            let stage = known_stage(decision, accepted)?;
            once_each(decision, &status.decisions, accepted)?;
            open_stage(stage, decision, &status.decisions, accepted).map(Some)
        }
        // An end of access is never refused because somebody edits the policy's stages meanwhile.
        Verb::Deny if status.state == State::Pending => {
            accepted.map(|accepted| known_stage(decision, accepted)).transpose()?;
            Ok(None)
        }
        Verb::Deny | Verb::Revoke | Verb::End => Ok(None),
    }
}

/// How far each of these stages has come.
#[must_use]
pub fn progress(stages: &[Stage], decisions: &[FoldedDecision]) -> Vec<StageProgress> {
    let progress = |stage: &Stage| StageProgress {
        name: stage.name.clone(),
        approved: approved(&stage.name, decisions),
        approvals: stage.approvals,
    };
    stages.iter().map(progress).collect()
}

/// Has every stage its approvals?
#[must_use]
pub fn all_met(stages: &[Stage], decisions: &[FoldedDecision]) -> bool {
    !stages.is_empty() && stages.iter().all(|stage| is_met(stage, decisions))
}

/// Granted duration: the smallest among the counted approvals. One without `for=` stands for what was asked (else the
/// policy's default), which is what its person saw; so does a rule.
#[must_use]
pub fn granted_duration(decisions: &[FoldedDecision], wish: &Wish, terms: &Terms) -> Duration {
    let asked = wish.duration.unwrap_or(terms.duration.default);
    let counted = decisions.iter().filter(|d| d.is_counted_approval());
    counted.map(|d| d.duration.unwrap_or(asked)).min().unwrap_or(asked)
}

/// Does the approval follow from what stands in the request: decisions of distinct other people, or a rule of the
/// policy? Status is the controller's record, not its proof: nothing is signed on the record alone. `endpoint`: if it
/// can be read.
#[must_use]
pub fn is_earned(request: &Request, status: &Status, policy: &Policy, endpoint: Option<&Endpoint>) -> bool {
    if let Some(name) = &status.rule {
        let platform = endpoint.and_then(|endpoint| endpoint.agent.as_ref()?.platform);
        return by_rule(request, name, policy, platform);
    }
    let counted: Vec<&FoldedDecision> = status.decisions.iter().filter(|d| d.is_counted_approval()).collect();
    let same = |a: &FoldedDecision, b: &FoldedDecision| match (&a.by, &b.by) {
        (Some(a), Some(b)) => a == b || endpoint.is_some_and(|endpoint| endpoint.is_same_person(a, b)),
        (None, _) | (_, None) => true,
    };
    let distinct = counted.iter().enumerate().all(|(i, d)| counted.iter().take(i).all(|before| !same(before, d)));
    let by_another = |d: &FoldedDecision| {
        d.by.as_ref().is_some_and(|by| interest(by, &request.wish, status.identity.as_ref(), endpoint).is_none())
    };
    distinct
        && counted.iter().all(|d| d.slot <= MAX_APPROVE_SLOT && is_written(d, request) && by_another(d))
        && all_met(&policy.rules.approval.stages(), &status.decisions)
}

/// Does the request carry this approval, as it is recorded?
fn is_written(folded: &FoldedDecision, request: &Request) -> bool {
    let written = request.decisions.get(&folded.slot).and_then(|line| line.parse::<Decision>().ok());
    written.is_some_and(|d| {
        let same_stage = d.stage.is_none() || d.stage == folded.stage;
        Some(d.by) == folded.by && d.verb == Verb::Approve && d.duration == folded.duration && same_stage
    })
}

/// Is there such a rule, and does it fit what the request itself says? Whom and where it reaches was judged when the
/// request came in.
fn by_rule(request: &Request, name: &StageName, policy: &Policy, platform: Option<Platform>) -> bool {
    let rules = &policy.rules.approval;
    let Some((rule, duration)) = rules.rule(name).zip(policy.asked_duration(&request.wish)) else {
        return false;
    };
    let facts = request.wish.application.as_ref().map(|application| application.facts(platform));
    rule.allows_asking(&request.wish, request.attested) && rule.fits(&policy.rules.elevation, facts.as_ref(), duration)
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

/// There is always room for what ends access.
fn within_cap(slot: u32, verb: Verb) -> Result<(), Ignored> {
    let last = match verb {
        Verb::Approve => MAX_APPROVE_SLOT,
        Verb::Deny => MAX_DENY_SLOT,
        Verb::Revoke | Verb::End => return Ok(()),
    };
    if slot <= last {
        return Ok(());
    }
    let message = format!("decision {slot} is too late for {verb}: the last one that counts is {last}. Ask anew");
    Err((IgnoredReason::TooManyDecisions, message))
}

/// The stage that is named, if the policy has it.
fn known_stage<'a>(decision: &Decision, accepted: &Accepted<'a>) -> Result<Option<&'a StageName>, Ignored> {
    let Some(named) = &decision.stage else { return Ok(None) };
    let (rules, policy) = (&accepted.policy.rules.approval, &accepted.pinned.name);
    if let Some(stage) = rules.stages.iter().find(|stage| stage.name == *named) {
        return Ok(Some(&stage.name));
    }
    if rules.stages.is_empty() && named.as_str() == rule::DEFAULT_STAGE {
        return Ok(None);
    }
    let names: Vec<String> = rules.stages().into_iter().map(|stage| stage.name.to_string()).collect();
    let message = format!("{policy} has no stage {named}; it has {}. Decide again for one of them", names.join(", "));
    Err((IgnoredReason::UnknownStage, message))
}

fn not_for_oneself(
    decision: &Decision,
    wish: &Wish,
    person: Option<&Identity>,
    accepted: &Accepted<'_>,
) -> Result<(), Ignored> {
    let by = &decision.by;
    match interest(by, wish, person, Some(accepted.endpoint)) {
        None => Ok(()),
        Some(who) => Err((
            IgnoredReason::SelfApproval,
            format!("{by} {who}; nobody approves for themselves. Somebody else has to approve"),
        )),
    }
}

/// What the approver has to do with the request: asked for it, is the person behind the account, or owns the endpoint.
/// `person`: the one behind the account when the request was accepted.
fn interest(by: &Identity, wish: &Wish, person: Option<&Identity>, endpoint: Option<&Endpoint>) -> Option<String> {
    let is = |other: &Identity| by == other || endpoint.is_some_and(|endpoint| endpoint.is_same_person(by, other));
    let account = endpoint.and_then(|endpoint| endpoint.accounts.get(&wish.account));
    if *by == wish.requester {
        Some("asked for it".to_owned())
    } else if is(&wish.requester) {
        Some(format!("is {} under another name", wish.requester))
    } else if account.is_some_and(|account| account.identities.contains(by)) || person.is_some_and(is) {
        Some(format!("is the person behind \"{}\" on {}", wish.account, wish.endpoint))
    } else if endpoint.and_then(|endpoint| endpoint.owner.as_ref()).is_some_and(is) {
        Some(format!("owns {}", wish.endpoint))
    } else {
        None
    }
}

fn duration_in_range(decision: &Decision, accepted: &Accepted<'_>) -> Result<(), Ignored> {
    let wrong = decision.duration.and_then(|d| out_of_range(d, &accepted.terms.duration, &accepted.pinned.name));
    match wrong {
        None => Ok(()),
        Some((wrong, right)) => Err((
            IgnoredReason::DurationOutOfRange,
            format!("{wrong}; this approval does not count. Approve again with {right}"),
        )),
    }
}

/// One person counts once over all stages, under whatever name.
fn once_each(decision: &Decision, before: &[FoldedDecision], accepted: &Accepted<'_>) -> Result<(), Ignored> {
    let same = |d: &&FoldedDecision| {
        d.is_counted_approval() && d.by.as_ref().is_some_and(|by| accepted.endpoint.is_same_person(by, &decision.by))
    };
    let Some(first) = before.iter().find(same) else { return Ok(()) };
    let name = first.by.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = format!("decision {} by {name} counts already: one person approves once", first.slot);
    Err((IgnoredReason::DuplicateApproval, message))
}

/// The stage that the approval counts for: the one that is named, else the first unmet one.
fn open_stage(
    named: Option<&StageName>,
    decision: &Decision,
    before: &[FoldedDecision],
    accepted: &Accepted<'_>,
) -> Result<StageName, Ignored> {
    let stages = accepted.policy.rules.approval.stages();
    let fits = |stage: &&Stage| named.is_none_or(|name| stage.name == *name) && !is_met(stage, before);
    match stages.iter().find(fits) {
        Some(stage) => Ok(stage.name.clone()),
        None => {
            let which = decision.stage.as_ref().map_or("every stage".to_owned(), |stage| format!("stage {stage}"));
            Err((IgnoredReason::StageMet, format!("{which} has its approvals already; another stage may need one")))
        }
    }
}

fn is_met(stage: &Stage, decisions: &[FoldedDecision]) -> bool {
    approved(&stage.name, decisions) >= stage.approvals
}

fn approved(stage: &StageName, decisions: &[FoldedDecision]) -> u32 {
    let counted = decisions.iter().filter(|d| d.is_counted_approval() && d.stage.as_ref() == Some(stage)).count();
    u32::try_from(counted).unwrap_or(u32::MAX)
}

/// What an automatic rule is judged on, at the moment a request is accepted.
#[must_use]
pub fn automatic<'a>(request: &Request, accepted: &Accepted<'a>) -> Option<&'a rule::AutomaticRule> {
    let duration = accepted.policy.asked_duration(&request.wish)?;
    let facts = accepted.policy.facts(&request.wish, accepted.endpoint);
    let asked = Asked {
        wish: &request.wish,
        endpoint: accepted.endpoint,
        account: accepted.account,
        elevation: accepted.elevation(),
        facts: facts.as_ref(),
        duration,
        attested: request.attested,
    };
    accepted.policy.rules.approval.automatic(&asked)
}
