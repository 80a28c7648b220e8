//! Which program is meant: the seven rule types of `elevation.applications` and blocklists, checked. A match is yes,
//! no, unknown or error; who may run a covered program, and when, is not judged here. Controller, agent and command
//! line ask the same functions, and `corpus/applications.yaml` holds every implementation to the same answers.

mod answer;
mod blocklist;
mod describe;
mod facts;
mod matching;
mod path;
mod pattern;
mod requested;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::answer::Match;
pub use self::blocklist::{Block, Blocklist, Blocks, blocked};
pub use self::describe::describe;
pub use self::facts::{Arguments, Attr, Attribute, Attributes, Facts};
pub use self::matching::{Coverage, best_cover};
pub use self::path::FilePath;
pub use self::pattern::PathPattern;
pub use self::requested::{ArgumentMatch, GrantedApplication, Requested, RequestedForm};
pub use self::text::{ClassId, Hex, ItemName, Sha256, Sha512, Text};
use crate::version::Version;

/// At most this many items of `except` in one application.
pub const MAX_EXCEPT: usize = 8;
/// At most this many digests of one algorithm in one rule.
pub const MAX_DIGESTS: usize = 64;
/// At most this many arguments, of at most 1024 characters each.
pub const MAX_ARGUMENTS: usize = 64;

/// Why something is no rule, no item, or no program to ask for. Display says what is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A single value is not of its form.
    #[error("{what} {shown:?} is not valid: {expected}")]
    Value {
        /// What the value should be.
        what: &'static str,
        /// At most 64 characters of it.
        shown: String,
        /// What is wrong or what is expected.
        expected: &'static str,
    },
    /// Arguments alone, or nothing, would match every program.
    #[error(
        "no rule type is given: name at least one of vendor, product, verifiedExecutable, fileHash, storeApp, folderPath, clsid"
    )]
    NoRuleType,
    /// `fileHash` without digests would match nothing.
    #[error("fileHash names no digest: give at least one under sha256 or sha512")]
    NoDigest,
    /// A list is too long.
    #[error("{what} has {count} entries, and at most {most} are allowed: make two items of it")]
    TooMany {
        /// Which list.
        what: &'static str,
        /// Its length.
        count: usize,
        /// The longest allowed.
        most: usize,
    },
    /// `argumentMatch: Any` beside arguments.
    #[error("argumentMatch is Any, and arguments are given: leave the arguments out, or say Exact")]
    ArgumentsWithAny,
}

/// One item of `elevation.applications` or of a blocklist: its rule, less what `except` takes out. JSON as in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ApplicationForm", into = "ApplicationForm")]
pub struct Application {
    /// Unique in its list.
    pub name: ItemName,
    rule: Rule,
    except: Vec<Rule>,
}

/// What must all be true of a program: at least one rule type, and the arguments if any are given. JSON as in the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RuleForm", into = "RuleForm")]
pub struct Rule(RuleForm);

/// The members of a [`Rule`], not yet checked together. `Rule::try_from` checks them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleForm {
    /// Who published the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Vendor>,
    /// Which product it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<Product>,
    /// Which entry of a signed catalogue, or signed file, it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_executable: Option<VerifiedExecutable>,
    /// Which content it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_hash: Option<FileHash>,
    /// Which app of the platform's store it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_app: Option<StoreApp>,
    /// Where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_path: Option<FolderPath>,
    /// Which COM class it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clsid: Option<Clsid>,
    /// Absent: any arguments; given: exactly these, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Vec<String>>,
}

/// Rule type `vendor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// As the signature or package names it; case counts.
    pub name: Text,
}

/// Rule type `product`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Product {
    /// As the signature or package names it; case counts.
    pub name: Text,
    /// This version or a later one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_version: Option<Version>,
}

/// Rule type `verifiedExecutable`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifiedExecutable {
    /// As the catalogue or signature names it; case counts.
    pub name: Text,
}

/// Rule type `fileHash`: a program with any one of these digests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHash {
    /// SHA-256 digests, at most 64.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sha256: BTreeSet<Sha256>,
    /// SHA-512 digests, at most 64.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sha512: BTreeSet<Sha512>,
}

/// Rule type `storeApp`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreApp {
    /// As the store names it; case counts.
    pub id: Text,
}

/// Rule type `folderPath`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderPath {
    /// Which paths.
    pub path: PathPattern,
}

/// Rule type `clsid`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clsid {
    /// The class.
    pub id: ClassId,
}

/// How a program came to be covered, for the credit of a verdict; the strongest first, which is also the smallest. A
/// store app and a class are as strong as a verified executable and stand behind it only to keep the order total. May
/// grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RuleType {
    /// By digest.
    FileHash,
    /// By an entry of a signed catalogue.
    VerifiedExecutable,
    /// By the store's name for it.
    StoreApp,
    /// By COM class.
    Clsid,
    /// By product.
    Product,
    /// By vendor.
    Vendor,
    /// By `folderPath` without wildcards.
    ExactPath,
    /// By `folderPath` with wildcards.
    FolderPath,
    /// Nothing had to match: the policy lists no programs.
    NoList,
}

