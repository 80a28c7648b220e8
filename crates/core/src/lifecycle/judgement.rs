//! A step in the making: each method is one move of [`super::step`], in its order.

use super::{Context, Event, EventKind, SIGN_AHEAD, Step};
use crate::approval::{self, DEFAULT_APPROVALS, DEFAULT_STAGE};
use crate::decision::{Decision, Verb};
use crate::grant::GrantBody;
use crate::guard::{Guard, UNPROTECTED};
use crate::interval::{Instant, Interval, Position};
use crate::name::{Identity, StageName};
use crate::policy::{Access, OnRequest};
use crate::reason::{Decline, DeclineReason, IgnoredReason, summarize};
use crate::request::{Accepted, FoldedDecision, Lookup, Request, Status};
use crate::state::State;

/// A step in the making.
pub(super) struct Judgement<'a> {
    request: &'a Request,
    judged: &'a Result<Accepted<'a>, Vec<Decline>>,
    context: Context<'a>,
    now: Instant,
    status: Status,
    events: Vec<Event>,
    sign: Option<GrantBody>,
}

impl<'a> Judgement<'a> {
    /// Takes up what is recorded, or judges for the first time. `None`: never judged, and it cannot be or need not be now.
    pub(super) fn begin(
        request: &'a Request,
        judged: &'a Result<Accepted<'a>, Vec<Decline>>,
        context: &Context<'a>,
        now: Instant,
    ) -> Option<Self> {
        let status = request.status.clone().unwrap_or_else(Status::new);
        let mut this = Self { request, judged, context: *context, now, status, events: Vec::new(), sign: None };
        if request.is_judged() {
            return Some(this);
        }
        if request.deleting {
            return None;
        }
        match (context.guard.holds(), judged) {
            (Some(why), _) => this.hold(why),
            (None, _) if context.guard.taints() => this.decline(&[unprotected()]),
            // No reason to turn a person away; it is judged once the endpoint can be read.
            (None, Err(_)) if matches!(context.endpoint, Lookup::Unreadable(_)) => return None,
            (None, Ok(accepted)) => this.accept(accepted),
            (None, Err(against)) => this.decline(against),
        }
        Some(this)
    }

    /// Nothing is judged, nothing is lost: it goes on by itself when the guard passes.
    fn hold(&mut self, why: &str) {
        let message = format!("nothing is judged at the moment: {why}");
        if self.request.status.is_none() {
            self.enter(State::Held, EventKind::Held, None, message);
        } else {
            self.status.message = message;
        }
    }

    fn accept(&mut self, accepted: &Accepted<'_>) {
        let until = self.now.plus(accepted.terms.pending_timeout);
        let stage = DEFAULT_STAGE;
        self.status.accepted_at = Some(self.now);
        self.status.identity = Some(accepted.identity.clone());
        self.status.policy = Some(accepted.policy.clone());
        self.status.endpoint_uid = Some(accepted.endpoint.reference.uid.clone());
        self.enter(
            State::Pending,
            EventKind::Accepted,
            None,
            format!("waiting for {DEFAULT_APPROVALS} approval (stage {stage}) until {until}"),
        );
    }

    fn decline(&mut self, against: &[Decline]) {
        if let Some(decline) = summarize(against.to_vec()) {
            self.status.declined = Some(decline.reason);
            self.enter(State::Declined, EventKind::Declined, None, decline.message);
        }
    }

    fn enter(&mut self, state: State, kind: EventKind, by: Option<Identity>, message: String) {
        self.status.state = state;
        self.status.message.clone_from(&message);
        self.events.push(Event { kind, slot: None, by, message });
    }

    /// `pendingTimeout`, counted from acceptance. Under other terms than the accepted ones `recheck` decides.
    pub(super) fn time_out(&mut self) {
        if let Some(deadline) = self.pending_deadline().filter(|deadline| self.now >= *deadline) {
            self.enter(
                State::TimedOut,
                EventKind::TimedOut,
                None,
                format!("nobody decided before {deadline}; ask again if it is still needed"),
            );
        }
    }

    fn pending_deadline(&self) -> Option<Instant> {
        let accepted_at = self.status.accepted_at.filter(|_| self.status.state == State::Pending)?;
        Some(accepted_at.plus(self.terms()?.pending_timeout))
    }

