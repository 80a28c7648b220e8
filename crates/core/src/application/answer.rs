//! The four answers of a match and how they are combined: Kleene's three-valued logic with error as a second unknown.
//! An answer is never used as it is: `allows` and `denies` read it for the side that asks.

use std::ops::Not;

use super::facts::Attributes;

/// Does a program match? Combined by [`Match::and`] and [`Match::or`] in any order with the same result:
///
/// - *no* decides an `and`, *yes* decides an `or`, whatever else is unknown;
/// - else *error* prevails over *unknown*, because stating more would not help;
/// - the attributes of answers of the same kind are united.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on these attributes, which nobody has stated.
    Unknown(Attributes),
    /// It depends on these attributes, which could not be read.
    Error(Attributes),
}

impl Match {
    /// Reads the answer for a rule that allows: only *yes* counts.
    #[must_use]
    pub fn allows(self) -> bool {
        self == Self::Yes
    }

    /// Reads the answer for a rule that denies: what cannot be excluded counts.
    #[must_use]
    pub fn denies(self) -> bool {
        self != Self::No
    }

    /// Both must match.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Error(a), Self::Error(b)) => Self::Error(a.union(b)),
            (Self::Error(a), _) | (_, Self::Error(a)) => Self::Error(a),
            (Self::Unknown(a), Self::Unknown(b)) => Self::Unknown(a.union(b)),
            (Self::Unknown(a), Self::Yes) | (Self::Yes, Self::Unknown(a)) => Self::Unknown(a),
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// One of them must match.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        !(!self).and(!other)
    }
}

impl Not for Match {
    type Output = Self;
    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown(_) | Self::Error(_) => self,
        }
    }
}

impl From<bool> for Match {
    fn from(is_match: bool) -> Self {
        if is_match { Self::Yes } else { Self::No }
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Attribute;
    use super::*;

    fn all() -> [Match; 6] {
        let (vendor, clsid) = (Attribute::Vendor.into(), Attribute::Clsid.into());
        [
            Match::Yes,
            Match::No,
            Match::Unknown(vendor),
            Match::Unknown(clsid),
            Match::Error(vendor),
            Match::Error(clsid),
        ]
    }

    #[test]
    fn answers_combine_in_any_order_and_grouping() {
        for a in all() {
            assert_eq!(a.and(a), a);
            assert_eq!(a.and(Match::Yes), a);
            assert_eq!(a.or(Match::No), a);
            assert_eq!(a.and(Match::No), Match::No);
            assert_eq!(a.or(Match::Yes), Match::Yes);
            assert_eq!(!!a, a);
            for b in all() {
                assert_eq!(a.and(b), b.and(a));
                assert_eq!(a.or(b), b.or(a));
                assert_eq!(a.and(b).allows(), a.allows() && b.allows());
                assert_eq!(a.or(b).denies(), a.denies() || b.denies());
                for c in all() {
                    assert_eq!(a.and(b).and(c), a.and(b.and(c)));
                    assert_eq!(a.or(b).or(c), a.or(b.or(c)));
                }
            }
        }
    }

    #[test]
    fn error_prevails_over_unknown_and_names_its_own_attributes() {
        let (unknown, error) = (Match::Unknown(Attribute::Vendor.into()), Match::Error(Attribute::Clsid.into()));
        assert_eq!(unknown.and(error), error);
        assert_eq!(unknown.or(error), error);
        assert!(unknown.denies() && error.denies() && !unknown.allows() && !error.allows());
    }
}
