//! What is known of a program: what the agent measured, or what a request states. Measuring is the agent's work; here
//! is only what a measurement can say, and the set of attributes that an answer depends on.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::answer::Match;
use super::path::FilePath;
use super::text::{ClassId, Sha256, Sha512};
use crate::target::Platform;
use crate::version::Version;

/// One attribute of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Attr<T> {
    /// It is this.
    Known(T),
    /// Somebody has looked, and the program has none: no match.
    Absent,
    /// It could not be read.
    Error,
    /// Nobody has looked, or said: a request that leaves it out.
    #[default]
    Unstated,
}

/// The attributes of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Of the computer; `None`: not known, and then a path matches only if it does so on every platform that has such
    /// paths.
    pub platform: Option<Platform>,
    /// As the person or program wrote it.
    pub path: Attr<FilePath>,
    /// Of the opened file, symbolic links followed.
    pub resolved_path: Attr<FilePath>,
    /// Of the opened file.
    pub sha256: Attr<Sha256>,
    /// Of the opened file.
    pub sha512: Attr<Sha512>,
    /// Who published it, as a verified signature or package says.
    pub vendor: Attr<String>,
    /// The product, as a verified signature or package says.
    pub product: Attr<String>,
    /// The product's version.
    pub version: Attr<Version>,
    /// The entry of a signed catalogue, or the name of the signed file.
    pub verified_executable: Attr<String>,
    /// The store's name for it.
    pub store_app: Attr<String>,
    /// The COM class it serves.
    pub clsid: Attr<ClassId>,
    /// What it is started with.
    pub arguments: Attr<Arguments>,
    /// Owned by root, with every folder above it, and writable by no other, on a local file system. An agent always
    /// states it: without it nothing is allowed. Unstated, in a dry run, it does not matter.
    pub secure: Attr<bool>,
}

/// What a program is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// These, without the program's own name.
    These(Vec<String>),
    /// Whatever the person likes: a wish for any arguments. It is covered only by what allows any, and hit by every
    /// rule that denies some.
    Any,
}

/// The attributes a match can depend on, in the order of [`Facts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Attribute {
    /// [`Facts::platform`]
    Platform,
    /// [`Facts::path`]
    Path,
    /// [`Facts::resolved_path`]
    ResolvedPath,
    /// [`Facts::sha256`]
    Sha256,
    /// [`Facts::sha512`]
    Sha512,
    /// [`Facts::vendor`]
    Vendor,
    /// [`Facts::product`]
    Product,
    /// [`Facts::version`]
    Version,
    /// [`Facts::verified_executable`]
    VerifiedExecutable,
    /// [`Facts::store_app`]
    StoreApp,
    /// [`Facts::clsid`]
    Clsid,
    /// [`Facts::arguments`]
    Arguments,
    /// [`Facts::secure`]
    Secure,
}

/// A set of attributes, without allocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Attributes(u16);

// === impl Attr ===

impl<T> Attr<T> {
    /// Does the known value satisfy `matches`? Absent is *no*; error and unstated name the attribute.
    pub(super) fn check(&self, attribute: Attribute, matches: impl FnOnce(&T) -> bool) -> Match {
        self.ask(attribute, |value| matches(value).into())
    }

    /// Likewise, where a known value too can leave it open.
    pub(super) fn ask(&self, attribute: Attribute, matches: impl FnOnce(&T) -> Match) -> Match {
        match self {
            Self::Known(value) => matches(value),
            Self::Absent => Match::No,
            Self::Error => Match::Error(attribute.into()),
            Self::Unstated => Match::Unknown(attribute.into()),
        }
    }
}

impl<T> From<Option<T>> for Attr<T> {
    /// What a request states, or leaves out.
    fn from(stated: Option<T>) -> Self {
        stated.map_or(Self::Unstated, Self::Known)
    }
}

// === impl Facts ===

impl Facts {
    /// Nothing is stated of the program.
    #[must_use]
    pub fn unstated(platform: Option<Platform>) -> Self {
        Self {
            platform,
            path: Attr::Unstated,
            resolved_path: Attr::Unstated,
            sha256: Attr::Unstated,
            sha512: Attr::Unstated,
            vendor: Attr::Unstated,
            product: Attr::Unstated,
            version: Attr::Unstated,
            verified_executable: Attr::Unstated,
            store_app: Attr::Unstated,
            clsid: Attr::Unstated,
            arguments: Attr::Unstated,
            secure: Attr::Unstated,
        }
    }
}

// === impl Attribute ===

impl Attribute {
    /// Every attribute.
    pub const ALL: [Self; 13] = [
        Self::Platform,
        Self::Path,
        Self::ResolvedPath,
        Self::Sha256,
        Self::Sha512,
        Self::Vendor,
        Self::Product,
        Self::Version,
        Self::VerifiedExecutable,
        Self::StoreApp,
        Self::Clsid,
        Self::Arguments,
        Self::Secure,
    ];

    /// The word, as in the corpus and, where a request can state it, in `spec.application`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Path => "path",
            Self::ResolvedPath => "resolvedPath",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Vendor => "vendor",
            Self::Product => "product",
            Self::Version => "version",
            Self::VerifiedExecutable => "verifiedExecutable",
            Self::StoreApp => "storeApp",
            Self::Clsid => "clsid",
            Self::Arguments => "arguments",
            Self::Secure => "secure",
        }
    }

    /// Can a request state it, in the member of `spec.application` of the same name?
    #[must_use]
    pub fn is_stated_by_requests(self) -> bool {
        match self {
            Self::Path | Self::Sha256 | Self::Vendor | Self::Product | Self::Version | Self::Arguments => true,
            Self::Platform
            | Self::ResolvedPath
            | Self::Sha512
            | Self::VerifiedExecutable
            | Self::StoreApp
            | Self::Clsid
            | Self::Secure => false,
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Attributes ===

impl Attributes {
    /// The attributes of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Is the attribute one of them?
    #[must_use]
    pub fn contains(self, attribute: Attribute) -> bool {
        self.0 & Self::from(attribute).0 != 0
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.iter().count()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each, in the order of [`Facts`].
    pub fn iter(self) -> impl Iterator<Item = Attribute> {
        Attribute::ALL.into_iter().filter(move |attribute| self.contains(*attribute))
    }
}

impl From<Attribute> for Attributes {
    fn from(attribute: Attribute) -> Self {
        Self(1 << attribute as u16)
    }
}

impl FromIterator<Attribute> for Attributes {
    fn from_iter<I: IntoIterator<Item = Attribute>>(attributes: I) -> Self {
        attributes.into_iter().fold(Self::default(), |all, attribute| all.union(attribute.into()))
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attribute) in self.iter().enumerate() {
            write!(f, "{}{attribute}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
