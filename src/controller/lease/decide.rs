//! What to do next about the Lease, decided from what this process has seen itself and from its own boot-time clock. No other
//! computer's clock counts: whoever holds a Lease is taken for gone once it has stayed as it is for as long as it lasts, seen from here.

use std::time::Duration;

/// How long things may take. Whoever leads stops at `renew_deadline`, well before anybody else may follow after `lease`.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A Lease that stays as it is for so long is free.
    pub lease: Duration,
    /// Who led stops so long after the start of the last renewal that succeeded.
    pub renew_deadline: Duration,
    /// The leader renews so often.
    pub renew_every: Duration,
    /// Others look so often: a released Lease is taken at the next look.
    pub read_every: Duration,
    /// The leader tries again so long after a call that failed.
    pub retry: Duration,
}

/// A dead leader is followed after 15 s and one look, a released Lease after one look. Between the leader's end (10 s) and the first
/// moment of the next one (15 s), clocks may differ by a quarter. Three renewals can fail before the leader gives up.
pub const TIMES: Times = Times {
    lease: Duration::from_secs(15),
    renew_deadline: Duration::from_secs(10),
    renew_every: Duration::from_secs(2),
    read_every: Duration::from_millis(500),
    retry: Duration::from_millis(500),
};

/// The longest time that a Lease may claim to last. It is written by another version of this program, or by a person.
const LONGEST: Duration = Duration::from_secs(60);

/// A Lease as the API server gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The process that holds it; empty if nobody does.
    pub holder: String,
    /// How often it has changed hands.
    pub transitions: i32,
    /// How long it lasts after a renewal, as its holder says.
    pub lasts: Duration,
    /// `resourceVersion`: differs after every write.
    pub version: String,
}

/// What a process knows of the Lease. Instants are readings of its boot-time clock, taken after the answer came.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// As it was last seen, also if it is gone since.
    record: Option<Record>,
    gone: bool,
    /// When it was first seen as it is.
    since: Duration,
    /// When the API server was last asked, with or without an answer.
    asked: Option<Duration>,
    /// What the last call did is not known: the Lease has to be read before it is written.
    in_doubt: bool,
    /// When the last renewal that succeeded was begun. Only who leads has one.
    renewed: Option<Duration>,
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Read the Lease.
    Read,
    /// Make the Lease, held by this process: there is none.
    Create,
    /// Write this process into the Lease as it was last seen, with so many transitions.
    Replace {
        /// One more than before if it changes hands.
        transitions: i32,
    },
    /// Nothing before this instant.
    Wait(Duration),
    /// Lead no longer.
    StandDown(Loss),
}

/// Why a process leads no longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// No renewal succeeded in time, or the process stood still.
    #[error("the Lease could not be renewed in time")]
    Late,
    /// Somebody else is in the Lease.
    #[error("the Lease is held by {0} now")]
    Taken(String),
    /// The Lease was emptied or deleted.
    #[error("the Lease was taken away")]
    Gone,
}

// === impl Known ===

impl Known {
    /// The API server gave this Lease, or said that there is none.
    pub fn saw(&mut self, record: Option<Record>, now: Duration) {
        (self.asked, self.in_doubt, self.gone) = (Some(now), false, record.is_none());
        let Some(record) = record else { return };
        if self.record.as_ref().is_none_or(|before| before.version != record.version) {
            self.since = now;
        }
        self.record = Some(record);
    }

    /// The API server took this Lease, with this process in it, in a call that was begun at `started`.
    pub fn wrote(&mut self, record: Record, started: Duration, now: Duration) {
        self.saw(Some(record), now);
        self.renewed = Some(started);
    }

    /// A call was refused or brought no answer. A write may have been done all the same.
    pub fn failed(&mut self, now: Duration) {
        (self.asked, self.in_doubt) = (Some(now), true);
    }

    /// Has this process ever led?
    #[must_use]
    pub fn leads(&self) -> bool {
        self.renewed.is_some()
    }

    /// Does the Lease have to be read before it is written?
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Until when this process leads; `None` if it never did.
    #[must_use]
    pub fn leads_until(&self, times: &Times) -> Option<Duration> {
        self.renewed.map(|renewed| renewed + times.renew_deadline)
    }

    /// How often the Lease has changed hands, as last seen.
    #[must_use]
    pub fn transitions(&self) -> i32 {
        self.record.as_ref().map_or(0, |record| record.transitions)
    }

    /// May this process be in the Lease?
    #[must_use]
    pub fn may_be_held_by(&self, me: &str) -> bool {
        self.in_doubt || self.record.as_ref().is_some_and(|record| record.holder == me)
    }

    /// The Lease as it is; `None` if there is none or nobody has looked.
    fn present(&self) -> Option<&Record> {
        self.record.as_ref().filter(|_| !self.gone)
    }

    /// Until when somebody else may lead. A Lease that was deleted counts as unchanged: its holder may not know yet.
    fn others_until(&self, me: &str, times: &Times) -> Option<Duration> {
        let held = self.record.as_ref().filter(|record| !record.holder.is_empty() && record.holder != me)?;
        Some(self.since + held.lasts.clamp(times.lease, LONGEST))
    }
}

/// What the process called `me` does now.
#[must_use]
pub fn decide(known: &Known, me: &str, times: &Times, now: Duration) -> Action {
    match (known.leads_until(times), known.renewed) {
        (Some(until), Some(renewed)) => lead(known, me, times, (renewed, until, now)),
        _ => follow(known, me, times, now),
    }
}

fn lead(known: &Known, me: &str, times: &Times, (renewed, until, now): (Duration, Duration, Duration)) -> Action {
    if now >= until {
        return Action::StandDown(Loss::Late);
    }
    let not_before = |due: Duration, action| if now >= due { action } else { Action::Wait(due.min(until)) };
    if known.in_doubt {
        return not_before(known.asked.unwrap_or_default() + times.retry, Action::Read);
    }
    match known.present() {
        Some(record) if record.holder == me => {
            not_before(renewed + times.renew_every, Action::Replace { transitions: record.transitions })
        }
        Some(record) if !record.holder.is_empty() => Action::StandDown(Loss::Taken(record.holder.clone())),
        _ => Action::StandDown(Loss::Gone),
    }
}

fn follow(known: &Known, me: &str, times: &Times, now: Duration) -> Action {
    let Some(asked) = known.asked else { return Action::Read };
    let look = asked + times.read_every;
    if now >= look {
        return Action::Read;
    }
    if known.in_doubt {
        return Action::Wait(look);
    }
    match known.others_until(me, times) {
        Some(until) if now < until => return Action::Wait(look.min(until)),
        _ => {}
    }
    match known.present() {
        // A write that was done although its answer was lost: it has not changed hands again.
        Some(record) if record.holder == me => Action::Replace { transitions: record.transitions },
        Some(record) => Action::Replace { transitions: record.transitions.saturating_add(1) },
        None => Action::Create,
    }
}

#[cfg(test)]
mod tests;
