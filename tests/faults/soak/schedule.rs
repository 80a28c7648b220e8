//! Which fault when: a pure function of a seed and a length.

use std::time::Duration;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it begins, since the start.
    pub at: Duration,
    /// How long it lasts, where it lasts.
    pub lasts: Duration,
    /// What it is.
    pub what: What,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// kill -9, and another one is started.
    KillController,
    /// SIGSTOP, then SIGCONT.
    StopController,
    /// SIGSTOP, then SIGCONT.
    StopApiServer,
    /// Between both servers and the API server.
    Network(Network),
}

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Connections end.
    Cut,
    /// Every call is answered 503.
    Refuse,
    /// Every call is late.
    Late,
    /// Watches are told 410.
    Gone,
    /// Events come twice.
    Twice,
    /// Events come in the wrong order.
    Swap,
    /// Deletions are not told.
    HideDeleted,
}

/// All there are.
const ALL: [What; 10] = [
    What::KillController,
    What::StopController,
    What::StopApiServer,
    What::Network(Network::Cut),
    What::Network(Network::Refuse),
    What::Network(Network::Late),
    What::Network(Network::Gone),
    What::Network(Network::Twice),
    What::Network(Network::Swap),
    What::Network(Network::HideDeleted),
];

/// Numbers that look random and are the same for the same seed (SplitMix64, Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub struct Chance(u64);

/// The faults of a soak of this length, one after the other: each begins 0.5 to 2.5 s after the one before has ended, and lasts 0.3
/// to 3 s.
#[must_use]
pub fn schedule(seed: u64, length: Duration) -> Vec<Step> {
    let mut chance = Chance::new(seed);
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_millis(500 + chance.below(2000));
        let lasts = Duration::from_millis(300 + chance.below(2700));
        if at + lasts >= length {
            return steps;
        }
        let what = ALL[usize::try_from(chance.below(ALL.len() as u64)).unwrap_or_default()];
        steps.push(Step { at, lasts, what });
        at += lasts;
    }
}

// === impl Chance ===

impl Chance {
    /// From this seed on.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(600);

    #[test]
    fn a_seed_gives_the_same_faults_again_and_another_one_others() {
        assert_eq!(schedule(7, LENGTH), schedule(7, LENGTH));
        assert_ne!(schedule(7, LENGTH), schedule(8, LENGTH));
        let start = schedule(7, LENGTH / 10);
        assert_eq!(schedule(7, LENGTH)[..start.len()], start, "a shorter soak is the beginning of a longer one");
    }

    #[test]
    fn every_fault_comes_and_none_meets_the_next_or_the_end() {
        for seed in 0..20 {
            let steps = schedule(seed, LENGTH);
            for what in ALL {
                assert!(steps.iter().any(|step| step.what == what), "seed {seed}: no {what:?}");
            }
            assert!(steps.windows(2).all(|pair| pair[0].at + pair[0].lasts < pair[1].at));
            assert!(steps.last().is_some_and(|last| last.at + last.lasts < LENGTH));
        }
    }
}
