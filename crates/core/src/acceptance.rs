//! May this be asked at all? Every reason against a request is named, each with what would be accepted. What a program must be
//! like is `acceptance::program`'s.

pub mod program;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::access::{DurationRule, Terms};
use crate::elevation::Elevation;
use crate::endpoint::{AccountEntry, Endpoint};
use crate::fleet::Settings;
use crate::grant::PinnedPolicy;
use crate::interval::{Instant, format_duration};
use crate::ledger::{MAX_OPEN_AT_ENDPOINT, OpenRequests};
use crate::lock::{Subject, Switches};
use crate::name::{Account, Identity, PolicyName};
use crate::policy::Policy;
use crate::reason::{Decline, DeclineReason};
use crate::request::{Lookup, Request};
use crate::select::Withheld;

/// The furthest ahead that a request may begin.
pub const MAX_START_AHEAD: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a request is held to.
#[derive(Debug, Clone, Copy)]
pub struct Against<'a> {
    /// The policy it names.
    pub policy: &'a Lookup<Policy>,
    /// The endpoint it names, with the fleet's accounts.
    pub endpoint: &'a Lookup<Endpoint>,
    /// The fleet's settings.
    pub settings: &'a Settings,
    /// What stops elevation at the moment.
    pub switches: &'a Switches,
    /// What the person has open beside it. Asked once, when the request comes in.
    pub open: &'a OpenRequests,
}

/// What acceptance establishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// Its terms.
    pub terms: &'a Terms,
    /// The policy, as it is pinned.
    pub pinned: PinnedPolicy,
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// The account on it.
    pub account: &'a AccountEntry,
    /// The person behind the account.
    pub identity: Identity,
}

/// Holds a request to everything.
///
/// # Errors
/// Every reason against it, unsorted.
pub fn judge<'a>(request: &Request, against: &Against<'a>, now: Instant) -> Result<Accepted<'a>, Vec<Decline>> {
    let mut judge = Judge { request, declines: Vec::new() };
    let policy = judge.policy(against.policy);
    let endpoint = judge.endpoint(against.endpoint);
    judge.switches(against, endpoint, now);
    if let Some((policy, terms)) = policy {
        judge.terms(policy, terms);
    }
    let person = endpoint.and_then(|endpoint| judge.account(endpoint));
    if let (Some((policy, _)), Some(endpoint)) = (policy, endpoint) {
        judge.targets(policy, endpoint);
        judge.declines.extend(program::against(request, policy, endpoint, &against.settings.blocklists));
    }
    // The start and the number of requests are judged once, when the request comes in: waiting must not decline it.
    if !request.is_judged() {
        judge.start(now);
        judge.open(against);
    }
    match (policy, endpoint, person) {
        (Some((policy, terms)), Some(endpoint), Some((account, identity))) if judge.declines.is_empty() => {
            Ok(Accepted { policy, terms, pinned: pin(policy), endpoint, account, identity })
        }
        _ => Err(judge.declines),
    }
}

/// Everybody whom a Lock on a person would stop this request for: who asks, whose account it is, who has approved.
#[must_use]
pub fn people<'a>(request: &'a Request, endpoint: Option<&'a Endpoint>) -> BTreeSet<&'a Identity> {
    let account = endpoint.and_then(|endpoint| endpoint.accounts.get(&request.wish.account));
    let behind = account.into_iter().flat_map(|entry| &entry.identities);
    let status = request.status.as_ref();
    let recorded = status.and_then(|status| status.identity.as_ref());
    let decisions = status.map(|status| status.decisions.as_slice()).unwrap_or_default();
    let approvers = decisions.iter().filter(|d| d.is_counted_approval()).filter_map(|d| d.by.as_ref());
    std::iter::once(&request.wish.requester).chain(behind).chain(recorded).chain(approvers).collect()
}

fn pin(policy: &Policy) -> PinnedPolicy {
    PinnedPolicy {
        name: policy.reference.name.clone(),
        uid: policy.reference.uid.clone(),
        generation: policy.reference.generation,
        digest: policy.rules.digest(),
    }
}

/// A duration outside a range: what is wrong, and the nearest that would be right.
#[must_use]
pub fn out_of_range(duration: Duration, range: &DurationRule, policy: &PolicyName) -> Option<(String, String)> {
    let (relation, bound, advice) = if duration > range.max {
        ("above the maximum", range.max, "less")
    } else if duration < range.min {
        ("below the minimum", range.min, "more")
    } else {
        return None;
    };
    let (asked, bound) = (format_duration(duration), format_duration(bound));
    Some((format!("{asked} is {relation} of {bound} in {policy}"), format!("{bound} or {advice}")))
}

