//! The one program that a request asks for and a grant holds. What people saw is what is granted: the path as a
//! literal, the arguments, and every attribute that was stated.

use serde::{Deserialize, Serialize};

use super::RuleError;
use super::answer::Match;
use super::facts::{Arguments, Attr, Attribute, Facts};
use super::matching;
use super::path::FilePath;
use super::pattern::check_literal;
use super::text::{Sha256, Text, check_arguments};
use crate::target::Platform;
use crate::version::Version;

/// `spec.application` of a request, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RequestedForm", into = "RequestedForm")]
pub struct Requested(GrantedApplication);

/// The members of [`Requested`], not yet checked together. JSON as in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedForm {
    /// Absolute, without wildcards and invisible characters, at most 1024 characters: people approve what they read.
    pub path: String,
    /// What it is started with, if `argumentMatch` is Exact; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Whether the arguments are part of the wish.
    #[serde(default)]
    pub argument_match: ArgumentMatch,
    /// Its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Its vendor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Text>,
    /// Its product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Text>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// `argumentMatch`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ArgumentMatch {
    /// With exactly the arguments given.
    #[default]
    Exact,
    /// With any.
    Any,
}

/// The program that a grant permits, as its part says it: everything given must match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GrantedApplication {
    /// Where it lies, as typed and as resolved.
    pub path: FilePath,
    /// Absent: any arguments; given: exactly these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
    /// Its digest, if stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Its vendor, if stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Text>,
    /// Its product, if stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Text>,
    /// Its version, if stated: this one, no later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

// === impl Requested ===

impl Requested {
    /// The path asked for.
    #[must_use]
    pub fn path(&self) -> &FilePath {
        &self.0.path
    }

    /// What the request states, for a dry run against items and blocklists. The path counts as resolved too, since the
    /// grant will bind both; what is left out is unstated; only Windows has classes.
    #[must_use]
    pub fn facts(&self, platform: Option<Platform>) -> Facts {
        let GrantedApplication { path, arguments, sha256, vendor, product, version } = &self.0;
        let text = |text: &Option<Text>| Attr::from(text.as_ref().map(Text::to_string));
        Facts {
            path: Attr::Known(path.clone()),
            resolved_path: Attr::Known(path.clone()),
            sha256: (*sha256).into(),
            vendor: text(vendor),
            product: text(product),
            version: version.clone().into(),
            clsid: match platform {
                Some(Platform::Linux | Platform::MacOs) => Attr::Absent,
                Some(Platform::Windows) | None => Attr::Unstated,
            },
            arguments: Attr::Known(arguments.clone().map_or(Arguments::Any, Arguments::These)),
            ..Facts::unstated(platform)
        }
    }

    /// What a grant for this request permits.
    #[must_use]
    pub fn as_rule(&self) -> GrantedApplication {
        self.0.clone()
    }
}

impl TryFrom<RequestedForm> for Requested {
    type Error = RuleError;

    /// # Errors
    /// [`RuleError::Value`] for a path that is relative, a pattern, or not readable as it is, and for such an argument;
    /// [`RuleError::ArgumentsWithAny`]; [`RuleError::TooMany`].
    fn try_from(form: RequestedForm) -> Result<Self, RuleError> {
        let RequestedForm { path, arguments, argument_match, sha256, vendor, product, version } = form;
        check_literal(&path)?;
        check_arguments(&arguments)?;
        let arguments = match argument_match {
            ArgumentMatch::Exact => Some(arguments),
            ArgumentMatch::Any if arguments.is_empty() => None,
            ArgumentMatch::Any => return Err(RuleError::ArgumentsWithAny),
        };
        Ok(Self(GrantedApplication { path: path.parse()?, arguments, sha256, vendor, product, version }))
    }
}

impl From<Requested> for RequestedForm {
    fn from(Requested(application): Requested) -> Self {
        let GrantedApplication { path, arguments, sha256, vendor, product, version } = application;
        let argument_match = if arguments.is_some() { ArgumentMatch::Exact } else { ArgumentMatch::Any };
        let arguments = arguments.unwrap_or_default();
        Self { path: path.into(), arguments, argument_match, sha256, vendor, product, version }
    }
}

// === impl GrantedApplication ===

impl GrantedApplication {
    /// Is this the program that was granted? Both paths must be the one granted, and the file secure
    /// ([`Facts::secure`]).
    #[must_use]
    pub fn matches(&self, facts: &Facts) -> Match {
        let Self { path, arguments, sha256, vendor, product, version } = self;
        let text = |wanted: &Option<Text>, attr: &Attr<String>, attribute| {
            wanted.as_ref().map(|wanted| attr.check(attribute, |found| found == wanted.as_str()))
        };
        let arguments = arguments.as_ref().map(|wanted| {
            facts
                .arguments
                .check(Attribute::Arguments, |found| matches!(found, Arguments::These(these) if these == wanted))
        });
        let stated = [
            Some(matching::secure(facts)),
            Some(matching::both_paths(facts, |found, platform| path.is_same(found, platform))),
            arguments,
            sha256.map(|wanted| facts.sha256.check(Attribute::Sha256, |found| *found == wanted)),
            text(vendor, &facts.vendor, Attribute::Vendor),
            text(product, &facts.product, Attribute::Product),
            version.as_ref().map(|wanted| facts.version.check(Attribute::Version, |found| found == wanted)),
        ];
        stated.into_iter().flatten().fold(Match::Yes, Match::and)
    }
}
