//! What people's decisions do to a request: which are taken up, whether each counts, and what the ones that count
//! change.

use super::{Judgement, missing};
use crate::approval;
use crate::decision::{Decision, Verb};
use crate::guard::{Guard, UNPROTECTED};
use crate::interval::Instant;
use crate::lifecycle::{Event, EventKind};
use crate::lock::Subject;
use crate::name::Identity;
use crate::reason::IgnoredReason;
use crate::request::FoldedDecision;
use crate::state::State;

impl Judgement<'_> {
    /// Takes up every decision not seen yet, by slot. While a request is held its decisions wait.
    pub(in crate::lifecycle) fn fold(&mut self) {
        if self.status.state == State::Held {
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

    /// An approval waits while it is not known whether it can be believed, and while what it approves cannot be read. What ends
    /// access never waits: at worst it is forged and somebody has to ask again.
    fn waits(&self, verb: Verb) -> bool {
        let waiting = matches!(self.context.guard, Guard::Waiting(_)) || self.judged.is_err();
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
        let counts = approval::counts(slot, decision, &self.request.wish, &self.status, accepted);
        let tainted = decision.verb == Verb::Approve && self.context.guard.taints();
        let counts = match counts {
            Ok(_) if tainted => Err((IgnoredReason::AdmissionUnprotected, UNPROTECTED.to_owned())),
            Ok(stage) => self.not_locked(decision).map(|()| stage),
            Err(ignored) => Err(ignored),
        };
        let (stage, ignored) = match counts {
            Ok(stage) => (stage, None),
            Err(ignored) => (None, Some(ignored)),
        };
        let effective = ignored.is_none();
        self.record(FoldedDecision {
            slot,
            by: Some(decision.by.clone()),
            verb: Some(decision.verb),
            duration: decision.duration,
            stage: decision.stage.clone().or(stage),
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

    /// Whom a Lock stops approves nothing.
    fn not_locked(&self, decision: &Decision) -> Result<(), approval::Ignored> {
        if decision.verb != Verb::Approve {
            return Ok(());
        }
        let (endpoint, policy) = (self.context.endpoint.found(), &self.request.wish.policy);
        let subject = Subject { on: &self.request.wish.endpoint, endpoint, policy, people: &[&decision.by].into() };
        match self.context.fleet.switches.against(&subject, self.now).into_iter().min() {
            None => Ok(()),
            Some(decline) => Err((IgnoredReason::Locked, format!("{} is {}", decision.by, decline.message))),
        }
    }

    fn take_effect(&mut self, decision: &Decision) {
        let by = decision.by.clone();
        let said = decision.comment.as_ref().map(|c| format!(": {c}")).unwrap_or_default();
        let pending = self.status.state == State::Pending;
        match decision.verb {
            Verb::Approve => self.approve(&by, &said),
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

    fn approve(&mut self, by: &Identity, said: &str) {
        let Ok(accepted) = self.judged else { return };
        let stages = accepted.policy.rules.approval.stages();
        self.status.stages = approval::progress(&stages, &self.status.decisions);
        if approval::all_met(&stages, &self.status.decisions) {
            return self.grant(Some(by.clone()), accepted, by.as_str(), said);
        }
        let until = self.pending_deadline().map(|until| format!(" until {until}")).unwrap_or_default();
        self.status.message = format!("approved by {by}{said}; waiting for {}{until}", missing(&self.status.stages));
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
