//! Whom a policy reaches: endpoints by name or label selector, accounts by name or group, with `except`, and only where the
//! platform and the agent's version fit. The same functions judge a request in the controller, pick parts in the gateway and
//! apply them on the endpoint.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::{Account, EndpointName, Group};
use crate::version::Version;

/// At most this many endpoint names are shown in a message.
const SHOWN: usize = 5;

/// Labels of an endpoint: the groups of computers it belongs to.
pub type Labels = BTreeMap<String, String>;

/// `spec.targets` of a JitPolicy, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Targets {
    /// Which endpoints.
    pub endpoints: EndpointTarget,
    /// Which accounts on them.
    pub accounts: AccountTarget,
    /// Operating systems it is for; empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub platforms: BTreeSet<Platform>,
    /// An older or unknown agent never receives the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_agent_version: Option<Version>,
}

/// Operating systems. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Platform {
    /// Linux
    Linux,
    /// Windows
    Windows,
    /// macOS
    #[serde(rename = "macOS")]
    MacOs,
}

/// A word that is no platform of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a platform: Linux, Windows or macOS is expected")]
pub struct UnknownPlatform;

/// Endpoints by name, or by selector over their labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum EndpointTarget {
    /// Exactly these.
    Names(BTreeSet<EndpointName>),
    /// All that the selector matches; an empty selector matches every endpoint of the fleet.
    Selector(Selector),
}

/// A Kubernetes label selector (`metav1.LabelSelector`): all labels and all expressions must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// Each label must have exactly this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: Labels,
    /// Each must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Expression>,
}

/// One requirement of a selector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expression {
    /// Label key.
    pub key: String,
    /// How the label's value is compared.
    pub operator: Operator,
    /// The values of `In` and `NotIn`; empty for the others.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub values: BTreeSet<String>,
}

/// Operators of a label selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is present.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// `targets.accounts`: everyone, or named accounts and groups; `except` always wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountTarget {
    /// Every account of the endpoint.
    pub everyone: bool,
    /// Accounts by login name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<Account>,
    /// Accounts by recorded group.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<Group>,
    /// Who is left out whatever else says.
    pub except: AccountSet,
}

/// Accounts by name and by group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountSet {
    /// Login names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub names: BTreeSet<Account>,
    /// Recorded groups.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<Group>,
}

// === impl Platform ===

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 3] = [Self::Linux, Self::Windows, Self::MacOs];

    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Windows => "Windows",
            Self::MacOs => "macOS",
        }
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;
    fn from_str(word: &str) -> Result<Self, UnknownPlatform> {
        Self::ALL.into_iter().find(|platform| platform.as_str() == word).ok_or(UnknownPlatform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl EndpointTarget ===

impl EndpointTarget {
    /// Does the policy reach the endpoint of this name and these labels?
    #[must_use]
    pub fn reaches(&self, name: &EndpointName, labels: &Labels) -> bool {
        match self {
            Self::Names(names) => names.contains(name),
            Self::Selector(selector) => selector.matches(labels),
        }
    }
}

impl fmt::Display for EndpointTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(names) => {
                let mut shown: Vec<&str> = names.iter().take(SHOWN).map(EndpointName::as_str).collect();
                if names.len() > SHOWN {
                    shown.push("...");
                }
                f.write_str(&shown.join(", "))
            }
            Self::Selector(selector) => selector.fmt(f),
        }
    }
}

impl fmt::Display for Selector {
    /// As kubectl writes selectors: `team=dev,tier in (low,mid),!legacy`; an empty one is `every endpoint`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
        let expressions = self.match_expressions.iter().map(Expression::to_string);
        let shown: Vec<String> = labels.chain(expressions).collect();
        f.write_str(if shown.is_empty() { "every endpoint".to_owned() } else { shown.join(",") }.as_str())
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let values = self.values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        match self.operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

impl Selector {
    /// Do all requirements hold for these labels?
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|e| e.matches(labels))
    }
}

impl Expression {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

// === impl AccountTarget ===

impl AccountTarget {
    /// Does the policy reach this account with these groups? `except` wins over everything.
    #[must_use]
    pub fn reaches(&self, account: &Account, groups: &BTreeSet<Group>) -> bool {
        let named = self.names.contains(account) || !self.groups.is_disjoint(groups);
        (self.everyone || named) && !self.except.holds(account, groups)
    }
}

impl AccountSet {
    fn holds(&self, account: &Account, groups: &BTreeSet<Group>) -> bool {
        self.names.contains(account) || !self.groups.is_disjoint(groups)
    }
}
