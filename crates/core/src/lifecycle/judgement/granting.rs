//! What becomes of an approval: when access holds, when the grant is signed, and what takes it back.

use super::Judgement;
use crate::acceptance::{Accepted, people};
use crate::approval;
use crate::elevation::Elevation;
use crate::endpoint::Endpoint;
use crate::grant::{GrantBody, GrantedRequest};
use crate::guard::Guard;
use crate::interval::{Interval, Position};
use crate::lifecycle::{Context, EventKind, SIGN_AHEAD};
use crate::lock::Subject;
use crate::name::Identity;
use crate::request::{Lookup, Request};
use crate::state::State;

impl Judgement<'_> {
    /// An approval that is not signed yet is taken back if it was recorded while anybody could write the record, or if
    /// the record does not follow from the decisions.
    pub(in crate::lifecycle) fn doubt(&mut self) {
        if !self.status.state.is_granted() || self.status.signed {
            return;
        }
        if *self.context.guard == Guard::Repaired || self.is_earned() == Some(false) {
            let message =
                "the approval cannot be believed: its record may not be the controller's; ask again".to_owned();
            self.enter(State::Revoked, EventKind::Revoked, None, message);
        }
    }

    /// Does what is recorded as granted follow from the decisions and the terms? `None`: the terms cannot be read now.
    fn is_earned(&self) -> Option<bool> {
        let (status, policy) = (&self.status, self.policy()?);
        let same = |endpoint: &&Endpoint| Some(&endpoint.reference.uid) == status.endpoint_uid.as_ref();
        let endpoint = self.context.endpoint.found().filter(same);
        // What a rule allows hangs on what the endpoint is.
        if status.rule.is_some() && endpoint.is_none() {
            return None;
        }
        let duration = approval::granted_duration(&status.decisions, &self.request.wish, policy.rules.access.terms()?);
        let exact = status.granted.is_some_and(|granted| granted.start.plus(duration) == granted.end);
        Some(exact && approval::is_earned(self.request, status, policy, endpoint))
    }

    pub(super) fn grant(&mut self, by: Option<Identity>, accepted: &Accepted<'_>, who: &str, said: &str) {
        let start = self.request.wish.start.map_or(self.now, |start| start.max(self.now));
        let length = approval::granted_duration(&self.status.decisions, &self.request.wish, accepted.terms);
        let end = start.plus(length);
        self.status.granted = Some(Interval { start, end });
        let message = format!("approved by {who}, from {start} until {end}{said}");
        self.enter(State::Scheduled, EventKind::Approved, by, message);
    }

    /// Deleting a request takes back what it holds.
    pub(in crate::lifecycle) fn deleted(&mut self) {
        if !self.request.deleting {
            return;
        }
        let message = "the request was deleted".to_owned();
        if self.status.state.is_granted() {
            self.enter(State::Revoked, EventKind::Revoked, None, message);
        } else if self.status.state == State::Pending {
            self.enter(State::Withdrawn, EventKind::Withdrawn, None, message);
            // What waited to be judged is too late now, and told so in the same step.
            self.fold();
        }
    }

    /// A grant does not outlive the policy or endpoint it was made for. An edited policy changes nothing that was
    /// signed; before the signature (a start far ahead) it takes the approval back, as people approved the other
    /// content.
    pub(in crate::lifecycle) fn objects_gone(&mut self) {
        let Context { policy, endpoint, .. } = self.context;
        if !self.status.state.is_granted() {
            return;
        }
        let wish = &self.request.wish;
        let Some(pinned) = &self.status.policy else {
            return;
        };
        let gone = if is_another(policy, |p| p.reference.uid == pinned.uid) {
            format!("JitPolicy {} was deleted", wish.policy)
        } else if !self.status.signed && is_another(policy, |p| p.rules.digest() == pinned.digest) {
            format!("JitPolicy {} was changed before the start; ask again", wish.policy)
        } else if is_another(endpoint, |e| Some(&e.reference.uid) == self.status.endpoint_uid.as_ref()) {
            format!("ManagedEndpoint {} was deleted", wish.endpoint)
        } else if !self.status.signed && is_another(endpoint, |e| self.is_for_the_same_person(e)) {
            format!("\"{}\" on {} is somebody else's account by now; ask again", wish.account, wish.endpoint)
        } else {
            return;
        };
        self.enter(State::Revoked, EventKind::Revoked, None, gone);
    }

    /// Does the account still belong to the person it was asked for?
    pub(super) fn is_for_the_same_person(&self, endpoint: &Endpoint) -> bool {
        let entry = endpoint.accounts.get(&self.request.wish.account);
        let person = self.status.identity.as_ref();
        entry.zip(person).is_some_and(|(entry, person)| entry.identities.contains(person))
    }

    /// A Lock ends what is granted, whoever it was granted to, by or under.
    pub(in crate::lifecycle) fn locked(&mut self) {
        if !self.status.state.is_granted() {
            return;
        }
        let judged = Request { status: Some(self.status.clone()), ..self.request.clone() };
        let endpoint = self.context.endpoint.found();
        let people = people(&judged, endpoint);
        let subject =
            Subject { on: &self.request.wish.endpoint, endpoint, policy: &self.request.wish.policy, people: &people };
        if let Some(lock) = self.context.fleet.switches.ends(&subject, self.now) {
            self.enter(State::Revoked, EventKind::Revoked, None, lock.text());
        }
    }

    /// Puts a granted request where the clock says it is. Active only together with its signed grant.
    pub(in crate::lifecycle) fn advance(&mut self) {
        let Some(interval) = self.status.granted.filter(|_| self.status.state.is_granted()) else { return };
        let Interval { start, end } = interval;
        if let Some(grant) = self.grant_due() {
            self.sign = Some(grant);
            self.status.signed = true;
        }
        match (interval.position(self.now), self.status.state) {
            (Position::After, _) => {
                self.enter(State::Expired, EventKind::Expired, None, format!("ended as granted at {end}"));
            }
            (Position::Inside, State::Scheduled) if self.status.signed => {
                self.enter(State::Active, EventKind::Activated, None, format!("access holds until {end}"));
            }
            // A clock that was set back; the endpoint goes by its own.
            (Position::Before, State::Active) => {
                self.status.state = State::Scheduled;
                self.status.message = format!("access begins at {start}");
            }
            _ => {}
        }
    }

    /// The grant to sign now, if there is one. Policy and endpoint must be there, unchanged, every Lock must be known,
    /// and the guard must have passed: what cannot be read or believed is not granted.
    fn grant_due(&self) -> Option<GrantBody> {
        let (status, Context { endpoint, fleet, guard, .. }) = (&self.status, self.context);
        let interval = status.granted.filter(|_| status.state.is_granted() && !status.signed)?;
        let due = interval.start.minus(SIGN_AHEAD) <= self.now && self.now < interval.end;
        if !due || guard.holds().is_some() || self.is_switched_off() || self.is_earned() != Some(true) {
            return None;
        }
        let policy = self.policy().filter(|policy| !policy.suspended)?;
        let endpoint = endpoint.found().filter(|e| Some(&e.reference.uid) == status.endpoint_uid.as_ref())?;
        let wish = &self.request.wish;
        let application = wish.application.as_ref().map(|asked| asked.as_rule());
        // One program is granted as one program: the policy's list would say more than people saw.
        let applications = if application.is_some() { Vec::new() } else { policy.rules.elevation.applications.clone() };
        Some(GrantBody {
            endpoint: endpoint.reference.clone(),
            request: GrantedRequest {
                name: self.request.reference.name.clone(),
                uid: self.request.reference.uid.clone(),
                ticket: wish.ticket.clone(),
            },
            account: wish.account.clone(),
            policy: status.policy.clone()?,
            elevation: Elevation { applications, ..policy.rules.elevation.clone() },
            application,
            not_before: interval.start,
            not_after: interval.end,
            reminders: policy.rules.reminders.clone(),
            offline_tolerance: policy.rules.offline_tolerance,
            requires: fleet.requires.clone()?,
        })
    }
}

impl Judgement<'_> {
    /// Nothing begins while a switch is off; what was approved waits until it is on again, or runs out.
    fn is_switched_off(&self) -> bool {
        let endpoint = self.context.endpoint.found();
        let people = people(self.request, endpoint);
        let wish = &self.request.wish;
        let subject = Subject { on: &wish.endpoint, endpoint, policy: &wish.policy, people: &people };
        !self.context.fleet.switches.against(&subject, self.now).is_empty()
    }
}

/// Is the object gone, or another one of the same name? One that cannot be read is neither.
fn is_another<T>(lookup: &Lookup<T>, same: impl Fn(&T) -> bool) -> bool {
    match lookup {
        Lookup::Found(object) => !same(object),
        Lookup::Missing => true,
        Lookup::Unreadable(_) => false,
    }
}
