//! Which programs are meant: the seven rule types, for what a policy allows and for what a fleet blocks. What a rule means on
//! which platform is decided in core.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{path, schema};

/// A program, by one rule or several: all that are given must match.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// What this item is called in messages and in automatic rules: a DNS label of at most 63 characters, unique in the list.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub name: String,
    /// What a program must match.
    #[serde(flatten)]
    pub rule: ApplicationRule,
    /// Programs left out although they match above, at most 8. An exception always wins, however exact the item is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub except: Vec<ApplicationRule>,
}

/// The rules of one item; all that are given must match. What an agent cannot check withholds the policy, never only the rule.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.vendor) || has(self.product) || has(self.verifiedExecutable) \
    || has(self.fileHash) || has(self.storeApp) || has(self.folderPath) || has(self.clsid)")
    .message("give at least one of vendor, product, verifiedExecutable, fileHash, storeApp, folderPath, clsid"))]
pub struct ApplicationRule {
    /// Who made the program. Windows: the signer; macOS: the team id; Linux: the vendor of a signed package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<NamedRule>,
    /// Which product it is part of. Windows: the signed product name; macOS: the signing id; Linux: the package that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductRule>,
    /// A file whose signature, or entry in a signed catalogue, was verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_executable: Option<NamedRule>,
    /// The file with exactly this content: the strictest rule, renewed with every update of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_hash: Option<FileHashRule>,
    /// An app from the platform's store. Linux agents cannot check it: the policy is withheld from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_app: Option<StoreAppRule>,
    /// Where the file lies. The weakest rule: combine it with another where people can write to the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_path: Option<FolderPathRule>,
    /// A COM class. Windows only: the policy is withheld from other agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clsid: Option<ClsidRule>,
    /// The arguments, exactly these in this order; [] allows none. At most 64 of 1,024 characters. Default: any arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 1024), regex(pattern = schema::ONE_LINE)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub arguments: Option<Vec<String>>,
}

/// A rule by name.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedRule {
    /// The name, compared as a whole: 1 to 256 printable characters.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT))]
    pub name: String,
}

/// A product, from some version on.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductRule {
    /// The product's name, compared as a whole: 1 to 256 printable characters.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT))]
    pub name: String,
    /// The oldest version that matches, such as "2.1", compared number by number; write it in quotes. Default: any version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::VERSION))]
    pub min_version: Option<String>,
}

/// The content of a file by its digest: any of those listed.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.sha256) || has(self.sha512)")
    .message("give at least one digest in sha256 or sha512"))]
pub struct FileHashRule {
    /// SHA-256 digests, 64 hex digits each, 1 to 64 of them. SHA-1 and MD5 are refused: they can be forged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(equal = 64), regex(pattern = schema::HEX)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub sha256: Vec<String>,
    /// SHA-512 digests, 128 hex digits each, 1 to 64 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(equal = 128), regex(pattern = schema::HEX)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub sha512: Vec<String>,
}

/// An app of a store.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreAppRule {
    /// Windows: the package family; macOS: the bundle id. 1 to 256 characters without white space.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::IDENTITY))]
    pub id: String,
}

/// Where a file lies.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FolderPathRule {
    /// An absolute path, such as /opt/toolchain/** or C:\Tools\**; * and ? match inside a part, ** as a whole part any number of
    /// parts. At most 1,024 characters; no part that is empty, . or .., none of ~ $ % [ ] { } ^ |
    #[schemars(schema_with = "path::path_pattern")]
    pub path: String,
}

/// A COM class.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClsidRule {
    /// The class id in braces, such as {3AD05575-8857-4850-9277-11B85BDB8E09}.
    #[schemars(length(equal = 38), regex(pattern = schema::CLSID))]
    pub id: String,
}
