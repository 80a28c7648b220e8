//! What a verdict says: outcome, the word for it, and whatever somebody who enforces or explains it needs. All of it is
//! borrowed from the parts, so a verdict costs no memory.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access::Terms;
use crate::application::{Attributes, Block, ItemName, RuleType};
use crate::elevation::{Authentication, ChildProcesses, Elevation, Mode, OnExpiry, Protection};
use crate::fleet::Locked;
use crate::grant::GrantedRequest;
use crate::interval::Instant;
use crate::name::{Account, PolicyName};
use crate::policy::PolicyRef;

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// Whether.
    pub outcome: Outcome<'a>,
    /// Why, in one word.
    pub reason: Reason,
}

/// Whether it may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It is none of our business: the computer's standing rules decide.
    NotManaged,
    /// It may, by this.
    Allow(Credit<'a>),
    /// It may not.
    Deny(Denial<'a>),
    /// It may be asked for, under this policy.
    Ask(Question<'a>),
}

/// Why a verdict is as it is, one word for each line of the table. Closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Line 1.
    NotManaged,
    /// Line 2.
    NoSnapshot,
    /// Line 3, and line 13 where the Lock is on the policy alone.
    Locked,
    /// Line 4.
    ClockUntrusted,
    /// Line 5.
    AccountMismatch,
    /// Line 6.
    EndFailed,
    /// Lines 7 and 13.
    ApplicationBlocklisted,
    /// Line 8.
    Grant,
    /// Line 9.
    Policy,
    /// Line 10.
    Indeterminate,
    /// Line 11.
    Offline,
    /// Line 12.
    RequestRequired,
    /// Line 13: the policy would reach the account, but leaves it out.
    AccountExcepted,
    /// Line 13: the item would cover the program, but leaves it out.
    ApplicationExcepted,
    /// Line 14: no policy is for this endpoint.
    EndpointNotTargeted,
    /// Line 14: policies are for this endpoint, none for this account.
    AccountNotTargeted,
    /// Line 14: policies are for this account, and none covers the program, or none does so now.
    ApplicationNotCovered,
}

/// What allows. Of several rights one is credited: a grant before a policy; then the strongest rule type; then the later end;
/// then the account named before its group before everyone; then the smaller uid, and the smaller name of the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit<'a> {
    /// The part.
    pub source: Source<'a>,
    /// The item of its list; `None` where there is no list, or one program was granted.
    pub item: Option<&'a ItemName>,
    /// How the program came to be covered.
    pub rule_type: RuleType,
    /// First instant at which it is over; the only end that this part has.
    pub deadline: Instant,
    /// How it is to be done.
    pub obligations: Obligations<'a>,
}

/// The part that is credited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// An approved request.
    Grant {
        /// The request; its uid and ticket stand in every event.
        request: &'a GrantedRequest,
        /// The policy it was made under.
        policy: &'a PolicyName,
    },
    /// A policy that grants ahead.
    Policy(&'a PolicyRef),
}

/// What whoever enforces an allow has to see to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obligations<'a> {
    /// How much is elevated.
    pub mode: Mode,
    /// The account that it runs as.
    pub run_as: &'a Account,
    /// Whether the person gives the own password.
    pub authentication: Authentication,
    /// What becomes of processes that it starts.
    pub child_processes: ChildProcesses,
    /// What it is kept from.
    pub protections: &'a BTreeSet<Protection>,
    /// What happens at the end.
    pub on_expiry: OnExpiry,
}

/// What may be asked for. Of several policies one is named, by the order of [`Credit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// Under which policy.
    pub policy: &'a PolicyRef,
    /// The item of its list that covers the program.
    pub item: Option<&'a ItemName>,
    /// How the program would be covered.
    pub rule_type: RuleType,
    /// What the request must be like: durations, reason, ticket.
    pub terms: &'a Terms,
    /// How it would be done.
    pub obligations: Obligations<'a>,
}

/// What stands against it; each member where there is such a thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Denial<'a> {
    /// The policy that would allow it but for this.
    pub policy: Option<&'a PolicyName>,
    /// The item of it that would.
    pub item: Option<&'a ItemName>,
    /// What could not be read.
    pub attributes: Attributes,
    /// The blocklist that names the program, or may.
    pub block: Option<Block<'a>>,
    /// The Lock.
    pub lock: Option<&'a Locked>,
}

// === impl Verdict ===

impl<'a> Verdict<'a> {
    pub(super) fn deny(reason: Reason, denial: Denial<'a>) -> Self {
        Self { outcome: Outcome::Deny(denial), reason }
    }

    /// May it happen?
    #[must_use]
    pub fn allows(&self) -> bool {
        match self.outcome {
            Outcome::Allow(_) => true,
            Outcome::NotManaged | Outcome::Deny(_) | Outcome::Ask(_) => false,
        }
    }
}

// === impl Outcome ===

impl Outcome<'_> {
    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotManaged => "NotManaged",
            Self::Allow(_) => "Allow",
            Self::Deny(_) => "Deny",
            Self::Ask(_) => "Ask",
        }
    }
}

// === impl Reason ===

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::NotManaged,
        Self::NoSnapshot,
        Self::Locked,
        Self::ClockUntrusted,
        Self::AccountMismatch,
        Self::EndFailed,
        Self::ApplicationBlocklisted,
        Self::Grant,
        Self::Policy,
        Self::Indeterminate,
        Self::Offline,
        Self::RequestRequired,
        Self::AccountExcepted,
        Self::ApplicationExcepted,
        Self::EndpointNotTargeted,
        Self::AccountNotTargeted,
        Self::ApplicationNotCovered,
    ];

    /// The word, as in events and in the corpus.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotManaged => "NotManaged",
            Self::NoSnapshot => "NoSnapshot",
            Self::Locked => "Locked",
            Self::ClockUntrusted => "ClockUntrusted",
            Self::AccountMismatch => "AccountMismatch",
            Self::EndFailed => "EndFailed",
            Self::ApplicationBlocklisted => "ApplicationBlocklisted",
            Self::Grant => "Grant",
            Self::Policy => "Policy",
            Self::Indeterminate => "Indeterminate",
            Self::Offline => "Offline",
            Self::RequestRequired => "RequestRequired",
            Self::AccountExcepted => "AccountExcepted",
            Self::ApplicationExcepted => "ApplicationExcepted",
            Self::EndpointNotTargeted => "EndpointNotTargeted",
            Self::AccountNotTargeted => "AccountNotTargeted",
            Self::ApplicationNotCovered => "ApplicationNotCovered",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Source ===

impl<'a> Source<'a> {
    /// The policy behind it.
    #[must_use]
    pub fn policy(&self) -> &'a PolicyName {
        match self {
            Self::Grant { policy, .. } => policy,
            Self::Policy(reference) => &reference.name,
        }
    }
}

// === impl Obligations ===

impl<'a> Obligations<'a> {
    pub(super) fn of(elevation: &'a Elevation) -> Self {
        let Elevation { mode, run_as, authentication, child_processes, protections, on_expiry, .. } = elevation;
        Self {
            mode: *mode,
            run_as,
            authentication: *authentication,
            child_processes: *child_processes,
            protections,
            on_expiry: *on_expiry,
        }
    }
}
