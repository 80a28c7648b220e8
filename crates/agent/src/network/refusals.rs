//! What is said to a gateway after a refused manifest, and when it is asked again. Pure. A gateway that is told of a refusal
//! holds the poll, so that a revocation comes at once; only one that does not is asked less and less often.

use std::time::Duration;

use tidegate_core::refusal::RefusalCode;
use tidegate_core::wire::Rejected;

/// So many manifests in a row may come at once and be refused without a pause: one, once more with all its parts, and once
/// more with newer keys.
const FREE: u32 = 3;
/// The pause after more of them.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause while this computer cannot store what comes: no other gateway would help, and what is over has to end.
const NO_ROOM: Duration = Duration::from_secs(5);

/// The refusals since a manifest was taken.
#[derive(Debug, Default)]
pub struct Refusals {
    last: Option<Rejected>,
    /// The next poll wants the same manifest again: it does not say that it was refused.
    again: bool,
    /// The next poll names no part that is here: one of them was missed, or is signed by a key that is no longer believed.
    whole: bool,
    /// How many came at once, one after the other.
    at_once: u32,
}

/// How a refused manifest came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// The poll named parts that are here, so the answer left them out.
    pub parts_were_named: bool,
    /// The poll was not held.
    pub at_once: bool,
}

/// What to do after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Poll the same gateway again after this wait.
    Poll(Duration),
    /// This gateway does not listen: back off, and try the next.
    GiveWay,
}

// === impl Refusals ===

impl Refusals {
    /// What the next poll says was refused.
    #[must_use]
    pub fn named(&self) -> Option<&Rejected> {
        self.last.as_ref().filter(|_| !self.again)
    }

    /// Should the next poll ask for every part?
    #[must_use]
    pub fn want_all_parts(&self) -> bool {
        self.whole
    }

    /// Might newer signing keys prove what was refused?
    #[must_use]
    pub fn want_newer_keys(&self) -> bool {
        self.last.as_ref().is_some_and(|r| is_about_keys(r.code))
    }

    /// Was this refusal told to people already?
    #[must_use]
    pub fn is_known(&self, rejected: &Rejected) -> bool {
        self.last.as_ref() == Some(rejected)
    }

    /// A manifest was refused; `None` if it could not be stored, which is not the gateway's business.
    pub fn refused(&mut self, rejected: Option<Rejected>, how: Circumstances) -> Next {
        let Circumstances { parts_were_named, at_once } = how;
        let was_named = self.named().map(|named| named.manifest.clone());
        let ignored = at_once && was_named.is_some() && was_named == rejected.as_ref().map(|r| r.manifest.clone());
        self.at_once = if at_once { self.at_once.saturating_add(1) } else { 0 };
        // The copy here may be the one at fault: only a manifest that came whole is called refused.
        let ours = parts_were_named && rejected.as_ref().is_some_and(|r| may_be_ours(r.code));
        (self.again, self.whole) = (ours, self.whole || ours);
        self.last = rejected;
        match &self.last {
            None => Next::Poll(NO_ROOM),
            Some(_) if ignored => Next::GiveWay,
            Some(_) if self.at_once > FREE => Next::Poll(PAUSE),
            Some(_) => Next::Poll(Duration::ZERO),
        }
    }

    /// The signing keys are others than before: what was refused may be taken now.
    pub fn keys_changed(&mut self) {
        self.again = true;
    }

    /// A poll was held to its end without news.
    pub fn unchanged(&mut self) {
        if self.named().is_none() {
            *self = Self::default();
        }
        self.at_once = 0;
    }

    /// A manifest was taken, or this endpoint is somebody else now.
    pub fn over(&mut self) {
        *self = Self::default();
    }
}

fn is_about_keys(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::WrongKey | RefusalCode::BadSignature)
}