/// An [`Application`] as it is written: the members of [`RuleForm`] stand beside `name` and `except`. They are written
/// out, because serde cannot refuse unknown fields of a flattened struct.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ApplicationForm {
    name: ItemName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vendor: Option<Vendor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product: Option<Product>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verified_executable: Option<VerifiedExecutable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_hash: Option<FileHash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store_app: Option<StoreApp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder_path: Option<FolderPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clsid: Option<Clsid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arguments: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    except: Vec<Rule>,
}

// === impl Application ===

impl Application {
    /// An item of these rules.
    ///
    /// # Errors
    /// [`RuleError::TooMany`] above [`MAX_EXCEPT`] exceptions.
    pub fn new(name: ItemName, rule: Rule, except: Vec<Rule>) -> Result<Self, RuleError> {
        at_most("except", except.len(), MAX_EXCEPT)?;
        Ok(Self { name, rule, except })
    }

    /// What a program must be.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// What it must not be, at most [`MAX_EXCEPT`].
    #[must_use]
    pub fn except(&self) -> &[Rule] {
        &self.except
    }
}

impl TryFrom<ApplicationForm> for Application {
    type Error = RuleError;
    fn try_from(form: ApplicationForm) -> Result<Self, RuleError> {
        let members = RuleForm {
            vendor: form.vendor,
            product: form.product,
            verified_executable: form.verified_executable,
            file_hash: form.file_hash,
            store_app: form.store_app,
            folder_path: form.folder_path,
            clsid: form.clsid,
            arguments: form.arguments,
        };
        Self::new(form.name, Rule::try_from(members)?, form.except)
    }
}

impl From<Application> for ApplicationForm {
    fn from(item: Application) -> Self {
        let Rule(members) = item.rule;
        Self {
            name: item.name,
            vendor: members.vendor,
            product: members.product,
            verified_executable: members.verified_executable,
            file_hash: members.file_hash,
            store_app: members.store_app,
            folder_path: members.folder_path,
            clsid: members.clsid,
            arguments: members.arguments,
            except: item.except,
        }
    }
}

// === impl Rule ===

impl Rule {
    /// What it says.
    #[must_use]
    pub fn members(&self) -> &RuleForm {
        &self.0
    }

    /// The rule types it uses, the strongest first; at least one.
    pub fn types(&self) -> impl Iterator<Item = RuleType> + '_ {
        let RuleForm { vendor, product, verified_executable, file_hash, store_app, folder_path, clsid, .. } = &self.0;
        let path = match folder_path {
            Some(folder) if folder.path.is_exact() => RuleType::ExactPath,
            Some(_) | None => RuleType::FolderPath,
        };
        [
            (file_hash.is_some(), RuleType::FileHash),
            (verified_executable.is_some(), RuleType::VerifiedExecutable),
            (store_app.is_some(), RuleType::StoreApp),
            (clsid.is_some(), RuleType::Clsid),
            (product.is_some(), RuleType::Product),
            (vendor.is_some(), RuleType::Vendor),
            (folder_path.is_some(), path),
        ]
        .into_iter()
        .filter_map(|(is_used, rule_type)| is_used.then_some(rule_type))
    }

    /// The strongest rule type it uses.
    #[must_use]
    pub fn strongest(&self) -> RuleType {
        self.types().next().unwrap_or(RuleType::NoList)
    }
}

impl TryFrom<RuleForm> for Rule {
    type Error = RuleError;
    fn try_from(members: RuleForm) -> Result<Self, RuleError> {
        if let Some(FileHash { sha256, sha512 }) = &members.file_hash {
            if sha256.is_empty() && sha512.is_empty() {
                return Err(RuleError::NoDigest);
            }
            at_most("fileHash.sha256", sha256.len(), MAX_DIGESTS)?;
            at_most("fileHash.sha512", sha512.len(), MAX_DIGESTS)?;
        }
        text::check_arguments(members.arguments.as_deref().unwrap_or_default())?;
        let rule = Self(members);
        if rule.types().next().is_none() { Err(RuleError::NoRuleType) } else { Ok(rule) }
    }
}

impl From<Rule> for RuleForm {
    fn from(rule: Rule) -> Self {
        rule.0
    }
}

// === impl RuleError ===

impl RuleError {
    /// At most this many characters of a refused value are shown back.
    const SHOWN: usize = 64;

    fn value(what: &'static str, value: &str, expected: &'static str) -> Self {
        Self::Value { what, shown: value.chars().take(Self::SHOWN).collect(), expected }
    }
}

fn at_most(what: &'static str, count: usize, most: usize) -> Result<(), RuleError> {
    if count > most { Err(RuleError::TooMany { what, count, most }) } else { Ok(()) }
}
