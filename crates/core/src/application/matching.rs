//! Does a rule match a program, and does an item cover it? Every member given must match. The same rule reads
//! differently when it takes something away (`except`, blocklist): then one of a file's two paths is enough, the file's
//! owner does not matter, and a wish for any arguments is hit.

use super::answer::Match;
use super::facts::{Arguments, Attr, Attribute, Attributes, Facts};
use super::path::{FilePath, Form};
use super::{Application, Rule, RuleForm, RuleType};
use crate::target::Platform;

/// What an item says of a program. Only [`Coverage::Covered`] allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// It is covered, by a rule whose strongest type is this.
    Covered(RuleType),
    /// It would be, but for this item of `except`, counted from 0; the first that matches.
    Excepted(usize),
    /// It may be, depending on these attributes, which nobody has stated.
    Missing(Attributes),
    /// It may be, depending on these attributes, which could not be read.
    Error(Attributes),
    /// It is another program.
    Not,
}

/// What a matching rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Allow,
    Deny,
}

/// One rule type, or the arguments: does it match, if the rule names it?
type Check = fn(&RuleForm, &Facts, Side) -> Option<Match>;

/// Every member of a rule. What is cheap and most often decides comes first; the answer is the same in any order.
const CHECKS: [Check; 8] = [folder_path, file_hash, vendor, product, verified_executable, store_app, clsid, arguments];

// === impl Rule ===

impl Rule {
    /// Does the rule match, if it is to allow? Both paths must match; unless the facts leave it open, as a request's
    /// do, the file must be secure ([`Facts::secure`]), whatever the rule's types.
    #[must_use]
    pub fn matches(&self, facts: &Facts) -> Match {
        secure(facts).and(self.all(facts, Side::Allow))
    }

    /// Does the rule match, if it is to deny? One of the two paths is enough, or a link would lead around it.
    #[must_use]
    pub fn excludes(&self, facts: &Facts) -> Match {
        self.all(facts, Side::Deny)
    }

    fn all(&self, facts: &Facts, side: Side) -> Match {
        let mut answer = Match::Yes;
        for found in CHECKS.iter().filter_map(|check| check(self.members(), facts, side)) {
            answer = answer.and(found);
            if answer == Match::No {
                break;
            }
        }
        answer
    }
}

/// Is the file secure, or does nobody say?
pub(super) fn secure(facts: &Facts) -> Match {
    match facts.secure.check(Attribute::Secure, |is_secure| *is_secure) {
        Match::Unknown(_) => Match::Yes,
        known @ (Match::Yes | Match::No | Match::Error(_)) => known,
    }
}

fn folder_path(rule: &RuleForm, facts: &Facts, side: Side) -> Option<Match> {
    let pattern = &rule.folder_path.as_ref()?.path;
    Some(paths(facts, side, |path, platform| pattern.matches(path, platform)))
}

/// Asks of both paths, for one who allows.
pub(super) fn both_paths(facts: &Facts, matches: impl Fn(&FilePath, Platform) -> bool) -> Match {
    paths(facts, Side::Allow, matches)
}

/// Asks of both paths, and joins the answers as the side needs it.
fn paths(facts: &Facts, side: Side, matches: impl Fn(&FilePath, Platform) -> bool) -> Match {
    let ask = |path: &FilePath| on_platform(facts.platform, path.form(), |platform| matches(path, platform));
    let typed = facts.path.ask(Attribute::Path, ask);
    if facts.path == facts.resolved_path && matches!(facts.path, Attr::Known(_)) {
        return typed;
    }
    let resolved = || facts.resolved_path.ask(Attribute::ResolvedPath, ask);
    match side {
        Side::Allow if typed == Match::No => typed,
        Side::Allow => typed.and(resolved()),
        Side::Deny => typed.or(resolved()),
    }
}

/// The answer on the platform; where none is known, the one that all platforms with such paths give.
fn on_platform(platform: Option<Platform>, form: Form, matches: impl Fn(Platform) -> bool) -> Match {
    if let Some(platform) = platform {
        return matches(platform).into();
    }
    let mut answers = form.platforms().iter().map(|platform| matches(*platform));
    let first = answers.next().unwrap_or(false);
    if answers.all(|answer| answer == first) { first.into() } else { Match::Unknown(Attribute::Platform.into()) }
}

fn file_hash(rule: &RuleForm, facts: &Facts, _: Side) -> Option<Match> {
    let wanted = rule.file_hash.as_ref()?;
    let sha256 = match wanted.sha256.is_empty() {
        true => Match::No,
        false => facts.sha256.check(Attribute::Sha256, |digest| wanted.sha256.contains(digest)),
    };
    let sha512 = match wanted.sha512.is_empty() {
        true => Match::No,
        false => facts.sha512.check(Attribute::Sha512, |digest| wanted.sha512.contains(digest)),
    };
    Some(sha256.or(sha512))
}