struct Judge<'r> {
    request: &'r Request,
    declines: Vec<Decline>,
}

// === impl Judge ===

impl Judge<'_> {
    fn decline(&mut self, reason: DeclineReason, message: impl Into<String>) {
        self.declines.push(Decline::new(reason, message));
    }

    fn policy<'a>(&mut self, lookup: &'a Lookup<Policy>) -> Option<(&'a Policy, &'a Terms)> {
        let name = &self.request.wish.policy;
        let (reason, message) = match lookup {
            Lookup::Found(policy) => match policy.rules.access.terms() {
                Some(terms) if !policy.suspended => return Some((policy, terms)),
                Some(_) => (
                    DeclineReason::JitDisabled,
                    format!("JitPolicy {name} is suspended (spec.suspended): ask an administrator of the policy"),
                ),
                None => (
                    DeclineReason::PolicyNotOnRequest,
                    format!("JitPolicy {name} grants access ahead and takes no requests"),
                ),
            },
            Lookup::Missing => (
                DeclineReason::PolicyNotFound,
                format!("there is no JitPolicy {name} in this namespace: kubectl get jp lists them"),
            ),
            Lookup::Unreadable(why) => (DeclineReason::PolicyNotReady, format!("JitPolicy {name} is not ready: {why}")),
        };
        self.decline(reason, message);
        None
    }

    fn endpoint<'a>(&mut self, lookup: &'a Lookup<Endpoint>) -> Option<&'a Endpoint> {
        let name = &self.request.wish.endpoint;
        let why = match lookup {
            Lookup::Found(endpoint) => return Some(endpoint),
            Lookup::Missing => {
                format!("there is no ManagedEndpoint {name} in this namespace: kubectl get managedendpoints lists them")
            }
            Lookup::Unreadable(why) => format!("ManagedEndpoint {name} cannot be used: {why}"),
        };
        self.decline(DeclineReason::EndpointNotFound, why);
        None
    }

    fn switches(&mut self, against: &Against<'_>, endpoint: Option<&Endpoint>, now: Instant) {
        let people = people(self.request, endpoint);
        let subject =
            Subject { on: &self.request.wish.endpoint, endpoint, policy: &self.request.wish.policy, people: &people };
        self.declines.extend(against.switches.against(&subject, now));
    }

    fn terms(&mut self, policy: &Policy, terms: &Terms) {
        self.reason(policy, terms);
        self.ticket(policy, terms);
        let (wish, name) = (&self.request.wish, &policy.reference.name);
        if let Some((wrong, right)) = wish.duration.and_then(|d| out_of_range(d, &terms.duration, name)) {
            self.decline(DeclineReason::DurationOutOfRange, format!("spec.duration: {wrong}; ask for {right}"));
        }
    }

    fn reason(&mut self, policy: &Policy, terms: &Terms) {
        let (name, rule) = (&policy.reference.name, &terms.reason);
        let reason = self.request.wish.reason.trim();
        let length = reason.chars().count();
        let min_length = usize::try_from(rule.min_length).unwrap_or(usize::MAX);
        if length == 0 {
            if rule.required {
                let least =
                    if min_length > 0 { format!(" of at least {min_length} characters") } else { String::new() };
                self.decline(DeclineReason::ReasonRequired, format!("spec.reason: {name} requires a reason{least}"));
            }
            return;
        }
        if length < min_length {
            let message =
                format!("spec.reason: {length} characters are fewer than the {min_length} that {name} requires");
            self.decline(DeclineReason::ReasonTooShort, message);
        }
        if let Some(pattern) = rule.pattern.as_ref().filter(|pattern| !pattern.matches(reason)) {
            let message = format!("spec.reason: {name} requires a reason that matches {}", pattern.as_str());
            self.decline(DeclineReason::ReasonMismatch, message);
        }
    }

    fn ticket(&mut self, policy: &Policy, terms: &Terms) {
        let (name, rule) = (&policy.reference.name, &terms.ticket);
        let ticket = self.request.wish.ticket.trim();
        let form = rule.pattern.as_ref().map(|pattern| format!(" that matches {}", pattern.as_str()));
        if ticket.is_empty() {
            if rule.required {
                let message = format!("spec.ticket: {name} requires a ticket{}", form.unwrap_or_default());
                self.decline(DeclineReason::TicketRequired, message);
            }
        } else if rule.pattern.as_ref().is_some_and(|pattern| !pattern.matches(ticket)) {
            let message = format!("spec.ticket: {name} requires a ticket{}", form.unwrap_or_default());
            self.decline(DeclineReason::TicketMismatch, message);
        }
    }

    fn targets(&mut self, policy: &Policy, endpoint: &Endpoint) {
        let (name, on) = (&policy.reference.name, &endpoint.reference.name);
        let targets = &policy.rules.targets;
        if !targets.endpoints.reaches(on, &endpoint.labels) {
            let message = format!("spec.endpointName: {on} is not among the endpoints that {name} targets");
            self.decline(DeclineReason::EndpointNotTargeted, message);
        }
        let account = &self.request.wish.account;
        let entry = endpoint.accounts.get(account);
        if entry.is_some_and(|entry| !targets.accounts.reaches(account, &entry.groups)) {
            let message = format!("spec.account: \"{account}\" on {on} is not among the accounts that {name} targets");
            self.decline(DeclineReason::AccountNotTargeted, message);
        }
        if let Some(withheld) = policy.withheld(endpoint) {
            let reason = match &withheld {
                Withheld::AgentUnknown => DeclineReason::AgentUnknown,
                Withheld::Platform(_) => DeclineReason::PlatformNotTargeted,
                Withheld::TooOld { .. } | Withheld::Incapable(_) => DeclineReason::AgentTooOld,
            };
            self.decline(reason, format!("spec.endpointName: {on} does not receive {name}: {withheld}"));
        }
    }

    fn account<'a>(&mut self, endpoint: &'a Endpoint) -> Option<(&'a AccountEntry, Identity)> {
        let wish = &self.request.wish;
        let (account, requester, on) = (&wish.account, &wish.requester, &endpoint.reference.name);
        let known = endpoint.accounts.get(account).and_then(|e| e.identities.first().map(|main| (e, main)));
        let Some((entry, main)) = known else {
            self.decline(DeclineReason::AccountUnknown, unknown_account(account, requester, endpoint));
            return None;
        };
        if !wish.on_behalf && !entry.identities.contains(requester) {
            self.decline(
                DeclineReason::RequesterNotAccount,
                format!(
                    "spec.account: {requester} is not the person behind \"{account}\" on {on}; ask for your own account, or on behalf of its person (spec.onBehalf, which needs create-for-others)"
                ),
            );
        }
        Some((entry, main.clone()))
    }

    fn start(&mut self, now: Instant) {
        let latest = now.plus(MAX_START_AHEAD);
        if let Some(start) = self.request.wish.start.filter(|start| *start > latest) {
            let message = format!("spec.startTime: {start} is more than 7 days ahead; ask for {latest} or earlier");
            self.decline(DeclineReason::StartTimeOutOfRange, message);
        }
    }

    fn open(&mut self, against: &Against<'_>) {
        let OpenRequests { of_person, at_endpoint } = against.open;
        let max = usize::try_from(against.settings.max_open_requests).unwrap_or(usize::MAX);
        if let Some(open) = of_person.first().filter(|_| of_person.len() >= max) {
            let until = open.until.map(|until| format!(" until {until}")).unwrap_or_default();
            let message = format!("{} is open{until}; end it or wait ({max} at a time)", open.name);
            self.decline(DeclineReason::TooManyOpenRequests, message);
        }
        if *at_endpoint >= MAX_OPEN_AT_ENDPOINT {
            let on = &self.request.wish.endpoint;
            let message = format!("{on} has {at_endpoint} open requests, the most there can be; end one or wait");
            self.decline(DeclineReason::TooManyOpenRequests, message);
        }
    }
}

/// Says who the person is on this endpoint, if that is known, else which line would make the account known.
fn unknown_account(account: &Account, requester: &Identity, endpoint: &Endpoint) -> String {
    let on = &endpoint.reference.name;
    let own = endpoint.accounts.iter().find(|(_, entry)| entry.identities.contains(requester));
    match own {
        Some((login, _)) if account.as_str() == requester.as_str() => {
            format!("spec.account: {account} is no account name; on {on} this person is \"{login}\"")
        }
        Some((login, _)) if login != account => {
            format!("spec.account: \"{account}\" is not known on {on}; there {requester} is \"{login}\"")
        }
        _ => format!(
            "spec.account: nobody is recorded as the person behind \"{account}\" on {on}: an administrator adds {{name: {account}, identities: [<user name>]}} to spec.accounts of ManagedEndpoint {on} or of Fleet fleet"
        ),
    }
}

impl Accepted<'_> {
    /// What the policy elevates.
    #[must_use]
    pub fn elevation(&self) -> &Elevation {
        &self.policy.rules.elevation
    }
}