/// May a part that was here, and was left out of the answer, be the cause?
fn may_be_ours(code: RefusalCode) -> bool {
    code == RefusalCode::Truncated || is_about_keys(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Circumstances = Circumstances { parts_were_named: false, at_once: false };
    const AT_ONCE: Circumstances = Circumstances { parts_were_named: false, at_once: true };

    fn rejected(tag: &str, code: RefusalCode) -> Rejected {
        Rejected { manifest: format!("\"{tag}\""), code }
    }

    fn bad(tag: &str) -> Option<Rejected> {
        Some(rejected(tag, RefusalCode::BadSignature))
    }

    #[test]
    fn after_a_refusal_the_same_gateway_is_asked_at_once_and_told() {
        let mut refusals = Refusals::default();
        for tag in ["a", "b", "c", "d"] {
            assert_eq!(refusals.refused(bad(tag), HELD), Next::Poll(Duration::ZERO));
            assert_eq!(refusals.named(), bad(tag).as_ref());
        }
    }

    #[test]
    fn a_gateway_that_sends_again_what_it_was_told_of_is_given_up() {
        let mut refusals = Refusals::default();
        assert_eq!(refusals.refused(bad("a"), AT_ONCE), Next::Poll(Duration::ZERO));
        assert_eq!(refusals.refused(bad("a"), AT_ONCE), Next::GiveWay);
        assert_eq!(refusals.refused(bad("a"), AT_ONCE), Next::GiveWay);
        assert_eq!(refusals.refused(bad("b"), HELD), Next::Poll(Duration::ZERO), "it listens again");
    }

    #[test]
    fn ever_new_manifests_that_come_at_once_are_asked_for_once_a_second_at_most() {
        let mut refusals = Refusals::default();
        let next: Vec<Next> =
            ["a", "b", "c", "d", "e"].into_iter().map(|tag| refusals.refused(bad(tag), AT_ONCE)).collect();
        let zero = Duration::ZERO;
        assert_eq!(next, [zero, zero, zero, PAUSE, PAUSE].map(Next::Poll));
        refusals.unchanged();
        assert_eq!(refusals.refused(bad("f"), AT_ONCE), Next::Poll(zero), "the gateway held in between");
    }

    #[test]
    fn a_manifest_that_came_without_parts_is_asked_for_whole_before_it_is_called_refused() {
        let named = Circumstances { parts_were_named: true, at_once: true };
        for code in [RefusalCode::Truncated, RefusalCode::WrongKey, RefusalCode::BadSignature] {
            let refused = || Some(rejected("a", code));
            let mut refusals = Refusals::default();
            assert_eq!(refusals.refused(refused(), named), Next::Poll(Duration::ZERO));
            assert!(refusals.named().is_none() && refusals.want_all_parts(), "{code}");
            assert_eq!(refusals.refused(refused(), AT_ONCE), Next::Poll(Duration::ZERO));
            assert!(refusals.named() == refused().as_ref() && refusals.want_all_parts(), "{code}");
            refusals.over();
            assert!(refusals.named().is_none() && !refusals.want_all_parts());
        }
        let mut refusals = Refusals::default();
        refusals.refused(Some(rejected("a", RefusalCode::WrongEndpoint)), named);
        assert!(refusals.named().is_some() && !refusals.want_all_parts(), "no part of ours is to blame");
    }

    #[test]
    fn with_newer_keys_the_same_manifest_is_asked_for_once_more() {
        let mut refusals = Refusals::default();
        refusals.refused(bad("a"), AT_ONCE);
        assert!(refusals.want_newer_keys() && refusals.named().is_some());
        refusals.keys_changed();
        assert_eq!(refusals.named(), None);
        assert_eq!(refusals.refused(bad("a"), AT_ONCE), Next::Poll(Duration::ZERO));
        assert_eq!(refusals.named(), bad("a").as_ref());
        refusals.unchanged();
        assert!(refusals.want_newer_keys(), "what is held back may still be proven later");
    }

    #[test]
    fn unchanged_after_asking_again_means_that_the_refused_manifest_is_gone() {
        let mut refusals = Refusals::default();
        refusals.refused(bad("a"), HELD);
        refusals.keys_changed();
        refusals.unchanged();
        assert!(!refusals.want_newer_keys() && !refusals.is_known(&rejected("a", RefusalCode::BadSignature)));
    }

    #[test]
    fn what_cannot_be_stored_is_not_called_refused_and_comes_again_soon() {
        let mut refusals = Refusals::default();
        refusals.refused(bad("a"), HELD);
        for _ in 0..5 {
            assert_eq!(refusals.refused(None, AT_ONCE), Next::Poll(NO_ROOM));
            assert_eq!(refusals.named(), None);
        }
    }
}
