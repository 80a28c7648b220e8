//! Lines 8 to 14 of the table: every right that may have a say is judged for itself, and the first line that one of them
//! reaches decides. What speaks against a right moves it further down.

use std::cmp::Reverse;

use super::index::Paths;
use super::rights::{By, Entry, Known, Person, Reach};
use super::{Ask, Credit, Denial, Kind, Obligations, Outcome, Query, Question, Reason, Source, Verdict};
use crate::acceptance::program::heeds_blocklists;
use crate::access::Terms;
use crate::application::{
    Application, Attr, Attribute, Attributes, Block, Coverage, Facts, GrantedApplication, ItemName, Match, RuleType,
};
use crate::elevation::{Elevation, Mode};
use crate::grant::GrantBody;
use crate::interval::{Instant, Interval, Position};
use crate::name::PolicyName;
use crate::policy::PolicyBody;

/// The lines that a right can reach, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Line {
    Grant,
    Policy,
    Indeterminate,
    Offline,
    RequestRequired,
    Locked,
    AccountExcepted,
    ApplicationExcepted,
    ApplicationBlocklisted,
}

/// Judges one question.
pub(super) struct Judge<'k, 'a> {
    known: &'k Known<'a>,
    query: &'k Query<'k>,
    /// A blocklist that is not absolute names the program, or may.
    block: Option<Block<'a>>,
    now: Instant,
    best: Option<Found<'a>>,
}

/// A right that has a say.
struct Found<'a> {
    line: Line,
    given: Given<'a>,
    cover: Cover<'a>,
    by: By,
}

/// What gives a right.
#[derive(Clone, Copy)]
enum Given<'a> {
    Grant(&'a GrantBody),
    Ahead(&'a PolicyBody, Interval),
    OnRequest(&'a PolicyBody, &'a Terms),
}

/// How a right covers the program, or would.
#[derive(Clone, Copy)]
struct Cover<'a> {
    rule_type: RuleType,
    item: Option<&'a ItemName>,
    /// What stands against it.
    obstacle: Option<Line>,
    /// What could not be read.
    attributes: Attributes,
}

// === impl Judge ===

impl<'k, 'a> Judge<'k, 'a> {
    pub(super) fn new(known: &'k Known<'a>, query: &'k Query<'k>, block: Option<Block<'a>>, now: Instant) -> Self {
        Self { known, query, block, now, best: None }
    }

