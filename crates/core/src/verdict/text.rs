//! Verdicts as people read them: what is so, where, and what would be accepted instead. Worked out only when somebody asks, and
//! bounded whatever policies say.

use super::rights::Known;
use super::{Credit, Denial, Outcome, Query, Question, Reason, Rights, Source, Verdict};
use crate::access::{DurationRule, ReasonRule, Terms, TicketRule};
use crate::application::{Attr, Attribute, Block, Facts, Match, describe};
use crate::elevation::{Elevation, Mode};
use crate::interval::{Instant, Position, format_duration};
use crate::policy::PolicyBody;

/// At most this many policies are named.
const SHOWN: usize = 3;

// === impl Rights ===

impl Rights<'_> {
    /// What to tell the person who asked, in one line.
    #[must_use]
    pub fn text(&self, query: &Query<'_>, verdict: &Verdict<'_>, now: Instant) -> String {
        let what = what(query);
        match &verdict.outcome {
            Outcome::NotManaged => {
                format!(
                    "nothing of Tidegate is in place for {}: the standing rules of this computer decide",
                    account(query)
                )
            }
            Outcome::Allow(credit) => allowed(&what, credit),
            Outcome::Ask(question) => asked(&what, question),
            Outcome::Deny(denial) => {
                let on = self.known().map_or("this computer", |known| known.placement.endpoint.name.as_str());
                self.denied(query, verdict.reason, denial, &format!("{what} on {on}"), now)
            }
        }
    }

    fn denied(&self, query: &Query<'_>, reason: Reason, denial: &Denial<'_>, what: &str, now: Instant) -> String {
        let policy = denial.policy.map(ToString::to_string).unwrap_or_default();
        let item = denial.item.map(|item| format!(" (item {item})")).unwrap_or_default();
        let why = match reason {
            Reason::NoSnapshot => {
                "it is not known yet what is in force here; connect the computer to its gateway".to_owned()
            }
            Reason::Locked => match denial.lock.map(|lock| lock.message.as_str()) {
                Some(message) if !message.is_empty() => format!("stopped by a Lock: {message}"),
                Some(_) | None => "stopped by a Lock; ask an administrator".to_owned(),
            },
            Reason::ClockUntrusted => "the computer's clock is behind what is signed; set it right".to_owned(),
            Reason::AccountMismatch => format!("{} is not provably the account it was", account(query)),
            Reason::EndFailed => "an earlier end has failed, and it is tried again; ask an administrator".to_owned(),
            Reason::ApplicationBlocklisted => blocked(denial.block.as_ref()),
            Reason::Indeterminate => {
                format!("{policy}{item} would allow it, but this could not be read: {}", unread(denial))
            }
            Reason::Offline => {
                format!("{policy} allows it only after contact with the gateway, last had {} ago", contact(query))
            }
            Reason::AccountExcepted => format!("{policy} leaves {} out (except)", account(query)),
            Reason::ApplicationExcepted => format!("{policy}{item} leaves it out (except)"),
            Reason::EndpointNotTargeted => "no policy is for this computer".to_owned(),
            Reason::AccountNotTargeted => format!("no policy here is for {}", account(query)),
            Reason::ApplicationNotCovered => self.known().map(|known| uncovered(known, query, now)).unwrap_or_default(),
            // No denials.
            Reason::NotManaged | Reason::Grant | Reason::Policy | Reason::RequestRequired => reason.to_string(),
        };
        format!("{what}: {why}")
    }
}

fn account(query: &Query<'_>) -> String {
    format!("\"{}\"", query.subject.account)
}

fn contact(query: &Query<'_>) -> String {
    format_duration(query.contact.age)
}

fn what(query: &Query<'_>) -> String {
    match query.ask.facts().map(|facts| &facts.path) {
        Some(Attr::Known(path)) => path.to_string(),
        Some(Attr::Absent | Attr::Error | Attr::Unstated) => "the program".to_owned(),
        None => "an administrator's shell".to_owned(),
    }
}

fn allowed(what: &str, credit: &Credit<'_>) -> String {
    let by = match credit.source {
        Source::Grant { request, policy } => format!("{} ({policy})", request.name),
        Source::Policy(policy) => policy.name.to_string(),
    };
    format!("{what} is allowed by {by} until {}", credit.deadline)
}

