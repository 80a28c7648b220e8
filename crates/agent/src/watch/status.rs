//! What the gateway is told of this endpoint, and what it has been told for good: pure, like all of [`super::Watch`].

use std::cmp::Reverse;

use tidegate_core::name::{Digest, Uid};
use tidegate_core::refusal::RefusalCode;
use tidegate_core::wire::{AppliedReport, GrantReport, RejectedReport, StatusReport, limit};

use super::Watch;
use super::sight::{Key, Sight};
use crate::about;
use crate::text::shown;

/// Most characters of a refusal's message.
const MESSAGE: usize = 512;

impl Watch {
    /// Everything there is to say now. A grant is told of from when it begins here until a gateway knows of its end and
    /// no manifest names it any more; what does not fit waits until something else is settled.
    #[must_use]
    pub fn report(&self) -> StatusReport {
        StatusReport {
            agent: about::facts(),
            applied: self.view.as_ref().and_then(|view| view.applied).map(|manifest| AppliedReport { manifest }),
            rejected: self.rejected(),
            grants: self.grants(),
        }
    }

    /// A gateway has taken this report: the ends in it need not be told again.
    pub fn settle(&mut self, report: &StatusReport) {
        for (key, sight) in self.sights.iter_mut().filter(|(key, _)| key.is_grant) {
            let told = report.grants.iter().find(|grant| grant.request_uid == key.uid);
            sight.settled |= sight.ended_at.is_some() && told.is_some_and(|told| told.ended_time == sight.ended_at);
        }
    }

    /// The refused manifest first, then refused parts.
    fn rejected(&self) -> Vec<RejectedReport> {
        let Some(view) = &self.view else { return Vec::new() };
        let manifest = view.refused_manifest.iter().map(|refused| (refused.digest, refused.code, &refused.message));
        let parts = view.refused.iter().map(|part| (part.digest, part.code, &part.message));
        manifest.chain(parts).take(limit::REJECTED).map(rejected).collect()
    }

    /// Those that hold first, then ends that no gateway knows, then the latest that are known.
    fn grants(&self) -> Vec<GrantReport> {
        let is_due = |(key, sight): &(&Key, &Sight)| {
            let is_over_and_done = sight.ended_at.is_some() && sight.settled && !self.names_grant(&key.uid);
            key.is_grant && sight.applied_at.is_some() && !is_over_and_done
        };
        let mut due: Vec<(&Key, &Sight)> = self.sights.iter().filter(is_due).collect();
        due.sort_by_key(|(_, sight)| (sight.ended_at.is_some(), sight.settled, Reverse(sight.ended_at)));
        due.truncate(limit::GRANTS);
        // In the order of the keys, so that the same grants make the same report.
        due.sort_by_key(|(key, _)| *key);
        due.into_iter().map(|(key, sight)| grant(&key.uid, sight)).collect()
    }

    fn names_grant(&self, request: &Uid) -> bool {
        let snapshot = self.view.as_ref().and_then(|view| view.snapshot.as_ref());
        snapshot.is_some_and(|snapshot| snapshot.grants.contains_key(request))
    }
}

fn grant(request: &Uid, sight: &Sight) -> GrantReport {
    GrantReport {
        request_uid: request.clone(),
        applied_time: sight.applied_at,
        ended_time: sight.ended_at,
        // An agent that only watches ends no process.
        terminated_processes: sight.ended_at.map(|_| 0),
    }
}

fn rejected((digest, code, message): (Digest, RefusalCode, &String)) -> RejectedReport {
    RejectedReport { digest, code: code.to_string(), message: shown(message).chars().take(MESSAGE).collect() }
}