    pub(super) fn verdict(mut self) -> Verdict<'a> {
        let known = self.known;
        let account = self.query.subject.account;
        for grant in known.grants(account) {
            self.grant(grant);
        }
        if let Some(person) = known.person(account) {
            for policy in &person.without_list {
                self.policy(person, *policy, |_, _| Some(Cover::without_list()));
            }
            if let Some(facts) = self.query.ask.facts() {
                known.items.each(facts, Paths::Both, |Entry { policy, item }| {
                    self.policy(person, policy, |judge, elevation| {
                        judge.item(elevation.applications.get(item as usize)?, facts)
                    });
                });
            }
        }
        match &self.best {
            Some(found) => self.told(found),
            None => Verdict::deny(self.otherwise(), Denial::default()),
        }
    }

    /// A policy that reaches the account, or would, with what covers the program.
    fn policy(&mut self, person: &Person, place: u32, cover: impl Fn(&Self, &'a Elevation) -> Option<Cover<'a>>) {
        let known = self.known;
        let reached = known.policies.get(place as usize).copied().zip(person.reach(place));
        let Some((policy, reach)) = reached.filter(|(policy, _)| self.is_about(policy.elevation.mode)) else { return };
        let Some(cover) = cover(self, &policy.elevation) else { return };
        let given = match policy.access.terms() {
            Some(terms) => Given::OnRequest(policy, terms),
            None => match policy.access.span(self.now) {
                Some(span) => Given::Ahead(policy, span),
                None => return,
            },
        };
        self.weigh(given, reach, cover);
    }

    fn grant(&mut self, grant: &'a GrantBody) {
        if !self.is_about(grant.elevation.mode) {
            return;
        }
        let weigh = |judge: &mut Self, cover: Option<Cover<'a>>| {
            let reach = Reach { by: By::Name, is_excepted: false };
            cover.into_iter().for_each(|cover| judge.weigh(Given::Grant(grant), reach, cover));
        };
        match (&grant.application, grant.elevation.listed(), self.query.ask.facts()) {
            (Some(application), _, Some(facts)) => weigh(self, self.granted(application, facts)),
            (None, Some(items), Some(facts)) => items.iter().for_each(|item| weigh(self, self.item(item, facts))),
            (None, None, _) => weigh(self, Some(Cover::without_list())),
            (Some(_), _, None) | (None, Some(_), None) => {}
        }
    }

    /// Is the question about what this mode elevates?
    fn is_about(&self, mode: Mode) -> bool {
        match (self.query.ask, mode) {
            (Ask::Program(_), Mode::Application | Mode::AnyApplication)
            | (Ask::Unlisted(_), Mode::Allowlisting)
            | (Ask::Session, Mode::AdminSession) => true,
            (Ask::Program(_), Mode::Allowlisting | Mode::AdminSession)
            | (Ask::Unlisted(_), Mode::Application | Mode::AnyApplication | Mode::AdminSession)
            | (Ask::Session, Mode::Allowlisting | Mode::Application | Mode::AnyApplication) => false,
        }
    }

    /// `None` if the item says nothing for the program.
    fn item(&self, item: &'a Application, facts: &Facts) -> Option<Cover<'a>> {
        let found = match item.covers(facts) {
            Coverage::Covered(_) => Match::Yes,
            Coverage::Excepted(_) => {
                let cover = Cover::by(item.rule().strongest(), Some(&item.name));
                return Some(Cover { obstacle: Some(Line::ApplicationExcepted), ..cover });
            }
            Coverage::Missing(attributes) => Match::Unknown(attributes),
            Coverage::Error(attributes) => Match::Error(attributes),
            Coverage::Not => return None,
        };
        self.matched(found, facts, || Cover::by(item.rule().strongest(), Some(&item.name)))
    }

    fn granted(&self, application: &'a GrantedApplication, facts: &Facts) -> Option<Cover<'a>> {
        let GrantedApplication { sha256, vendor, product, .. } = application;
        let rule_type = match (sha256, product, vendor) {
            (Some(_), _, _) => RuleType::FileHash,
            (None, Some(_), _) => RuleType::Product,
            (None, None, Some(_)) => RuleType::Vendor,
            (None, None, None) => RuleType::ExactPath,
        };
        self.matched(application.matches(facts), facts, || Cover::by(rule_type, None))
    }

    /// Whoever is about to start something has measured it: what is not stated then is in error.
    fn matched(&self, found: Match, facts: &Facts, cover: impl Fn() -> Cover<'a>) -> Option<Cover<'a>> {
        let mut found = found;
        if self.query.kind == Kind::Run {
            let unread = [
                (facts.secure == Attr::Unstated).then_some(Attribute::Secure),
                facts.platform.is_none().then_some(Attribute::Platform),
            ];
            let unread = unread.into_iter().flatten().map(|attribute| Match::Error(attribute.into()));
            found = unread.fold(found, Match::and);
        }
        let attributes = match (found, self.query.kind) {
            (Match::Yes, _) => return Some(cover()),
            (Match::Error(attributes), _) | (Match::Unknown(attributes), Kind::Run) => attributes,
            (Match::No, _) | (Match::Unknown(_), Kind::Request | Kind::Explain) => return None,
        };
        Some(Cover { obstacle: Some(Line::Indeterminate), attributes, ..cover() })
    }

    /// Finds the line of a right that covers the program, and keeps it if no better one is known.
    fn weigh(&mut self, given: Given<'a>, reach: Reach, cover: Cover<'a>) {
        let blocked = self.blocked(given);
        let (line, interval) = match given {
            Given::Grant(grant) => (Line::Grant, Some(grant.interval())),
            Given::Ahead(_, span) => (Line::Policy, Some(span)),
            // What is uncertain cannot be asked for: the same request would be declined.
            Given::OnRequest(..) if cover.obstacle == Some(Line::Indeterminate) => return,
            Given::OnRequest(..) => (Line::RequestRequired, None),
        };
        if interval.is_some_and(|interval| interval.position(self.now) != Position::Inside) {
            return;
        }
        let obstacles = [
            cover.obstacle,
            blocked,
            self.is_locked(given).then_some(Line::Locked),
            (interval.is_some() && self.is_offline(given)).then_some(Line::Offline),
            reach.is_excepted.then_some(Line::AccountExcepted),
        ];
        let line = obstacles.into_iter().flatten().fold(line, Line::max);
        let found = Found { line, given, cover, by: reach.by };
        if self.best.as_ref().is_none_or(|best| found.rank() < best.rank()) {
            self.best = Some(found);
        }
    }

    fn blocked(&self, given: Given<'a>) -> Option<Line> {
        let block = self.block.filter(|_| heeds_blocklists(given.elevation()))?;
        let is_right = !matches!(given, Given::OnRequest(..));
        match (block.answer, self.query.kind) {
            (Match::Error(_), _) | (Match::Unknown(_), Kind::Run) if is_right => Some(Line::Indeterminate),
            (Match::Yes | Match::No | Match::Error(_) | Match::Unknown(_), _) => Some(Line::ApplicationBlocklisted),
        }
    }

    fn is_locked(&self, given: Given<'a>) -> bool {
        let Known { fleet, placement, .. } = self.known;
        fleet.locked(placement, self.query.subject.account, given.policy()).is_some()
    }

    /// Is the last contact, or the fleet part, too old for something new to start?
    fn is_offline(&self, given: Given<'a>) -> bool {
        let Known { fleet, issued_at, .. } = self.known;
        let tolerance = match given {
            Given::Grant(grant) => grant.offline_tolerance,
            Given::Ahead(policy, _) | Given::OnRequest(policy, _) => policy.offline_tolerance,
        };
        let contact = self.query.contact;
        contact.age > tolerance.saturating_add(contact.grace)
            || self.now > issued_at.plus(fleet.freshness).plus(tolerance)
    }

    fn told(&self, found: &Found<'a>) -> Verdict<'a> {
        let Found { line, given, cover, .. } = found;
        let reason = match line {
            Line::Grant | Line::Policy | Line::RequestRequired => return found.given.allowed(*cover),
            Line::Indeterminate => Reason::Indeterminate,
            Line::Offline => Reason::Offline,
            Line::Locked => Reason::Locked,
            Line::AccountExcepted => Reason::AccountExcepted,
            Line::ApplicationExcepted => Reason::ApplicationExcepted,
            Line::ApplicationBlocklisted => Reason::ApplicationBlocklisted,
        };
        let Known { fleet, placement, .. } = self.known;
        let lock = fleet.locked(placement, self.query.subject.account, given.policy());
        let block = self.block.filter(|_| heeds_blocklists(given.elevation()));
        Verdict::deny(
            reason,
            Denial { policy: Some(given.policy()), item: cover.item, attributes: cover.attributes, block, lock },
        )
    }

    fn otherwise(&self) -> Reason {
        let account = self.query.subject.account;
        let is_ahead = |grant: &&GrantBody| grant.interval().position(self.now) != Position::After;
        if self.known.grants(account).iter().any(is_ahead) {
            return Reason::ApplicationNotCovered;
        }
        match self.known.person(account) {
            _ if self.known.policies.is_empty() => Reason::EndpointNotTargeted,
            Some(person) if person.is_reached() => Reason::ApplicationNotCovered,
            Some(_) | None => Reason::AccountNotTargeted,
        }
    }
}

// === impl Found ===

impl Found<'_> {
    /// The smallest decides, and within a line is credited.
    fn rank(&self) -> impl Ord {
        let (is_policy, end, uid) = match self.given {
            Given::Grant(grant) => (false, Some(grant.not_after), &grant.request.uid),
            Given::Ahead(policy, span) => (true, Some(span.end), &policy.policy.uid),
            Given::OnRequest(policy, _) => (true, None, &policy.policy.uid),
        };
        let Cover { rule_type, item, .. } = self.cover;
        (self.line, is_policy, rule_type, Reverse(end), self.by, uid, item)
    }
}

// === impl Given ===

impl<'a> Given<'a> {
    fn elevation(self) -> &'a Elevation {
        match self {
            Self::Grant(grant) => &grant.elevation,
            Self::Ahead(policy, _) | Self::OnRequest(policy, _) => &policy.elevation,
        }
    }

    fn policy(self) -> &'a PolicyName {
        match self {
            Self::Grant(grant) => &grant.policy.name,
            Self::Ahead(policy, _) | Self::OnRequest(policy, _) => &policy.policy.name,
        }
    }

    /// The verdict where nothing stands against it.
    fn allowed(self, Cover { rule_type, item, .. }: Cover<'a>) -> Verdict<'a> {
        let obligations = Obligations::of(self.elevation());
        let allow = |source: Source<'a>, deadline: Instant| {
            Outcome::Allow(Credit { source, item, rule_type, deadline, obligations })
        };
        let (outcome, reason) = match self {
            Self::Grant(grant) => {
                let source = Source::Grant { request: &grant.request, policy: &grant.policy.name };
                (allow(source, grant.not_after), Reason::Grant)
            }
            Self::Ahead(policy, span) => (allow(Source::Policy(&policy.policy), span.end), Reason::Policy),
            Self::OnRequest(policy, terms) => {
                let question = Question { policy: &policy.policy, item, rule_type, terms, obligations };
                (Outcome::Ask(question), Reason::RequestRequired)
            }
        };
        Verdict { outcome, reason }
    }
}

// === impl Cover ===

impl<'a> Cover<'a> {
    fn by(rule_type: RuleType, item: Option<&'a ItemName>) -> Self {
        Self { rule_type, item, obstacle: None, attributes: Attributes::default() }
    }

    /// Any program, or none, is meant.
    fn without_list() -> Self {
        Self::by(RuleType::NoList, None)
    }
}
