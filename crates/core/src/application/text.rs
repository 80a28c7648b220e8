//! Small checked values of rules and requests: names, texts, digests, classes, arguments. Each is read from its text
//! form and prints it back in one canonical spelling.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{MAX_ARGUMENTS, RuleError, at_most};
use crate::name::is_label;

/// Longest [`Text`], in characters.
const MAX_TEXT: usize = 256;
/// Longest argument, in characters.
const MAX_ARGUMENT: usize = 1024;

/// The name of an item, rule or blocklist in its list: an RFC 1123 label of at most 63 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemName(String);

/// What a vendor, product, catalogue or store calls something: 1 to 256 visible characters, compared as they are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

/// A digest of `N` bytes: read in either case, written as lower case hex digits without prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hex<const N: usize>([u8; N]);

/// A SHA-256 digest.
pub type Sha256 = Hex<32>;
/// A SHA-512 digest.
pub type Sha512 = Hex<64>;

/// A COM class, `{3AD05575-8857-4850-9277-11B85BDB8E09}`: read in either case, written in upper case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClassId(u128);

/// Is the character one that a person can see and that does not change how its neighbours are shown? Control
/// characters, line separators, direction marks and characters without width are not: an approver must read what is
/// meant.
pub(super) fn is_visible(c: char) -> bool {
    let is_hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !is_hidden
}

/// Holds the arguments of a rule or request to their bounds.
///
/// # Errors
/// [`RuleError::TooMany`], or [`RuleError::Value`] naming the first that is too long or not visible.
pub(super) fn check_arguments(arguments: &[String]) -> Result<(), RuleError> {
    at_most("arguments", arguments.len(), MAX_ARGUMENTS)?;
    let is_bad = |text: &&String| text.chars().count() > MAX_ARGUMENT || !text.chars().all(is_visible);
    match arguments.iter().find(is_bad) {
        Some(bad) => Err(RuleError::value(
            "argument",
            bad,
            "at most 1024 characters are expected, none of them control or invisible",
        )),
        None => Ok(()),
    }
}

/// The conversions by which serde reads and writes a type as text.
macro_rules! as_text {
    ($name:ty $(, $n:ident)?) => {
        impl $(<const $n: usize>)? TryFrom<String> for $name {
            type Error = $crate::application::RuleError;
            fn try_from(value: String) -> Result<Self, Self::Error> {
                value.parse()
            }
        }

        impl $(<const $n: usize>)? From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    };
}
pub(super) use as_text;

as_text!(ItemName);
as_text!(Text);
as_text!(Hex<N>, N);
as_text!(ClassId);

// === impl ItemName ===

impl ItemName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ItemName {
    type Err = RuleError;
    fn from_str(value: &str) -> Result<Self, RuleError> {
        if is_label(value) {
            return Ok(Self(value.to_owned()));
        }
        Err(RuleError::value("name", value, "a lower case DNS label of at most 63 characters is expected"))
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Text ===

impl Text {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Text {
    type Err = RuleError;
    fn from_str(value: &str) -> Result<Self, RuleError> {
        let is_good =
            (1..=MAX_TEXT).contains(&value.chars().count()) && value.trim() == value && value.chars().all(is_visible);
        if is_good {
            return Ok(Self(value.to_owned()));
        }
        Err(RuleError::value("text", value, "1 to 256 visible characters without surrounding blanks are expected"))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl Hex ===

impl<const N: usize> Hex<N> {
    /// A digest of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; N]) -> Self {
        Self(bytes)
    }
}

impl<const N: usize> FromStr for Hex<N> {
    type Err = RuleError;
    fn from_str(value: &str) -> Result<Self, RuleError> {
        let mut bytes = [0; N];
        if hex::decode_to_slice(value, &mut bytes).is_ok() {
            return Ok(Self(bytes));
        }
        let expected = match (value.len(), N) {
            (32 | 40, _) => "this has the length of MD5 or SHA-1, which are refused: give the SHA-256 digest",
            (_, 64) => "the 128 hex digits of a SHA-512 digest are expected, without prefix",
            _ => "the 64 hex digits of a SHA-256 digest are expected, without prefix",
        };
        Err(RuleError::value("digest", value, expected))
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

// === impl ClassId ===

/// Digits in each group of a class.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl FromStr for ClassId {
    type Err = RuleError;
    fn from_str(value: &str) -> Result<Self, RuleError> {
        let bad = || RuleError::value("class", value, "the form {3AD05575-8857-4850-9277-11B85BDB8E09} is expected");
        let inner = value.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(bad)?;
        let is_hex = inner.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        if !is_hex || !inner.split('-').map(str::len).eq(GROUPS) {
            return Err(bad());
        }
        u128::from_str_radix(&inner.replace('-', ""), 16).map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:032X}", self.0);
        let mut rest = digits.as_str();
        for (index, len) in GROUPS.into_iter().enumerate() {
            let (group, after) = rest.split_at(len);
            write!(f, "{}{group}", if index == 0 { "{" } else { "-" })?;
            rest = after;
        }
        f.write_str("}")
    }
}
