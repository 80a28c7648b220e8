//! Paths of programs: absolute, free of detours, split into parts without allocation, and compared as their platform
//! compares them. Nothing here looks at a disk; a path as typed and a path as resolved are two facts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::RuleError;
use super::text::as_text;
use crate::target::Platform;

/// Longest path of a file, in bytes.
const MAX_FILE: usize = 4096;

/// Folders below `/` that are their namesakes below `/usr`, on Linux.
const MERGED: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// The path of one program, without wildcards: `/opt/tool/setup` or `C:\Tools\setup.exe`. Absolute, without `.`, `..`,
/// empty part and NUL, at most 4096 bytes. On Windows and macOS it must be in Unicode normal form C, as the agent's
/// facts are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath {
    text: String,
    form: Form,
}

/// How a path is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Form {
    /// `/part/part`
    Unix,
    /// `C:\part\part`
    Windows,
}

/// The parts of a path, from the root on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    /// Comes before all others.
    first: Option<&'static str>,
    rest: Option<&'a str>,
    separator: u8,
}

as_text!(FilePath);

// === impl Form ===

impl Form {
    /// The form of an absolute path, and what is wrong with any other.
    pub(super) fn of(text: &str) -> Result<Self, &'static str> {
        let mut start = text.chars();
        match (start.next(), start.next(), start.next()) {
            (Some('/'), _, _) => Ok(Self::Unix),
            (Some(drive), Some(':'), Some('\\')) if drive.is_ascii_alphabetic() => Ok(Self::Windows),
            (Some(drive), Some(':'), Some('/')) if drive.is_ascii_alphabetic() => {
                Err(r"the parts of a Windows path are separated by \")
            }
            (Some('\\'), Some('\\'), _) => {
                Err(r"a path on the network or of a device is refused: begin with a drive of the computer, such as C:\")
            }
            (_, _, _) => Err(r"an absolute path is expected, from / or, on Windows, from a drive such as C:\"),
        }
    }

    /// The path below the root.
    pub(super) fn parts(self, text: &str) -> Parts<'_> {
        let (root, separator) = match self {
            Self::Unix => (1, b'/'),
            Self::Windows => (3, b'\\'),
        };
        Parts { first: None, rest: text.get(root..), separator }
    }

    /// The platforms that have such paths.
    pub(super) fn platforms(self) -> &'static [Platform] {
        match self {
            Self::Unix => &[Platform::Linux, Platform::MacOs],
            Self::Windows => &[Platform::Windows],
        }
    }

    /// What every path must be, with or without wildcards: names a file, without detours.
    pub(super) fn check(self, text: &str) -> Result<(), &'static str> {
        if text.contains('\0') {
            return Err("NUL is no character of a path");
        }
        for part in self.parts(text) {
            match part {
                "" => return Err("a part is empty: write one separator between parts and none at the end"),
                "." | ".." => return Err(". and .. are refused: write the path that is meant"),
                _ if self == Self::Windows => check_windows_part(part)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn check_windows_part(part: &str) -> Result<(), &'static str> {
    if part.contains(['/', ':', '"', '<', '>', '|']) {
        return Err("a name on Windows cannot have / : \" < > |");
    }
    if part.ends_with(['.', ' ']) {
        return Err("Windows ignores a dot or blank at the end of a name: leave it out");
    }
    Ok(())
}

// === impl Parts ===

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let rest = self.rest?;
        // The separator is ASCII: a plain search over bytes is several times faster than one for a character.
        match rest.bytes().position(|byte| byte == self.separator) {
            Some(end) => {
                self.rest = rest.get(end + 1..);
                rest.get(..end)
            }
            None => self.rest.take(),
        }
    }
}

// === impl FilePath ===

impl FilePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Do both name the same file on the platform? Linux compares bytes and takes `/bin` for `/usr/bin` (likewise
    /// `sbin`, `lib`, `lib32`, `lib64`, `libx32`); Windows and macOS ignore case.
    #[must_use]
    pub fn is_same(&self, other: &Self, platform: Platform) -> bool {
        if self.form != other.form || !self.form.platforms().contains(&platform) {
            return false;
        }
        let same_parts =
            |a: Parts<'_>, b: Parts<'_>| a.zip(b).all(|(a, b)| same_text(a, b, platform)) && a.count() == b.count();
        let is_equal = |path: Parts<'_>| same_parts(path, other.parts());
        same_text(self.drive(), other.drive(), platform)
            && (is_equal(self.parts()) || self.other_parts(platform).is_some_and(is_equal))
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        self.form.parts(&self.text)
    }

    /// The letter of a Windows path.
    pub(super) fn drive(&self) -> &str {
        match self.form {
            Form::Unix => "",
            Form::Windows => self.text.get(..1).unwrap_or_default(),
        }
    }

    /// The other spelling of a path in a folder that `/` and `/usr` share.
    pub(super) fn other_parts(&self, platform: Platform) -> Option<Parts<'_>> {
        if platform != Platform::Linux || self.form != Form::Unix {
            return None;
        }
        let is_merged = |parts: Parts<'_>| parts.clone().next().is_some_and(|part| MERGED.contains(&part));
        let parts = self.parts();
        if is_merged(parts) {
            return Some(Parts { first: Some("usr"), ..parts });
        }
        let below_usr = Parts { rest: Some(self.text.strip_prefix("/usr/")?), ..parts };
        is_merged(below_usr).then_some(below_usr)
    }
}

impl FromStr for FilePath {
    type Err = RuleError;
    fn from_str(value: &str) -> Result<Self, RuleError> {
        let bad = |expected| RuleError::value("path", value, expected);
        if value.len() > MAX_FILE {
            return Err(bad("at most 4096 bytes are expected"));
        }
        let form = Form::of(value).map_err(bad)?;
        form.check(value).map_err(bad)?;
        Ok(Self { text: value.to_owned(), form })
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Are the texts the same name on the platform?
pub(super) fn same_text(a: &str, b: &str, platform: Platform) -> bool {
    a == b || (ignores_case(platform) && a.chars().map(fold).eq(b.chars().map(fold)))
}

/// Does the platform take `A` for `a` in names?
pub(super) fn ignores_case(platform: Platform) -> bool {
    match platform {
        Platform::Linux => false,
        Platform::Windows | Platform::MacOs => true,
    }
}

/// A character without its case: through upper to lower case, as long as each is one character. So Σ, σ and ς are one,
/// and ß stays itself.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let upper = only(c.to_uppercase()).unwrap_or(c);
    only(upper.to_lowercase()).unwrap_or(upper)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    if chars.next().is_some() { None } else { Some(first) }
}
