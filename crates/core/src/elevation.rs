//! What is elevated and how: `spec.elevation` of a JitPolicy, checked. Which program an item covers is `application`'s.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::application::Application;
use crate::name::Account;

/// What a policy elevates, or what a grant does. On the wire everything that could widen it is written out: a field that is
/// missing is not understood, instead of being taken for a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Elevation {
    /// How much is elevated.
    pub mode: Mode,
    /// Which programs, for the modes that have a choice.
    pub scope: Scope,
    /// Mode Allowlisting: also what a blocklist that is not absolute names.
    pub include_blocklisted: bool,
    /// With scope Listed: these, at least one, at most 64, names unique. A grant for one program has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<Application>,
    /// The account that elevated programs run as.
    pub run_as: Account,
    /// Whether the person gives the own password.
    pub authentication: Authentication,
    /// What becomes of processes that an elevated program starts.
    pub child_processes: ChildProcesses,
    /// What an elevated session is kept from.
    pub protections: BTreeSet<Protection>,
    /// What happens at the end.
    pub on_expiry: OnExpiry,
}

/// How much is elevated. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Programs that no allowlist names may be run, not elevated.
    Allowlisting,
    /// Chosen programs.
    Application,
    /// Any program that needs elevation.
    AnyApplication,
    /// A shell as administrator.
    AdminSession,
}

/// Which programs a mode is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Those in the list.
    #[default]
    Listed,
    /// All that no blocklist names.
    Any,
}

/// Whether the person proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// By the own password.
    #[default]
    Required,
    /// Not again.
    None,
}

/// What becomes of processes that an elevated program starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChildProcesses {
    /// They run elevated, are tracked, and end with the grant.
    #[default]
    Track,
    /// They may not be started.
    Deny,
}

/// What an elevated session is kept from. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protection {
    /// Changing who is an administrator.
    PrivilegedAccounts,
    /// Touching the agent.
    Agent,
}

/// What happens at the end, each more than the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OnExpiry {
    /// Nothing new starts; what runs goes on.
    Revoke,
    /// What was started elevated is ended.
    #[default]
    Terminate,
    /// The account is logged off as well.
    LogOff,
}

/// A word of an agent for what it can enforce, as it says it in `Tidegate-Agent`.
pub mod capability {
    /// Runs programs only if they are on an allowlist: mode Allowlisting.
    pub const ALLOWLISTING: &str = "allowlisting";
    /// Keeps a session from what `protections` names.
    pub const PROTECT: &str = "protect";
    /// Ends the account's sessions: `onExpiry: LogOff`.
    pub const LOG_OFF: &str = "logoff";
}

// === impl Elevation ===

impl Elevation {
    /// What an agent must be able to do beyond what every agent can.
    #[must_use]
    pub fn needs(&self) -> BTreeSet<&'static str> {
        let needed = [
            (self.mode == Mode::Allowlisting, capability::ALLOWLISTING),
            (!self.protections.is_empty(), capability::PROTECT),
            (self.on_expiry == OnExpiry::LogOff, capability::LOG_OFF),
        ];
        needed.into_iter().filter_map(|(is_needed, word)| is_needed.then_some(word)).collect()
    }

    /// The items that say which programs are meant; `None` where any program is.
    #[must_use]
    pub fn listed(&self) -> Option<&[Application]> {
        match (self.mode, self.scope) {
            (Mode::Application | Mode::Allowlisting, Scope::Listed) => Some(&self.applications),
            (Mode::Application | Mode::Allowlisting, Scope::Any) | (Mode::AnyApplication | Mode::AdminSession, _) => {
                None
            }
        }
    }
}

// === impl Mode ===

impl Mode {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowlisting => "Allowlisting",
            Self::Application => "Application",
            Self::AnyApplication => "AnyApplication",
            Self::AdminSession => "AdminSession",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
