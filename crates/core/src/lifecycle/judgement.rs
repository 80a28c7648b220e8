//! A step in the making: each method is one move of [`super::step`]. Here is how a request comes in, waits and is
//! judged again; what people decide is in `decisions`, what becomes of an approval in `granting`.

mod decisions;
mod granting;

use super::{Context, Event, EventKind, SIGN_AHEAD, Step};
use crate::acceptance::Accepted;
use crate::approval;
use crate::grant::GrantBody;
use crate::interval::Instant;
use crate::name::Identity;
use crate::policy::Policy;
use crate::reason::{Decline, DeclineReason, summarize};
use crate::request::{Lookup, Request, StageProgress, Status};
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
    /// Takes up what is recorded, or judges for the first time. `None`: never judged, and it cannot be or need not be
    /// now.
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
        self.status.accepted_at = Some(self.now);
        self.status.identity = Some(accepted.identity.clone());
        self.status.policy = Some(accepted.pinned.clone());
        self.status.endpoint_uid = Some(accepted.endpoint.reference.uid.clone());
        if let Some(rule) = approval::automatic(self.request, accepted) {
            let message = format!("accepted; rule {} of {} approves it", rule.name, accepted.pinned.name);
            self.status.rule = Some(rule.name.clone());
            self.enter(State::Pending, EventKind::Accepted, None, message);
            self.grant(None, accepted, &format!("rule {}", rule.name), "");
            return;
        }
        self.status.stages = approval::progress(&accepted.policy.rules.approval.stages(), &[]);
        let message = format!("waiting for {} until {until}", missing(&self.status.stages));
        self.enter(State::Pending, EventKind::Accepted, None, message);
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
        Some(accepted_at.plus(self.policy()?.rules.access.terms()?.pending_timeout))
    }

    /// The policy that was accepted, if it still says the same and can be read.
    fn policy(&self) -> Option<&'a Policy> {
        let pinned = self.status.policy.as_ref()?;
        self.context.policy.found().filter(|p| p.reference.uid == pinned.uid && p.rules.digest() == pinned.digest)
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
        let same_policy = pinned.is_some_and(|p| p.uid == accepted.pinned.uid && p.digest == accepted.pinned.digest);
        let name = &accepted.pinned.name;
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
        } else if !self.is_for_the_same_person(accepted.endpoint) {
            let (account, on) = (&self.request.wish.account, &accepted.endpoint.reference.name);
            Some((
                DeclineReason::AccountUnknown,
                format!("\"{account}\" on {on} is somebody else's account since this was asked; ask again"),
            ))
        } else {
            None
        };
        if let Some((reason, message)) = change {
            self.decline(&[Decline { reason, message }]);
        }
    }

    pub(super) fn finish(mut self) -> Step {
        let wake = self.wake();
        // What has ended in the same step needs no grant, and none is recorded.
        if !self.status.state.is_granted() && self.sign.take().is_some() {
            self.status.signed = false;
        }
        let pending_until = self.pending_deadline();
        Step { status: Some(self.status), events: self.events, sign: self.sign, pending_until, wake }
    }

    fn wake(&self) -> Option<Instant> {
        let expiring = self.context.fleet.switches.next_edge(self.now).filter(|_| !self.status.state.is_final());
        self.own_wake().into_iter().chain(expiring).min()
    }

    fn own_wake(&self) -> Option<Instant> {
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

/// The approvals that are missing, for people: `1 approval (stage default)`.
fn missing(stages: &[StageProgress]) -> String {
    let open = stages.iter().filter(|stage| stage.approved < stage.approvals);
    let texts: Vec<String> = open
        .map(|stage| {
            let count = stage.approvals - stage.approved;
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} approval{plural} (stage {})", stage.name)
        })
        .collect();
    texts.join(" and ")
}

fn unprotected() -> Decline {
    let message = "made while admission was unprotected, so nobody knows who made it; ask again".to_owned();
    Decline { reason: DeclineReason::AdmissionUnprotected, message }
}

// === impl Status ===

impl Status {
    /// Of a request that comes in.
    pub(crate) fn new() -> Self {
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
            rule: None,
            stages: Vec::new(),
            granted: None,
            signed: false,
        }
    }
}
