//! One decision, as a person writes it into an annotation of a request: parse and print. Who may write which decision is
//! decided by the API server (admission), whether it counts by `approval`.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::interval::{format_duration, parse_duration};
use crate::name::{Identity, StageName};

/// Characters of a user name, as a regular expression class: no control, format or private characters, no separators. The
/// admission policy `decisions.tidegate.dev` uses the same class.
pub const NAME_CLASS: &str = r"[^\p{Cc}\p{Cf}\p{Co}\p{Z}]";
/// Characters of a comment: as in a name, but with blanks. The same class as in admission.
pub const COMMENT_CLASS: &str = r"[^\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]";
/// Longest user name, in characters.
pub const MAX_NAME: usize = 253;
/// Longest comment, in characters.
pub const MAX_COMMENT: usize = 512;

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verb {
    /// Counts towards a stage.
    Approve,
    /// Denies a pending request, revokes a granted one.
    Deny,
    /// Ends a granted request, denies a pending one.
    Revoke,
    /// Gives a granted request back, withdraws a pending one.
    End,
}

/// `<user name> <approve|deny|revoke|end>[ for=45m][ stage=name][: comment]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who decided; the API server has checked that it is the caller.
    pub by: Identity,
    /// What was decided.
    pub verb: Verb,
    /// `for=`: how long access may last.
    pub duration: Option<Duration>,
    /// `stage=`: the stage it is for; absent means the first unmet one.
    pub stage: Option<StageName>,
    /// Free text, 1 to 512 characters.
    pub comment: Option<String>,
}

/// A line that is not a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a decision must read \"<your user name> approve|deny|revoke|end[ for=45m][ stage=name][: comment]\"")]
pub struct DecisionError;

static GRAMMAR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // Counted repetitions of large classes would need megabytes of tables: lengths are checked apart.
    Regex::new(&format!(
        r"^(?<by>{NAME_CLASS}+) (?<verb>approve|deny|revoke|end)( for=(?<for>([0-9]{{1,5}}(h|m|s)){{1,3}}))?( stage=(?<stage>[a-z0-9]([-a-z0-9]{{0,61}}[a-z0-9])?))?(: (?<comment>{COMMENT_CLASS}+))?$"
    ))
    .ok()
});

static ONE_LINE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("^{COMMENT_CLASS}*$")).ok());

/// Is this one line of characters that people can see, as a comment has to be? No control, format or private characters, which could
/// make it read as something else.
#[must_use]
pub fn is_one_line(text: &str) -> bool {
    ONE_LINE.as_ref().is_some_and(|line| line.is_match(text))
}

// === impl Decision ===

impl FromStr for Decision {
    type Err = DecisionError;

    fn from_str(line: &str) -> Result<Self, DecisionError> {
        let captures = GRAMMAR.as_ref().and_then(|g| g.captures(line)).ok_or(DecisionError)?;
        let text = |name: &str| captures.name(name).map(|m| m.as_str());
        let by = text("by").filter(|by| by.chars().count() <= MAX_NAME).ok_or(DecisionError)?;
        let comment = text("comment");
        if comment.is_some_and(|c| c.chars().count() > MAX_COMMENT) {
            return Err(DecisionError);
        }
        Ok(Self {
            by: by.parse().map_err(|_| DecisionError)?,
            verb: text("verb").and_then(|v| v.parse().ok()).ok_or(DecisionError)?,
            duration: text("for").map(parse_duration).transpose().map_err(|_| DecisionError)?,
            stage: text("stage").map(str::parse).transpose().map_err(|_| DecisionError)?,
            comment: comment.map(str::to_owned),
        })
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.by, self.verb)?;
        if let Some(duration) = self.duration {
            write!(f, " for={}", format_duration(duration))?;
        }
        if let Some(stage) = &self.stage {
            write!(f, " stage={stage}")?;
        }
        match &self.comment {
            Some(comment) => write!(f, ": {comment}"),
            None => Ok(()),
        }
    }
}

// === impl Verb ===

