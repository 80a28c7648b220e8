//! `folderPath.path`: an absolute path with `*` and `?` inside a part and `**` as a whole part. Read once into parts
//! and refused rather than repaired, so that a match is a walk over two lists without allocation.

use std::fmt;
use std::str::{Chars, FromStr};

use serde::{Deserialize, Serialize};

use super::RuleError;
use super::path::{FilePath, Form, Parts, fold, ignores_case, same_text};
use super::text::{as_text, is_visible};
use crate::target::Platform;

/// Longest pattern, in characters.
const MAX_PATTERN: usize = 1024;

/// A pattern of paths, `/opt/*/bin/**` or `C:\Tools\**`, at most 1024 characters. `*` stands for any characters inside
/// one part, none included, `?` for one character, and `**` as a whole part for any number of parts, none included.
/// Names that begin with a dot are like all others. Printed as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern {
    text: String,
    form: Form,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `**`
    Deep,
    /// With `*` or `?`.
    Wild(String),
    /// Only itself.
    Literal(String),
}

as_text!(PathPattern);

// === impl PathPattern ===

impl PathPattern {
    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Does it name one path only?
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// Does the platform have such paths? On any other the pattern matches nothing.
    #[must_use]
    pub fn fits(&self, platform: Platform) -> bool {
        self.form.platforms().contains(&platform)
    }

    /// Does it match the path on the platform? Linux compares bytes, and a path in `/bin`, `/sbin`, `/lib`, `/lib32`,
    /// `/lib64` or `/libx32` matches under its `/usr` name too, and the other way round. Windows and macOS ignore case.
    #[must_use]
    pub fn matches(&self, path: &FilePath, platform: Platform) -> bool {
        if self.form != path.form() || !self.fits(platform) {
            return false;
        }
        let fits = |parts| matches_parts(&self.parts, parts, platform);
        self.has_drive_of(path, platform) && (fits(path.parts()) || path.other_parts(platform).is_some_and(fits))
    }

    fn has_drive_of(&self, path: &FilePath, platform: Platform) -> bool {
        match self.form {
            Form::Unix => true,
            Form::Windows => self.text.get(..1).is_some_and(|drive| same_text(drive, path.drive(), platform)),
        }
    }
}

impl FromStr for PathPattern {
    type Err = RuleError;
    fn from_str(value: &str) -> Result<Self, RuleError> {
        let bad = |expected| RuleError::value("path", value, expected);
        if value.contains(['{', '}']) {
            return Err(bad("only * and ? inside a part and ** as a whole part are wildcards; { and } are refused"));
        }
        let form = check(value).map_err(bad)?;
        let parts = form.parts(value).map(Part::read).collect::<Result<_, _>>().map_err(bad)?;
        Ok(Self { text: value.to_owned(), form, parts })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Holds the path of a request to what a pattern must be, but for wildcards, which it must not have, and braces, which
/// it may: installers on Windows lie in folders named by a class.
///
/// # Errors
/// [`RuleError::Value`] saying what is wrong.
pub(super) fn check_literal(text: &str) -> Result<(), RuleError> {
    let bad = |expected| RuleError::value("path", text, expected);
    check(text).map_err(bad)?;
    if text.contains(['*', '?']) {
        return Err(bad("a request names one program: write its path without * and ?"));
    }
    Ok(())
}

/// What a path that people write must be. Whatever a shell, a variable or a regular expression would give another
/// meaning is refused, because somebody would read it so.
fn check(text: &str) -> Result<Form, &'static str> {
    if text.chars().count() > MAX_PATTERN {
        return Err("at most 1024 characters are expected");
    }
    if !text.chars().all(is_visible) {
        return Err("control and invisible characters are refused");
    }
    if text.contains('~') {
        return Err("~ stands for no folder here, nor for a short name: write the whole path");
    }
    if text.contains(['$', '%']) {
        return Err("variables are not filled in: write the whole path");
    }
    if text.contains(['[', ']', '^', '|']) {
        return Err("only * and ? inside a part and ** as a whole part are wildcards; [ ] ^ | are refused");
    }
    let form = Form::of(text)?;
    if form == Form::Unix && text.contains('\\') {
        return Err(r"\ is refused: the parts of this path are separated by /");
    }
    form.check(text)?;
    Ok(form)
}

impl Part {
    fn read(text: &str) -> Result<Self, &'static str> {
        match text {
            "**" => Ok(Self::Deep),
            _ if text.contains("**") => Err("** stands as a whole part, as in /opt/**/bin"),
            _ if text.contains(['*', '?']) => Ok(Self::Wild(text.to_owned())),
            _ => Ok(Self::Literal(text.to_owned())),
        }
    }

    fn matches(&self, name: &str, platform: Platform) -> bool {
        match self {
            Self::Deep => true,
            Self::Wild(pattern) => matches_name(pattern, name, ignores_case(platform)),
            Self::Literal(text) => same_text(text, name, platform),
        }
    }
}

/// Walks both lists; where they part, the last `**` seen takes one part more. So the time is at most their product.
fn matches_parts(pattern: &[Part], mut path: Parts<'_>, platform: Platform) -> bool {
    let mut rest = pattern;
    let mut deep: Option<(&[Part], Parts<'_>)> = None;
    loop {
        let mut ahead = path;
        match rest.split_first() {
            Some((Part::Deep, [])) => return true,
            Some((Part::Deep, after)) => {
                deep = Some((after, path));
                rest = after;
                continue;
            }
            Some((part, after)) if ahead.next().is_some_and(|name| part.matches(name, platform)) => {
                (rest, path) = (after, ahead);
                continue;
            }
            None if ahead.next().is_none() => return true,
            Some(_) | None => {}
        }
        let Some((after, from)) = deep.as_mut() else { return false };
        if from.next().is_none() {
            return false;
        }
        (rest, path) = (*after, *from);
    }
}

/// The same walk inside a part, with `*` for `**`.
fn matches_name(pattern: &str, name: &str, ignore_case: bool) -> bool {
    let same = |a: char, b: char| a == b || (ignore_case && fold(a) == fold(b));
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut star: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut next, mut ahead) = (pattern.clone(), name.clone());
        match (next.next(), ahead.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                star = Some((next.clone(), name.clone()));
                pattern = next;
                continue;
            }
            (Some(wanted), Some(found)) if wanted == '?' || same(wanted, found) => {
                (pattern, name) = (next, ahead);
                continue;
            }
            (_, _) => {}
        }
        let Some((after, from)) = star.as_mut() else { return false };
        if from.next().is_none() {
            return false;
        }
        (pattern, name) = (after.clone(), from.clone());
    }
}