    /// The terms that were accepted, if the policy still says them and can be read.
    fn terms(&self) -> Option<&'a OnRequest> {
        let pinned = self.status.policy.as_ref()?;
        let policy = self.context.policy.found().filter(|p| p.rules.digest() == pinned.digest)?;
        match &policy.rules.access {
            Access::OnRequest { on_request } => Some(on_request),
            Access::Window { .. } => None,
        }
    }

    /// An approval that is not signed yet is taken back if it was recorded while anybody could write the record, or if the record does
    /// not follow from the decisions.
    pub(super) fn doubt(&mut self) {
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
        let (status, wish) = (&self.status, &self.request.wish);
        let duration = approval::granted_duration(&status.decisions, wish, self.terms()?);
        let exact = status.granted.is_some_and(|granted| granted.start.plus(duration) == granted.end);
        Some(exact && approval::is_earned(self.request, status))
    }

    /// A pending request is held to everything again: what people saw is what is granted.
    pub(super) fn recheck(&mut self) {
        if self.status.state != State::Pending {
            return;
        }
        match self.judged {
            Ok(accepted) => self.recheck_pins(accepted),
            // An endpoint that cannot be read is no reason to turn a person away; nothing is approved meanwhile.
            Err(_) if matches!(self.context.endpoint, Lookup::Unreadable(_)) => {}
            Err(against) => self.decline(against),
        }
    }

    fn recheck_pins(&mut self, accepted: &Accepted<'_>) {
        let pinned = self.status.policy.as_ref();
        let same_policy = pinned.is_some_and(|p| p.uid == accepted.policy.uid && p.digest == accepted.policy.digest);
        let name = &accepted.policy.name;
        let change = if !same_policy {
            Some((
                DeclineReason::PolicyChanged,
                format!("JitPolicy {name} was changed after this was asked; ask again"),
            ))
        } else if self.status.endpoint_uid.as_ref() != Some(&accepted.endpoint.reference.uid) {
            let on = &accepted.endpoint.reference.name;
            Some((
                DeclineReason::EndpointNotFound,
                format!("ManagedEndpoint {on} was made anew after this was asked; ask again"),
            ))
        } else {
            None
        };
        if let Some((reason, message)) = change {
            self.decline(&[Decline { reason, message }]);
        }
    }

    /// Takes up every decision not seen yet, by slot. While a request is held or cannot be judged its decisions wait.
    pub(super) fn fold(&mut self) {
        let unreadable = self.status.state == State::Pending && self.judged.is_err();
        if unreadable || self.status.state == State::Held {
            return;
        }
        let seen = self.status.decisions.last().map_or(0, |d| d.slot);
        for (slot, line) in self.request.decisions.range(seen.saturating_add(1)..) {
            match line.parse::<Decision>() {
                Ok(decision) if self.waits(decision.verb) => return,
                Ok(decision) => self.decide(*slot, &decision),
                Err(error) => self.record(FoldedDecision::malformed(*slot, self.now, &error.to_string())),
            }
        }
    }

    /// An approval waits while it is not known whether it can be believed. What ends access never waits: at worst it is forged and
    /// somebody has to ask again.
    fn waits(&self, verb: Verb) -> bool {
        let waiting = matches!(self.context.guard, Guard::Waiting(_));
        verb == Verb::Approve && self.status.state == State::Pending && waiting
    }

    fn record(&mut self, folded: FoldedDecision) {
        if let Some((_, message)) = &folded.ignored {
            let message = format!("decision {}: {message}", folded.slot);
            let (slot, by) = (Some(folded.slot), folded.by.clone());
            self.events.push(Event { kind: EventKind::DecisionIgnored, slot, by, message });
        }
        self.status.decisions.push(folded);
    }

    /// Judges one decision, records it, and lets it take effect if it counts.
    fn decide(&mut self, slot: u32, decision: &Decision) {
        let accepted = self.judged.as_ref().ok();
        let (state, person) = (self.status.state, self.status.identity.as_ref());
        let counts = approval::counts(decision, state, &self.request.wish, person, accepted);
        let tainted = decision.verb == Verb::Approve && self.context.guard.taints();
        let ignored = match counts {
            Ok(()) if tainted => Some((IgnoredReason::AdmissionUnprotected, UNPROTECTED.to_owned())),
            counts => counts.err(),
        };
        let effective = ignored.is_none();
        self.record(FoldedDecision {
            slot,
            by: Some(decision.by.clone()),
            verb: Some(decision.verb),
            duration: decision.duration,
            stage: decision.stage.clone().or_else(|| counted_stage(decision.verb, effective)),
            comment: decision.comment.clone(),
            observed_at: self.now,
            ignored,
        });
        if effective {
            self.take_effect(decision);
            // Now, not after the last decision: one fold of many decisions must read like many folds of one.
            self.advance();
        }
    }

    fn take_effect(&mut self, decision: &Decision) {
        let by = decision.by.clone();
        let said = decision.comment.as_ref().map(|c| format!(": {c}")).unwrap_or_default();
        let pending = self.status.state == State::Pending;
        match decision.verb {
            Verb::Approve => self.approve(by, &said),
            Verb::Deny if pending => self.refuse(by, &format!("denied by {}{said}", decision.by)),
            Verb::Revoke if pending => self.refuse(by, &format!("denied (revoke) by {}{said}", decision.by)),
            Verb::Deny => {
                self.status.denied = true;
                self.enter(
                    State::Revoked,
                    EventKind::Revoked,
                    Some(by),
                    format!("denied by {} after approval{said}", decision.by),
                );
            }
            Verb::Revoke => {
                self.enter(State::Revoked, EventKind::Revoked, Some(by), format!("revoked by {}{said}", decision.by))
            }
            Verb::End if pending => self.enter(
                State::Withdrawn,
                EventKind::Withdrawn,
                Some(by),
                format!("withdrawn by {}{said}", decision.by),
            ),
            Verb::End => {
                self.enter(State::Ended, EventKind::Ended, Some(by), format!("given back by {}{said}", decision.by))
            }
        }
    }

    fn refuse(&mut self, by: Identity, message: &str) {
        self.status.denied = true;
        self.enter(State::Denied, EventKind::Denied, Some(by), message.to_owned());
    }

    fn approve(&mut self, by: Identity, said: &str) {
        let Ok(accepted) = self.judged else { return };
        if approval::approved(&self.status.decisions) < DEFAULT_APPROVALS {
            return;
        }
        let start = self.request.wish.start.map_or(self.now, |start| start.max(self.now));
        let end = start.plus(approval::granted_duration(&self.status.decisions, &self.request.wish, accepted.terms));
        self.status.granted = Some(Interval { start, end });
        let message = format!("approved by {by}, from {start} until {end}{said}");
        self.enter(State::Scheduled, EventKind::Approved, Some(by), message);
    }

    /// Deleting a request takes back what it holds.
    pub(super) fn deleted(&mut self) {
        if !self.request.deleting {
            return;
        }
        let message = "the request was deleted".to_owned();
        if self.status.state.is_granted() {
            self.enter(State::Revoked, EventKind::Revoked, None, message);
        } else if self.status.state == State::Pending {
            self.enter(State::Withdrawn, EventKind::Withdrawn, None, message);
        }
    }

    /// A grant does not outlive the policy or endpoint it was made for. An edited policy changes nothing that was signed; before
    /// the signature (a start far ahead) it takes the approval back, as people approved the other content.
    pub(super) fn objects_gone(&mut self) {
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
        } else {
            return;
        };
        self.enter(State::Revoked, EventKind::Revoked, None, gone);
    }

    /// Puts a granted request where the clock says it is. Active only together with its signed grant.
    pub(super) fn advance(&mut self) {
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

    pub(super) fn finish(self) -> Step {
        let wake = self.wake();
        // What has ended in the same step needs no grant.
        let sign = self.sign.filter(|_| self.status.state.is_granted());
        Step { status: Some(self.status), events: self.events, sign, wake }
    }

    /// The grant to sign now, if there is one. Policy and endpoint must be there, unchanged, and the guard must have passed: what
    /// cannot be read or believed is not granted.
    fn grant_due(&self) -> Option<GrantBody> {
        let (status, Context { policy, endpoint, guard }) = (&self.status, self.context);
        let interval = status.granted.filter(|_| status.state.is_granted() && !status.signed)?;
        let due = interval.start.minus(SIGN_AHEAD) <= self.now && self.now < interval.end;
        if !due || guard.holds().is_some() || self.is_earned() != Some(true) {
            return None;
        }
        let pinned = status.policy.clone()?;
        let policy = policy.found().filter(|p| p.reference.uid == pinned.uid && p.rules.digest() == pinned.digest)?;
        let endpoint = endpoint.found().filter(|e| Some(&e.reference.uid) == status.endpoint_uid.as_ref())?;
        Some(GrantBody {
            endpoint: endpoint.reference.clone(),
            request: self.request.reference.clone(),
            account: self.request.wish.account.clone(),
            policy: pinned,
            elevation: policy.rules.elevation.clone(),
            not_before: interval.start,
            not_after: interval.end,
        })
    }

    fn wake(&self) -> Option<Instant> {
        let status = &self.status;
        match (status.state, status.granted) {
            (State::Pending, _) => self.pending_deadline(),
            (State::Scheduled, Some(interval)) if !status.signed && self.now < interval.start.minus(SIGN_AHEAD) => {
                Some(interval.start.minus(SIGN_AHEAD))
            }
            (State::Scheduled | State::Active, Some(interval)) => interval.next_edge(self.now),
            _ => None,
        }
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

/// The stage that an approval without `stage=` counts for.
fn counted_stage(verb: Verb, counted: bool) -> Option<StageName> {
    (counted && verb == Verb::Approve).then(|| DEFAULT_STAGE.parse().ok()).flatten()
}

fn unprotected() -> Decline {
    let message = "made while admission was unprotected, so nobody knows who made it; ask again".to_owned();
    Decline { reason: DeclineReason::AdmissionUnprotected, message }
}

// === impl Status ===

impl Status {
    fn new() -> Self {
        Self {
            state: State::Pending,
            message: String::new(),
            declined: None,
            denied: false,
            accepted_at: None,
            identity: None,
            policy: None,
            endpoint_uid: None,
            decisions: Vec::new(),
            granted: None,
            signed: false,
        }
    }
}

// === impl FoldedDecision ===

impl FoldedDecision {
    fn malformed(slot: u32, now: Instant, message: &str) -> Self {
        Self {
            slot,
            by: None,
            verb: None,
            duration: None,
            stage: None,
            comment: None,
            observed_at: now,
            ignored: Some((IgnoredReason::Malformed, message.to_owned())),
        }
    }
}
