//! Versions as agents, programs and kernels really write them: read leniently, compared number by number. Not semantic
//! versioning, which refuses `11.4`, `v1.2`, `7.04` and `1.2.3.4`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// At most this many characters make a version; as many of a refused string are shown back.
const MAX_CHARS: usize = 64;

/// First words of a suffix that mark a version before the release of the same numbers.
const PRE_RELEASE: [&str; 6] = ["alpha", "beta", "dev", "pre", "preview", "rc"];

/// A version: an optional `v`, numbers with dots between them, and an optional suffix (`11.4.2`, `v1.2`,
/// `6.1.0-18-amd64`). 1 to 64 characters; the suffix consists of ASCII letters, digits and `.`, `-`, `_`, `+`, `~`.
/// Displayed as written.
///
/// Order, and equality with it, in this sequence:
/// 1. the numbers, one by one, a missing one as 0: `11.9 < 11.10`, `11.4 == 11.4.0`, `7.04 == 7.4`;
/// 2. a suffix that begins with `~` or whose first word is alpha, beta, dev, pre, preview or rc comes before no suffix,
///    any other suffix after it: `2.0-rc1 < 2.0 < 2.0-1`;
/// 3. the words of the suffix, a run of letters or of digits each, without regard to case and to what stands between
///    them: a missing word first, then letters in alphabetical order, then numbers: `2.0-rc2 < 2.0-rc10`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    text: String,
    key: Key,
}

/// Why a string is not a version. Display says what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {shown:?} {wrong}; write numbers with dots between them, such as 11.4.2, v1.2 or 6.1.0-18-amd64")]
pub struct VersionError {
    shown: String,
    wrong: &'static str,
}

/// What is compared, in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    /// Without zeros at the end.
    numbers: Vec<Number>,
    stage: Stage,
    words: Vec<Word>,
}

/// A number of any size: its digits without leading zeros, so that the longer one is the greater one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Number {
    len: usize,
    digits: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    PreRelease,
    Release,
    /// A build, a revision or a patch made after the release.
    Later,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Word {
    /// Lower case letters.
    Letters(String),
    Number(Number),
}

// === impl Version ===

impl Version {
    /// The version as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl TryFrom<String> for Version {
    type Error = VersionError;
    fn try_from(text: String) -> Result<Self, VersionError> {
        match Key::read(&text) {
            Ok(key) => Ok(Self { text, key }),
            Err(wrong) => Err(VersionError { shown: text.chars().take(MAX_CHARS).collect(), wrong }),
        }
    }
}

impl FromStr for Version {
    type Err = VersionError;
    fn from_str(value: &str) -> Result<Self, VersionError> {
        Self::try_from(value.to_owned())
    }
}

impl From<Version> for String {
    fn from(value: Version) -> String {
        value.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

// === impl Key ===

impl Key {
    fn read(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("is empty");
        }
        if text.chars().count() > MAX_CHARS {
            return Err("is longer than 64 characters");
        }
        let body = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let end = body.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(body.len());
        let (numbers, suffix) = body.split_at(end);
        if !numbers.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("does not begin with a number");
        }
        if numbers.split('.').any(str::is_empty) {
            return Err("has a dot without a number after it");
        }
        if !suffix.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '~')) {
            return Err("has a character other than ASCII letters, digits and . - _ + ~");
        }
        let mut numbers: Vec<Number> = numbers.split('.').map(Number::read).collect();
        while numbers.last().is_some_and(|number| number.len == 0) {
            numbers.pop();
        }
        let words = words(suffix);
        Ok(Self { numbers, stage: Stage::of(suffix, &words), words })
    }
}

impl Number {
    fn read(digits: &str) -> Self {
        let digits = digits.trim_start_matches('0').to_owned();
        Self { len: digits.len(), digits }
    }
}

impl Stage {
    fn of(suffix: &str, words: &[Word]) -> Self {
        match words.first() {
            _ if suffix.starts_with('~') => Self::PreRelease,
            Some(Word::Letters(word)) if PRE_RELEASE.contains(&word.as_str()) => Self::PreRelease,
            Some(Word::Letters(_) | Word::Number(_)) => Self::Later,
            None if suffix.is_empty() => Self::Release,
            None => Self::Later,
        }
    }
}