fn vendor(rule: &RuleForm, facts: &Facts, _: Side) -> Option<Match> {
    let wanted = rule.vendor.as_ref()?;
    Some(facts.vendor.check(Attribute::Vendor, |vendor| vendor == wanted.name.as_str()))
}

fn product(rule: &RuleForm, facts: &Facts, _: Side) -> Option<Match> {
    let wanted = rule.product.as_ref()?;
    let name = facts.product.check(Attribute::Product, |product| product == wanted.name.as_str());
    let Some(min) = &wanted.min_version else { return Some(name) };
    Some(name.and(facts.version.check(Attribute::Version, |version| version >= min)))
}

fn verified_executable(rule: &RuleForm, facts: &Facts, _: Side) -> Option<Match> {
    let wanted = rule.verified_executable.as_ref()?;
    Some(facts.verified_executable.check(Attribute::VerifiedExecutable, |name| name == wanted.name.as_str()))
}

fn store_app(rule: &RuleForm, facts: &Facts, _: Side) -> Option<Match> {
    let wanted = rule.store_app.as_ref()?;
    Some(facts.store_app.check(Attribute::StoreApp, |id| id == wanted.id.as_str()))
}

fn clsid(rule: &RuleForm, facts: &Facts, _: Side) -> Option<Match> {
    let wanted = rule.clsid.as_ref()?;
    Some(facts.clsid.check(Attribute::Clsid, |id| *id == wanted.id))
}

fn arguments(rule: &RuleForm, facts: &Facts, side: Side) -> Option<Match> {
    let wanted = rule.arguments.as_ref()?;
    Some(facts.arguments.check(Attribute::Arguments, |arguments| match arguments {
        Arguments::These(these) => these == wanted,
        // A wish for any arguments is more than these, and holds them.
        Arguments::Any => side == Side::Deny,
    }))
}

// === impl Application ===

impl Application {
    /// Does the item cover the program? An `except` that matches, or cannot be excluded, beats the item, however exact
    /// either is.
    #[must_use]
    pub fn covers(&self, facts: &Facts) -> Coverage {
        let rule = self.rule().matches(facts);
        if rule == Match::No {
            return Coverage::Not;
        }
        let excluded = self.except().iter().map(|except| except.excludes(facts));
        let answer = excluded.fold(rule, |answer, excluded| answer.and(!excluded));
        match (answer, rule) {
            (Match::Yes, _) => Coverage::Covered(self.rule().strongest()),
            (Match::Unknown(attributes), _) => Coverage::Missing(attributes),
            (Match::Error(attributes), _) => Coverage::Error(attributes),
            (Match::No, Match::Yes) => {
                let first = self.except().iter().position(|except| except.excludes(facts) == Match::Yes);
                first.map_or(Coverage::Not, Coverage::Excepted)
            }
            (Match::No, Match::No | Match::Unknown(_) | Match::Error(_)) => Coverage::Not,
        }
    }

    /// Does the item of a blocklist name the program? Here `except` gives back, so it counts only where it certainly
    /// matches.
    #[must_use]
    pub fn blocks(&self, facts: &Facts) -> Match {
        let spared = self.except().iter().map(|except| except.matches(facts)).fold(Match::No, Match::or);
        self.rule().excludes(facts).and(!spared)
    }
}

/// What a list says of a program: the item that says most for it, the same in any order of the list. Covered comes
/// first, the strongest type and then the name deciding; then error, missing (fewest attributes), excepted. `None` for
/// an empty list.
#[must_use]
pub fn best_cover<'a>(items: &'a [Application], facts: &Facts) -> Option<(&'a Application, Coverage)> {
    let judged = items.iter().map(|item| (item, item.covers(facts)));
    judged.min_by_key(|(item, coverage)| (coverage.rank(), &item.name))
}

// === impl Coverage ===

impl Coverage {
    /// May the program run by this item?
    #[must_use]
    pub fn allows(self) -> bool {
        matches!(self, Self::Covered(_))
    }

    /// Smaller says more for the program.
    fn rank(self) -> (u8, Option<RuleType>, usize) {
        match self {
            Self::Covered(rule_type) => (0, Some(rule_type), 0),
            Self::Error(_) => (1, None, 0),
            Self::Missing(attributes) => (2, None, attributes.len()),
            Self::Excepted(_) => (3, None, 0),
            Self::Not => (4, None, 0),
        }
    }
}
