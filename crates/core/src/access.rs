//! When a policy gives access: ahead (fixed, in a window, recurring) or on request, and then on which terms.

use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::interval::{Instant, Interval, Position, seconds};
use crate::recurring::Recurring;

/// How a policy gives access. May grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Access {
    /// Granted ahead for a length of time from a start on.
    Fixed {
        /// When it holds.
        fixed: Interval,
    },
    /// Granted ahead from one instant to another.
    Window {
        /// When it holds.
        window: Interval,
    },
    /// Granted ahead, again and again.
    Recurring {
        /// When it holds.
        recurring: Recurring,
    },
    /// Somebody asks, and somebody or a rule approves.
    OnRequest {
        /// What a request must be like.
        on_request: Terms,
    },
}

/// `access.onRequest` but for `approval`: what a request must be like, and how long it may wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Terms {
    /// What the stated reason must be like.
    pub reason: ReasonRule,
    /// What the stated ticket must be like.
    pub ticket: TicketRule,
    /// How long access may last.
    pub duration: DurationRule,
    /// How long a request waits for decisions, counted from its acceptance.
    #[serde(with = "seconds")]
    pub pending_timeout: Duration,
}

/// Bounds of the stated reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReasonRule {
    /// A request without a reason is declined.
    pub required: bool,
    /// Fewest characters of a given reason (surrounding blanks do not count), at most 512.
    pub min_length: u32,
    /// A given reason must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
}

/// Bounds of the stated ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TicketRule {
    /// A request without a ticket is declined.
    pub required: bool,
    /// A given ticket must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<Pattern>,
}

/// Bounds of the granted duration: `1s <= min <= default <= max <= 24h`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DurationRule {
    /// Shortest.
    #[serde(with = "seconds")]
    pub min: Duration,
    /// Longest.
    #[serde(with = "seconds")]
    pub max: Duration,
    /// Granted where neither request nor approval names one.
    #[serde(with = "seconds")]
    pub default: Duration,
}

/// A regular expression that an administrator wrote (RE2 syntax; it matches anywhere unless anchored). Matching takes time linear
/// in the text. Two are equal if they are written alike.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

/// Why a text is not a usable pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

/// Longest pattern, in characters.
const MAX_PATTERN: usize = 256;
/// Largest compiled pattern, in bytes: `(x{1000}){1000}` is short to write.
const MAX_COMPILED: usize = 256 * 1024;

// === impl Access ===

impl Access {
    /// The terms, if one has to ask.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        match self {
            Self::OnRequest { on_request } => Some(on_request),
            Self::Fixed { .. } | Self::Window { .. } | Self::Recurring { .. } => None,
        }
    }

    /// The current or next span of a right granted ahead; for one that is over the last. `None` if one has to ask.
    #[must_use]
    pub fn span(&self, now: Instant) -> Option<Interval> {
        match self {
            Self::Fixed { fixed: interval } | Self::Window { window: interval } => Some(*interval),
            Self::Recurring { recurring } => recurring.span(now),
            Self::OnRequest { .. } => None,
        }
    }

    /// Is a right granted ahead over for good, and since when?
    #[must_use]
    pub fn over_since(&self, now: Instant) -> Option<Instant> {
        let span = self.span(now)?;
        (span.position(now) == Position::After).then_some(span.end)
    }

    /// The next instant at which a right granted ahead begins or ends.
    #[must_use]
    pub fn next_edge(&self, now: Instant) -> Option<Instant> {
        self.span(now)?.next_edge(now)
    }
}

impl DurationRule {
    /// Is `duration` inside `[min, max]`?
    #[must_use]
    pub fn allows(&self, duration: Duration) -> bool {
        self.min <= duration && duration <= self.max
    }
}

// === impl Pattern ===

impl Pattern {
    /// Does it match somewhere in the text?
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        if text.chars().count() > MAX_PATTERN {
            return Err(PatternError(format!("a pattern has at most {MAX_PATTERN} characters")));
        }
        let built = RegexBuilder::new(&text).size_limit(MAX_COMPILED).build();
        built.map(Self).map_err(|error| {
            // The library draws the place over several lines; the last one says what is wrong.
            let text = error.to_string();
            let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            PatternError(format!("not a regular expression (RE2 syntax): {what}"))
        })
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Result<Pattern, PatternError> {
        text.to_owned().try_into()
    }

    #[test]
    fn a_pattern_matches_anywhere_unless_anchored() {
        assert!(pattern("INC-[0-9]+").unwrap().matches("see INC-42, please"));
        assert!(!pattern("^INC-[0-9]+$").unwrap().matches("see INC-42, please"));
        assert!(pattern(r"^\p{L}+\s\d$").unwrap().matches("Größe 5"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason_on_one_line() {
        let long = "x".repeat(257);
        for (text, expected) in [
            ("[a-", "not a regular expression (RE2 syntax): unclosed character class"),
            ("(?=x)", "look-around"),
            ("(x{1000}){1000}", "size limit"),
            (long.as_str(), "at most 256 characters"),
        ] {
            let error = pattern(text).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn a_right_granted_ahead_is_over_once_its_end_is_reached() {
        let at = Instant::from_second;
        let access = Access::Fixed { fixed: Interval { start: at(10), end: at(20) } };
        assert_eq!(access.over_since(at(19)), None);
        assert_eq!(access.over_since(at(20)), Some(at(20)));
        assert_eq!(access.next_edge(at(9)), Some(at(10)));
        assert_eq!(access.next_edge(at(20)), None);
    }
}
