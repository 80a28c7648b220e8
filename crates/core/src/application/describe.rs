//! Texts of items for the messages people read: what a policy would accept instead, and what to state so that it can
//! tell. Bounded, whatever a policy lists.

use std::fmt;

use super::facts::{Attribute, Attributes};
use super::{Application, Rule, RuleForm};

/// At most this many items are named.
const SHOWN: usize = 5;
/// At most this many characters of an item.
const ITEM: usize = 120;
/// So many hex digits tell digests apart.
const DIGITS: usize = 12;

/// What the items accept, for a message such as `dev-tools allows /opt/toolchain/**`: the first 5, at most 120
/// characters each.
#[must_use]
pub fn describe(items: &[Application]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    let mut shown: Vec<String> = items.iter().take(SHOWN).map(|item| cut(&item.rule().to_string())).collect();
    if items.len() > SHOWN {
        shown.push(format!("and {} more", items.len() - SHOWN));
    }
    shown.join("; ")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(ITEM) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

// === impl Rule ===

impl fmt::Display for Rule {
    /// As a sentence goes on: `/opt/toolchain/** by vendor Example GmbH with arguments ["install"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RuleForm { vendor, product, verified_executable, file_hash, store_app, folder_path, clsid, arguments } =
            self.members();
        let mut said: Vec<String> = Vec::new();
        said.extend(folder_path.as_ref().map(|folder| folder.path.to_string()));
        said.extend(product.as_ref().map(|product| match &product.min_version {
            Some(version) => format!("product {} from version {version} on", product.name),
            None => format!("product {}", product.name),
        }));
        said.extend(vendor.as_ref().map(|vendor| format!("vendor {}", vendor.name)));
        said.extend(verified_executable.as_ref().map(|executable| format!("verified executable {}", executable.name)));
        said.extend(store_app.as_ref().map(|app| format!("store app {}", app.id)));
        said.extend(clsid.as_ref().map(|class| format!("class {}", class.id)));
        said.extend(file_hash.as_ref().map(|hash| {
            let digests: Vec<String> = hash
                .sha256
                .iter()
                .map(|digest| format!("sha256 {:.DIGITS$}", digest.to_string()))
                .chain(hash.sha512.iter().map(|digest| format!("sha512 {:.DIGITS$}", digest.to_string())))
                .collect();
            digests.join(" or ")
        }));
        f.write_str(&said.join(", "))?;
        match arguments.as_deref() {
            None => Ok(()),
            Some([]) => f.write_str(" without arguments"),
            Some(arguments) => write!(f, " with arguments {arguments:?}"),
        }
    }
}

// === impl Attributes ===

impl Attributes {
    /// What a person can do where these are missing: `state spec.application.sha256`. What no request can state is
    /// named too.
    #[must_use]
    pub fn advice(self) -> String {
        let (stated, others): (Vec<Attribute>, Vec<Attribute>) =
            self.iter().partition(|attribute| attribute.is_stated_by_requests());
        let names = |attributes: &[Attribute], prefix: &str| {
            attributes.iter().map(|attribute| format!("{prefix}{attribute}")).collect::<Vec<_>>().join(" and ")
        };
        let mut said = Vec::new();
        if !stated.is_empty() {
            said.push(format!("state {}", names(&stated, "spec.application.")));
        }
        if !others.is_empty() {
            said.push(format!("only the endpoint itself can tell {}", names(&others, "")));
        }
        said.join("; ")
    }
}