fn asked(what: &str, question: &Question<'_>) -> String {
    let Terms { reason, ticket, duration, .. } = question.terms;
    let DurationRule { min, max, default } = duration;
    let mut wanted = vec![format!(
        "{} to {} ({} unless you say otherwise)",
        format_duration(*min),
        format_duration(*max),
        format_duration(*default)
    )];
    match reason {
        ReasonRule { required: true, min_length: 0, .. } => wanted.push("a reason".to_owned()),
        ReasonRule { required: true, min_length, .. } => {
            wanted.push(format!("a reason of at least {min_length} characters"));
        }
        ReasonRule { required: false, .. } => {}
    }
    match ticket {
        TicketRule { required: true, pattern: Some(pattern) } => {
            wanted.push(format!("a ticket that matches {}", pattern.as_str()));
        }
        TicketRule { required: true, pattern: None } => wanted.push("a ticket".to_owned()),
        TicketRule { required: false, .. } => {}
    }
    format!("{what} can be requested under {}: {}", question.policy.name, wanted.join(", "))
}

fn blocked(block: Option<&Block<'_>>) -> String {
    let Some(Block { list, item, answer }) = block else { return "a blocklist names it".to_owned() };
    match answer {
        Match::Yes | Match::No => format!("blocklist {list} of the fleet names it (item {item})"),
        Match::Unknown(attributes) | Match::Error(attributes) => {
            format!("blocklist {list} of the fleet may name it (item {item}): {}", attributes.advice())
        }
    }
}

/// What could not be read: of the program for the item, else for the blocklist.
fn unread(denial: &Denial<'_>) -> String {
    let of_list = denial.block.and_then(|block| match block.answer {
        Match::Unknown(attributes) | Match::Error(attributes) => Some(attributes),
        Match::Yes | Match::No => None,
    });
    denial.attributes.union(of_list.unwrap_or_default()).to_string()
}

/// What policies for the account would allow here, or will.
fn uncovered(known: &Known<'_>, query: &Query<'_>, now: Instant) -> String {
    if let Some(Facts { secure: Attr::Known(false), .. }) = query.ask.facts() {
        return "others than root may write to the file or a folder above it".to_owned();
    }
    let person = known.person(query.subject.account);
    let reached = (0..)
        .zip(&known.policies)
        .filter(|(place, _)| person.and_then(|person| person.reach(*place)).is_some_and(|reach| !reach.is_excepted));
    let mut said: Vec<String> = reached.map(|(_, policy)| offer(policy, query, now)).collect();
    let more = said.len().saturating_sub(SHOWN);
    said.truncate(SHOWN);
    if more > 0 {
        said.push(format!("and {more} more policies"));
    }
    let offers = if said.is_empty() { String::new() } else { format!("; {}", said.join("; ")) };
    format!("in no policy for you now{offers}")
}

fn offer(policy: &PolicyBody, query: &Query<'_>, now: Instant) -> String {
    let PolicyBody { policy: reference, elevation, access, .. } = policy;
    let missing = missing(elevation, query).map(|missing| format!(" ({missing})")).unwrap_or_default();
    let when = match access.span(now).map(|span| (span, span.position(now))) {
        Some((span, Position::Before)) => format!(" from {} on", span.start),
        Some((span, Position::After)) => format!(" until {}", span.end),
        Some((_, Position::Inside)) => String::new(),
        None if access.terms().is_some() => " on request".to_owned(),
        None => String::new(),
    };
    let programs = match (elevation.mode, elevation.listed()) {
        (Mode::AdminSession, _) => "an administrator's shell".to_owned(),
        (Mode::Allowlisting, None) => "programs that no allowlist names, not elevated".to_owned(),
        (Mode::Application | Mode::AnyApplication, None) => "any program".to_owned(),
        (Mode::Allowlisting, Some(items)) => format!("{}, not elevated", describe(items)),
        (Mode::Application | Mode::AnyApplication, Some(items)) => describe(items),
    };
    format!("{} allows {programs}{when}{missing}", reference.name)
}

/// What to state so that an item could tell.
fn missing(elevation: &Elevation, query: &Query<'_>) -> Option<String> {
    let (items, facts) = (elevation.listed()?, query.ask.facts()?);
    items.iter().find_map(|item| match item.rule().matches(facts) {
        Match::Unknown(attributes) if attributes.iter().any(Attribute::is_stated_by_requests) => {
            Some(format!("item {} may cover it: {}", item.name, attributes.advice()))
        }
        Match::Yes | Match::No | Match::Unknown(_) | Match::Error(_) => None,
    })
}