/// Splits a suffix into runs of letters and runs of digits; everything else only separates.
fn words(suffix: &str) -> Vec<Word> {
    let class = |c: char| (c.is_ascii_digit(), c.is_ascii_alphabetic());
    let mut out = Vec::new();
    let mut rest = suffix;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| class(c) != class(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        match class(first) {
            (true, _) => out.push(Word::Number(Number::read(run))),
            (_, true) => out.push(Word::Letters(run.to_ascii_lowercase())),
            (false, false) => {}
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn hash(version: &Version) -> u64 {
        let mut hasher = DefaultHasher::new();
        version.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn versions_that_say_the_same_are_equal() {
        for (a, b) in [
            ("11.4", "11.4.0"),
            ("v1.2", "1.2"),
            ("V1.2", "v1.2.0.0"),
            ("7.04", "7.4"),
            ("0", "0.0"),
            ("1.0-RC1", "1.0-rc.1"),
            ("6.1.0-18-amd64", "6.1-18-amd64"),
        ] {
            assert_eq!(version(a), version(b), "{a} {b}");
            assert_eq!(hash(&version(a)), hash(&version(b)), "{a} {b}");
        }
    }

    #[test]
    fn versions_are_ordered_number_by_number_and_then_by_suffix() {
        let ascending = [
            "0",
            "0.9",
            "1.2.3",
            "1.2.3.4",
            "2.0~beta",
            "2.0",
            "2.0.0.1",
            "7.04",
            "7.10",
            "11.4-alpha",
            "11.4-beta2",
            "11.4-beta10",
            "11.4rc1",
            "11.4",
            "11.4-1",
            "11.4.2",
            "11.9",
            "11.10",
            "v12-dev",
            "12",
            "12a",
            "12b",
            "12-18-amd64",
            "12-18-arm64",
            "12-19-amd64",
            "99999999999999999999999999",
            "100000000000000000000000000",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(version(a).cmp(&version(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn what_is_no_version_is_refused_with_the_right_form() {
        let long = "1".repeat(65);
        for (bad, wrong) in [
            ("", "is empty"),
            ("banana", "does not begin with a number"),
            ("-1", "does not begin with a number"),
            (".1", "does not begin with a number"),
            ("v", "does not begin with a number"),
            ("vv1", "does not begin with a number"),
            (" 1", "does not begin with a number"),
            ("٤.2", "does not begin with a number"),
            ("1..2", "has a dot without a number after it"),
            ("1.", "has a dot without a number after it"),
            ("1.x", "has a dot without a number after it"),
            ("1.2 ", "has a character other"),
            ("1.2/3", "has a character other"),
            ("1.2-ä", "has a character other"),
            (long.as_str(), "is longer than 64 characters"),
        ] {
            let text = bad.parse::<Version>().unwrap_err().to_string();
            assert!(text.contains(wrong) && text.contains("such as 11.4.2"), "{bad:?}: {text}");
        }
        assert!("1".repeat(64).parse::<Version>().is_ok());
    }

    #[test]
    fn a_version_is_displayed_and_serialized_as_written() {
        for text in ["v07.040-RC.1+", "11.4", "6.1.0-18-amd64"] {
            assert_eq!(version(text).to_string(), text);
            let json = serde_json::to_string(&version(text)).unwrap();
            assert_eq!(json, format!("{text:?}"));
            assert_eq!(serde_json::from_str::<Version>(&json).unwrap().as_str(), text);
        }
        assert!(serde_json::from_str::<Version>("\"banana\"").is_err());
        assert!(serde_json::from_str::<Version>("11.4").is_err());
    }

    /// Few different numbers and words, so that equal and nearly equal versions are common.
    fn any_version() -> impl Strategy<Value = Version> {
        let numbers =
            prop::sample::select(vec!["0", "v0.0", "00.1", "1", "1.0", "v1.00.0", "1.01", "1.2", "1.10", "2"]);
        let first = prop::sample::select(vec!["-", "~", "+", "rc", "~RC", "-dev", "-a", "_b"]);
        let part = prop::sample::select(vec!["rc", "a", "B", "-a", "0", "01", "-1", "-10", ".2", "."]);
        let suffix =
            (first, prop::collection::vec(part, 0..3)).prop_map(|(first, parts)| first.to_owned() + &parts.concat());
        (numbers, prop::option::of(suffix))
            .prop_map(|(numbers, suffix)| version(&(numbers.to_owned() + &suffix.unwrap_or_default())))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn the_order_is_total(a in any_version(), b in any_version(), c in any_version()) {
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
            prop_assert!(a != b || hash(&a) == hash(&b));
            prop_assert!(a > b || b > c || a <= c);
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,70}|[v0-9.~rc-]{0,70}") {
            if let Ok(version) = text.parse::<Version>() {
                prop_assert_eq!(version.to_string(), text);
            }
        }

        #[test]
        fn a_number_more_counts_more(parts in prop::collection::vec(0u64..u64::MAX, 1..3), at in 0usize..3) {
            let text = |parts: &[u64]| parts.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
            let mut greater = parts.clone();
            let at = at % parts.len();
            greater[at] += 1;
            prop_assert!(version(&text(&parts)) < version(&text(&greater)));
        }
    }
}
