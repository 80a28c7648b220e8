//! Closed lists of words, which labels are made of. A label's words are known before the first scrape.

use tidegate_core::decision::Verb;
use tidegate_core::lock::Effect;
use tidegate_core::part::PartKind;
use tidegate_core::refusal::RefusalCode;
use tidegate_core::state::State;

/// A label with every word it may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its words.
    pub words: Vec<String>,
}

/// One of a closed list.
pub trait Word: Copy + Sized + 'static {
    /// The whole list.
    const ALL: &'static [Self];

    /// The word, as it is in a label.
    fn word(self) -> &'static str;
}

/// An enum that is a [`Word`]: each variant with its word.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$what])* $variant),+
        }

        impl $crate::metrics::Word for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}
pub(super) use words;

words! {
    /// Kinds that are watched.
    Kind {
        /// JitPolicy
        Policy = "JitPolicy",
        /// ElevationRequest
        Request = "ElevationRequest",
        /// ManagedEndpoint
        Endpoint = "ManagedEndpoint",
        /// Fleet
        Fleet = "Fleet",
        /// Lock
        Lock = "Lock",
        /// CertificateSigningRequest
        Certificate = "CertificateSigningRequest",
        /// Namespace
        Namespace = "Namespace",
    }
}

// === impl Label ===

impl Label {
    /// A label of these words.
    #[must_use]
    pub fn of<W: Word>(name: &'static str) -> Self {
        Self::among(name, W::ALL)
    }

    /// A label of some of the words.
    #[must_use]
    pub fn among<W: Word>(name: &'static str, words: &[W]) -> Self {
        Self { name, words: words.iter().map(|word| word.word().to_owned()).collect() }
    }
}

// === impl Kind ===

impl Kind {
    /// The kind of this plural, such as `jitpolicies`.
    #[must_use]
    pub fn of_plural(plural: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.plural() == plural)
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Policy => "jitpolicies",
            Self::Request => "elevationrequests",
            Self::Endpoint => "managedendpoints",
            Self::Fleet => "fleets",
            Self::Lock => "locks",
            Self::Certificate => "certificatesigningrequests",
            Self::Namespace => "namespaces",
        }
    }
}

// === impl Word ===

impl Word for State {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for RefusalCode {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for Effect {
    const ALL: &'static [Self] = &[Self::DeclineNew, Self::EndAccess];

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for PartKind {
    /// The trust bundle is no part of a manifest and is not counted.
    const ALL: &'static [Self] = &[Self::Placement, Self::Fleet, Self::Policy, Self::Grant];

    fn word(self) -> &'static str {
        match self {
            Self::Placement => "placement",
            Self::Fleet => "fleet",
            Self::Policy => "policy",
            Self::Grant => "grant",
            Self::Trust => "trust",
        }
    }
}

impl Word for Verb {
    const ALL: &'static [Self] = &[Self::Approve, Self::Deny, Self::Revoke, Self::End];

    fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Revoke => "revoke",
            Self::End => "end",
        }
    }
}

impl Word for bool {
    const ALL: &'static [Self] = &[true, false];

    fn word(self) -> &'static str {
        if self { "true" } else { "false" }
    }
}