impl FromStr for Verb {
    type Err = DecisionError;
    fn from_str(word: &str) -> Result<Self, DecisionError> {
        match word {
            "approve" => Ok(Self::Approve),
            "deny" => Ok(Self::Deny),
            "revoke" => Ok(Self::Revoke),
            "end" => Ok(Self::End),
            _ => Err(DecisionError),
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Revoke => "revoke",
            Self::End => "end",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_line_is_read_whole() {
        let decision: Decision = "bob@corp approve for=1h30m stage=security: pairing for=9h: yes".parse().unwrap();
        assert_eq!(decision.by.as_str(), "bob@corp");
        assert_eq!(decision.verb, Verb::Approve);
        assert_eq!(decision.duration, Some(Duration::from_secs(5400)));
        assert_eq!(decision.stage.unwrap().as_str(), "security");
        assert_eq!(decision.comment.unwrap(), "pairing for=9h: yes");
    }

    #[test]
    fn names_with_colons_slashes_and_quotes_stay_whole() {
        for name in ["system:serviceaccount:a:b", "https://idp#bob", "bob'\"corp", "b.*b", "bób@corp"] {
            let decision: Decision = format!("{name} deny").parse().unwrap();
            assert_eq!(decision.by.as_str(), name);
        }
    }

    #[test]
    fn what_admission_refuses_is_refused_here_too() {
        let long_name = format!("{} approve", "n".repeat(254));
        let long_comment = format!("bob approve: {}", "c".repeat(513));
        for line in [
            "",
            "approve",
            "bob",
            "bob  approve",
            "bob approve ",
            " bob approve",
            "bob Approve",
            "bob allow",
            "bob approve for=45",
            "bob approve for=hh",
            "bob approve for=1s1s1s1s",
            "bob approve for=123456s",
            "bob approve stage=a for=5m",
            "bob approve stage=A",
            "bob approve stage=-a",
            "bob approve:x",
            "bob approve: ",
            "bob approve:",
            "bob approve\n",
            "bob approve: a\nb",
            "bob approve: \u{1b}[31m",
            "bob approve: \u{202e}x",
            "bob approve: a\u{2028}b",
            "bob\u{a0}x approve",
            "bo\u{200b}b approve",
            "bob approve for=5m for=5m",
            long_name.as_str(),
            long_comment.as_str(),
        ] {
            assert_eq!(line.parse::<Decision>(), Err(DecisionError), "{line:?}");
        }
    }

    #[test]
    fn admission_reads_the_same_grammar() {
        let admission = include_str!("../../../config/admission/decisions.yaml");
        let grammar = format!(
            r"^{NAME_CLASS}{{1,{MAX_NAME}}} (approve|deny|revoke|end)( for=([0-9]{{1,5}}(h|m|s)){{1,3}})?( stage=[a-z0-9]([-a-z0-9]{{0,61}}[a-z0-9])?)?(: {COMMENT_CLASS}{{1,{MAX_COMMENT}}})?$"
        );
        assert!(admission.contains(&grammar), "{grammar}");
    }

    #[test]
    fn the_longest_name_and_comment_are_read() {
        let line = format!("{} approve: {}", "ñ".repeat(253), "ñ".repeat(512));
        assert!(line.parse::<Decision>().is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn a_printed_decision_reads_back(
            by in "[a-z:@/.*'\"]{1,20}", verb in 0usize..4, seconds in proptest::option::of(0u64..359_996_400),
            stage in proptest::option::of("[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?"), comment in proptest::option::of("[a-z :=é]{1,30}"),
        ) {
            let decision = Decision {
                by: by.parse().unwrap(),
                verb: [Verb::Approve, Verb::Deny, Verb::Revoke, Verb::End][verb],
                duration: seconds.map(Duration::from_secs),
                stage: stage.map(|s| s.parse().unwrap()),
                comment,
            };
            prop_assert_eq!(decision.to_string().parse::<Decision>().unwrap(), decision);
        }

        #[test]
        fn any_line_is_read_or_refused_without_panic(line in "\\PC{0,80}|[a-z]{1,5} (approve|deny|end)[ -~]{0,30}") {
            let _ = line.parse::<Decision>();
        }
    }
}
