//! The admission guard's word: can what people wrote be believed? Decisions are annotations, and only the admission policies make
//! the name in them true, so without the policies nothing is granted. Finding out is the controller's (`controller::guard`).

/// How far the admission policies can be relied on. The texts say what is wrong and where, for the requests that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// They are in force and were in force since the last time this was said: what is written is true.
    Passed,
    /// Not known at the moment; nothing has changed as far as is known. New requests and approvals wait.
    Waiting(String),
    /// They are not in force. Approvals seen now do not count, new requests wait.
    Open(String),
    /// In force again after a gap: what is there and not taken up yet may be forged, so it does not count.
    Repaired,
}

/// What an unproven approval or request is told.
pub const UNPROTECTED: &str = "given while admission was unprotected; give it again";

impl Guard {
    /// Why nothing is judged, or `None` if things are judged.
    #[must_use]
    pub fn holds(&self) -> Option<&str> {
        match self {
            Self::Passed | Self::Repaired => None,
            Self::Waiting(why) | Self::Open(why) => Some(why),
        }
    }

    /// May approvals written before now be forged?
    #[must_use]
    pub fn taints(&self) -> bool {
        match self {
            Self::Passed | Self::Waiting(_) => false,
            Self::Open(_) | Self::Repaired => true,
        }
    }
}
