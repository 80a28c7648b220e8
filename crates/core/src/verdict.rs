//! What may happen on an endpoint now: one pure function from verified parts and a question to a verdict, the same in agent,
//! controller and command line. It answers; what an agent does about it, and how it measures what it asks with, is not here.

mod index;
mod judge;
mod outcome;
mod rights;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use crate::application::Facts;
use crate::interval::Instant;
use crate::name::Account;

pub use self::outcome::{Credit, Denial, Obligations, Outcome, Question, Reason, Source, Verdict};
pub use self::rights::Rights;

use self::judge::Judge;

/// A question to [`evaluate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// What for.
    pub kind: Kind,
    /// For whom.
    pub subject: Subject<'a>,
    /// For what.
    pub ask: Ask<'a>,
    /// Is the clock that `now` was read from not behind what is signed?
    pub clock_is_sound: bool,
    /// How old the last authenticated contact is.
    pub contact: Contact,
}

/// What a question is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something is about to start. What nobody has measured is in error.
    Run,
    /// Somebody wants to ask for it.
    Request,
    /// Somebody wants to know.
    Explain,
}

/// Who it is for, as the operating system says: never the client's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The login.
    pub account: &'a Account,
    /// Is it still the account it was?
    pub agreement: Agreement,
    /// Not root, and with a right of ours in place. Asked by [`Kind::Run`] alone.
    pub is_managed: bool,
    /// An earlier end for this account has failed, and what it should have ended may still run.
    pub has_failed_end: bool,
}

/// Do user number, login name and creation mark belong together?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// They do.
    Agrees,
    /// They do not: the number, or the name, was used again.
    Differs,
    /// One of them could not be read.
    Unreadable,
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask<'a> {
    /// Start this program elevated: modes Application and AnyApplication.
    Program(&'a Facts),
    /// Start this program as oneself, although no allowlist names it: mode Allowlisting.
    Unlisted(&'a Facts),
    /// Open an administrator's shell: mode AdminSession.
    Session,
}

/// The last authenticated contact with a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// How long ago it was.
    pub age: Duration,
    /// How much older than a policy's `offlineTolerance` it may be: an agent that polls all the time may be this late.
    pub grace: Duration,
}

/// Judges a question. Total: it answers whatever it is given, reads nothing else, and takes time that does not grow with the
/// number of items, but for those that begin alike.
///
/// The first line that applies decides ([`Reason`] has a word for each):
///
/// | # | Condition | Outcome |
/// |---|---|---|
/// | 1 | run by root or by somebody for whom nothing of ours is in place | not managed |
/// | 2 | no placement, or no fleet part | deny |
/// | 3 | the fleet part locks the endpoint or the account | deny |
/// | 4 | the clock is behind its floor | deny |
/// | 5 | user number, name and creation mark disagree, or cannot be read | deny |
/// | 6 | an earlier end for this account has failed | deny |
/// | 7 | the program is on an absolute blocklist, or that cannot be excluded | deny |
/// | 8 | a grant holds now and covers account and program | allow |
/// | 9 | a policy that grants ahead does so | allow |
/// | 10 | 8 or 9, but for an attribute in error | deny |
/// | 11 | 8 or 9, but for the age of the last contact or of the fleet part | deny |
/// | 12 | one may ask for it | ask |
/// | 13 | 8, 9 or 12, but for a Lock on the policy, an `except`, or a blocklist | deny |
/// | 14 | otherwise | deny |
///
/// A right with several obstacles counts for the line of the last of them. Every deny wins over every allow of its own policy,
/// however exact either is; the order of parts, items and fields never matters.
#[must_use]
pub fn evaluate<'a>(rights: &Rights<'a>, query: &Query<'_>, now: Instant) -> Verdict<'a> {
    let subject = &query.subject;
    if query.kind == Kind::Run && !subject.is_managed {
        return Verdict { outcome: Outcome::NotManaged, reason: Reason::NotManaged };
    }
    let Some(known) = rights.known() else { return Verdict::deny(Reason::NoSnapshot, Denial::default()) };
    if let Some(lock) = known.locked(subject.account) {
        return Verdict::deny(Reason::Locked, Denial { lock: Some(lock), ..Denial::default() });
    }
    if !query.clock_is_sound {
        return Verdict::deny(Reason::ClockUntrusted, Denial::default());
    }
    match subject.agreement {
        Agreement::Agrees => {}
        Agreement::Differs | Agreement::Unreadable => {
            return Verdict::deny(Reason::AccountMismatch, Denial::default());
        }
    }
    if subject.has_failed_end {
        return Verdict::deny(Reason::EndFailed, Denial::default());
    }
    let blocks = known.blocks(query);
    if let Some(block) = blocks.absolute {
        return Verdict::deny(Reason::ApplicationBlocklisted, Denial { block: Some(block), ..Denial::default() });
    }
    Judge::new(known, query, blocks.ordinary, now).verdict()
}

// === impl Ask ===

impl<'a> Ask<'a> {
    /// What is known of the program, if it is about one.
    #[must_use]
    pub fn facts(self) -> Option<&'a Facts> {
        match self {
            Self::Program(facts) | Self::Unlisted(facts) => Some(facts),
            Self::Session => None,
        }
    }
}
