//! What time it is for a server whose wall clock may be wrong or stepped. Time is an offset to the boot-time clock, which never
//! jumps. The API server's answers hold it in bounds, as its clock is the one that stamps objects; inside them the wall clock is
//! taken, which is finer. No clock is read here.

use std::time::Duration;

use jiff::SignedDuration;

use crate::interval::Instant;

#[cfg(test)]
mod tests;

/// An answer that took longer bounds the time too loosely to correct it by.
pub const QUICK: Duration = Duration::from_secs(1);

/// A wall clock this near to an answer's bounds is taken.
pub const AGREE: SignedDuration = SignedDuration::from_secs(1);

/// The time that is kept stays while it is this near to the bounds. More than [`AGREE`] by what the bounds of two API servers can
/// differ: their width twice, and a second between their clocks. So answers in turns do not make the time swing.
pub const KEEP: SignedDuration = SignedDuration::from_secs(4);

/// A correction or step by more than this is a jump: deadlines have to be looked at anew, and people to know.
pub const JUMP: Duration = Duration::from_secs(2);

/// What an answer of the API server says of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its `Date` header: UTC, cut to the second, read somewhere between the two that follow.
    pub date: Instant,
    /// The boot-time clock before the question was sent.
    pub sent: Duration,
    /// The boot-time clock when the answer had come.
    pub received: Duration,
}

/// The three clocks of this computer, read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readings {
    /// UTC since 1970 by the wall clock. Anybody with the right to may have set it.
    pub wall: SignedDuration,
    /// Since this boot, time asleep included.
    pub boot: Duration,
    /// Likewise without the time asleep: what timers run on.
    pub awake: Duration,
}

/// What time it is: UTC since 1970 is the boot-time clock plus an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    offset: SignedDuration,
    /// An API server has answered quickly enough to rely on it.
    confirmed: bool,
}

/// Something that happened to the clocks between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noticed {
    /// Somebody set the wall clock, forward or back by this.
    Stepped(SignedDuration),
    /// The computer was suspended for this long, and no timer ran.
    Slept(Duration),
}

// === impl Answer ===

/// Offsets that an answer allows, ends included.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    earliest: SignedDuration,
    latest: SignedDuration,
}

impl Answer {
    fn bounds(&self) -> Bounds {
        let date = SignedDuration::from_secs(self.date.as_second());
        let second = SignedDuration::from_secs(1);
        Bounds {
            earliest: date.saturating_sub(signed(self.received)),
            latest: date.saturating_add(second).saturating_sub(signed(self.sent)),
        }
    }

    fn is_quick(&self) -> bool {
        self.received.saturating_sub(self.sent) <= QUICK
    }
}

impl Bounds {
    /// How far an offset is outside; zero inside.
    fn miss(self, offset: SignedDuration) -> SignedDuration {
        let early = self.earliest.saturating_sub(offset);
        let late = offset.saturating_sub(self.latest);
        early.max(late).max(SignedDuration::ZERO)
    }

    fn middle(self) -> SignedDuration {
        self.earliest.saturating_add(self.latest.saturating_sub(self.earliest) / 2)
    }
}

// === impl Readings ===

impl Readings {
    fn wall_offset(&self) -> SignedDuration {
        self.wall.saturating_sub(signed(self.boot))
    }

    fn asleep(&self) -> Duration {
        self.boot.saturating_sub(self.awake)
    }

    /// What happened to the clocks since `before`, in order.
    #[must_use]
    pub fn since(&self, before: &Self) -> Vec<Noticed> {
        let by = self.wall_offset().saturating_sub(before.wall_offset());
        let slept = self.asleep().saturating_sub(before.asleep());
        let stepped = (by.unsigned_abs() > JUMP).then_some(Noticed::Stepped(by));
        let slept = (slept > JUMP).then_some(Noticed::Slept(slept));
        slept.into_iter().chain(stepped).collect()
    }
}

// === impl Estimate ===

impl Estimate {
    /// Before anybody has been asked: what the wall clock says.
    #[must_use]
    pub fn by_wall(now: &Readings) -> Self {
        Self { offset: now.wall_offset(), confirmed: false }
    }

    /// What is known after an answer of the API server; `now` was read when it had come. The wall clock while it agrees, else what
    /// was kept while that agrees roughly, else the answer.
    #[must_use]
    pub fn correct(self, now: &Readings, answer: &Answer) -> Self {
        let quick = answer.is_quick();
        if self.confirmed && !quick {
            return self;
        }
        let (bounds, wall) = (answer.bounds(), now.wall_offset());
        let offset = if bounds.miss(wall) <= AGREE {
            wall
        } else if self.confirmed && bounds.miss(self.offset) <= KEEP {
            self.offset
        } else {
            bounds.middle()
        };
        Self { offset, confirmed: self.confirmed || quick }
    }

    /// Does this differ from what was believed before by more than deadlines can bear?
    #[must_use]
    pub fn jumped(&self, before: &Self) -> bool {
        self.offset.saturating_sub(before.offset).unsigned_abs() > JUMP
    }

    /// The time in whole seconds, given the boot-time clock.
    #[must_use]
    pub fn now(&self, boot: Duration) -> Instant {
        let utc = self.utc(boot);
        let floor = if utc.subsec_nanos() < 0 { -1 } else { 0 };
        Instant::from_second(utc.as_secs().saturating_add(floor))
    }

    /// How long until `instant`, finer than a second; zero once it is reached.
    #[must_use]
    pub fn until(&self, instant: Instant, boot: Duration) -> Duration {
        let left = SignedDuration::from_secs(instant.as_second()).saturating_sub(self.utc(boot));
        if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() }
    }

    /// The time since 1970, as finely as the clocks go, given the boot-time clock. For reading; what is decided goes by [`Self::now`].
    #[must_use]
    pub fn utc(&self, boot: Duration) -> SignedDuration {
        self.offset.saturating_add(signed(boot))
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
