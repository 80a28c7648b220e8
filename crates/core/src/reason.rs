//! Every reason a request is declined for or a decision does not count for, with the text people read. A text says what is
//! wrong, where, and what would be right.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a request was declined: the reason of `Accepted=False`. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeclineReason {
    /// No JitPolicy of that name in the fleet.
    PolicyNotFound,
    /// The policy grants ahead; nobody asks under it.
    PolicyNotOnRequest,
    /// The policy does not compile.
    PolicyNotReady,
    /// The policy is not the one that was accepted any more.
    PolicyChanged,
    /// A switch is off: the policy is suspended, a Lock declines what is new, or the controller is suspended.
    JitDisabled,
    /// A Lock stops the person, the endpoint, the policy or the fleet.
    Locked,
    /// No ManagedEndpoint of that name in the fleet.
    EndpointNotFound,
    /// The policy does not reach the endpoint.
    EndpointNotTargeted,
    /// The policy does not reach the account.
    AccountNotTargeted,
    /// Nobody is recorded as the person behind the account.
    AccountUnknown,
    /// The requester is not the account's person and did not ask on behalf of it.
    RequesterNotAccount,
    /// The endpoint's agent is older than the policy wants, or cannot do what it asks for.
    AgentTooOld,
    /// Nobody knows what the endpoint's agent is, and the policy asks for something of it.
    AgentUnknown,
    /// The policy is not for the endpoint's platform.
    PlatformNotTargeted,
    /// The policy elevates single programs, and the request names none.
    ApplicationRequired,
    /// The policy does not cover the program.
    ApplicationNotCovered,
    /// No reason was given.
    ReasonRequired,
    /// The reason is shorter than the policy wants.
    ReasonTooShort,
    /// The reason does not match the policy's pattern.
    ReasonMismatch,
    /// No ticket was given.
    TicketRequired,
    /// The ticket does not match the policy's pattern.
    TicketMismatch,
    /// The duration is outside the policy's range.
    DurationOutOfRange,
    /// The start is more than 7 days ahead.
    StartTimeOutOfRange,
    /// The person, or the endpoint, has as many open requests as allowed.
    TooManyOpenRequests,
    /// It was made while nothing checked who makes requests.
    AdmissionUnprotected,
}

/// One reason with its text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decline {
    /// The closed word.
    pub reason: DeclineReason,
    /// What is wrong, where, and what would be right.
    pub message: String,
}

/// Why a decision does not count. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IgnoredReason {
    /// The line does not follow the grammar.
    Malformed,
    /// The request is past deciding.
    TooLate,
    /// The policy has no such stage.
    UnknownStage,
    /// Requester, owner, or the person behind the account.
    SelfApproval,
    /// The person has approved already, for whichever stage.
    DuplicateApproval,
    /// The stage has its approvals already.
    StageMet,
    /// A Lock stops the person who decides.
    Locked,
    /// Later than the last slot that this decision may have.
    TooManyDecisions,
    /// `for=` is outside the policy's range.
    DurationOutOfRange,
    /// Written while nothing checked who writes decisions.
    AdmissionUnprotected,
}

impl DeclineReason {
    /// Every reason.
    pub const ALL: [Self; 25] = [
        Self::PolicyNotFound,
        Self::PolicyNotOnRequest,
        Self::PolicyNotReady,
        Self::PolicyChanged,
        Self::JitDisabled,
        Self::Locked,
        Self::EndpointNotFound,
        Self::EndpointNotTargeted,
        Self::AccountNotTargeted,
        Self::AccountUnknown,
        Self::RequesterNotAccount,
        Self::AgentTooOld,
        Self::AgentUnknown,
        Self::PlatformNotTargeted,
        Self::ApplicationRequired,
        Self::ApplicationNotCovered,
        Self::ReasonRequired,
        Self::ReasonTooShort,
        Self::ReasonMismatch,
        Self::TicketRequired,
        Self::TicketMismatch,
        Self::DurationOutOfRange,
        Self::StartTimeOutOfRange,
        Self::TooManyOpenRequests,
        Self::AdmissionUnprotected,
    ];
}

impl Decline {
    /// A reason with its text.
    #[must_use]
    pub fn new(reason: DeclineReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Joins all reasons of a declined request, sorted: the first is the condition's reason, the message names all.
#[must_use]
pub fn summarize(mut declines: Vec<Decline>) -> Option<Decline> {
    declines.sort();
    declines.dedup();
    let reason = declines.first()?.reason;
    let message = declines.into_iter().map(|d| d.message).collect::<Vec<_>>().join("; ");
    Some(Decline { reason, message })
}

impl fmt::Display for DeclineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The variant's name is the word of the API.
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for IgnoredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_in_order() {
        for (place, reason) in DeclineReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason}");
        }
        // The last of the enum: one that is added after it has to be named here.
        assert_eq!(DeclineReason::AdmissionUnprotected as usize + 1, DeclineReason::ALL.len());
    }

    #[test]
    fn several_reasons_are_all_named_and_sorted() {
        let decline = |reason, message: &str| Decline { reason, message: message.into() };
        let all = vec![
            decline(DeclineReason::ReasonRequired, "say why"),
            decline(DeclineReason::EndpointNotTargeted, "not ws-1"),
            decline(DeclineReason::ReasonRequired, "say why"),
        ];
        let summary = summarize(all).unwrap();
        assert_eq!(summary.reason, DeclineReason::EndpointNotTargeted);
        assert_eq!(summary.message, "not ws-1; say why");
        assert_eq!(summarize(Vec::new()), None);
    }
}
