//! Who approves under a policy: rules that approve by themselves, and the stages that people have to meet.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::application::{Coverage, Facts, ItemName};
use crate::elevation::Elevation;
use crate::endpoint::{AccountEntry, Endpoint};
use crate::interval::seconds;
use crate::name::StageName;
use crate::request::Wish;
use crate::target::{AccountTarget, EndpointTarget};

/// The only stage there is where a policy names none.
pub const DEFAULT_STAGE: &str = "default";

/// `access.onRequest.approval`. Endpoints do not learn it: it is in the digest that a request pins, not in the policy's part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalRules {
    /// In order; the first that matches approves. None that matches: people decide. At most 16, names unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub automatic: Vec<AutomaticRule>,
    /// All must be met, at most 8, names unique; none: one stage `default` with one approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

/// A rule that approves by itself what everything in it matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutomaticRule {
    /// Its name, a DNS label; recorded in `status.approval.rule`.
    pub name: StageName,
    /// Whose account; absent: every one that the policy targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<AccountTarget>,
    /// Where; absent: on every endpoint that the policy targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointTarget>,
    /// Items of the policy that must cover the program; empty: whatever the policy covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applications: Vec<ItemName>,
    /// Longest duration; absent: the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_seconds")]
    pub max_duration: Option<Duration>,
}

/// A number of approvals that people have to give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name, a DNS label, never `status` or `scale`: the right to approve it is one on `jitpolicies/<name>`.
    pub name: StageName,
    /// How many distinct people have to approve, 1 to 8.
    pub approvals: u32,
}

/// What an automatic rule is judged on.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The request.
    pub wish: &'a Wish,
    /// Where.
    pub endpoint: &'a Endpoint,
    /// Whose account.
    pub account: &'a AccountEntry,
    /// What the policy elevates.
    pub elevation: &'a Elevation,
    /// What the request says of the program, if it names one.
    pub facts: Option<&'a Facts>,
    /// How long, the policy's default filled in.
    pub duration: Duration,
    /// The endpoint's own agent has signed the request.
    pub attested: bool,
}

// === impl ApprovalRules ===

impl ApprovalRules {
    /// The stages, with the default one where none is named.
    #[must_use]
    pub fn stages(&self) -> Vec<Stage> {
        if !self.stages.is_empty() {
            return self.stages.clone();
        }
        DEFAULT_STAGE.parse().map(|name| Stage { name, approvals: 1 }).into_iter().collect()
    }

    /// The first rule that approves this by itself.
    #[must_use]
    pub fn automatic(&self, asked: &Asked<'_>) -> Option<&AutomaticRule> {
        self.automatic.iter().find(|rule| {
            rule.allows_asking(asked.wish, asked.attested)
                && rule.fits(asked.elevation, asked.facts, asked.duration)
                && rule.reaches(asked)
        })
    }

    /// The rule of this name.
    #[must_use]
    pub fn rule(&self, name: &StageName) -> Option<&AutomaticRule> {
        self.automatic.iter().find(|rule| rule.name == *name)
    }
}

// === impl AutomaticRule ===

impl AutomaticRule {
    /// What is asked for another person is approved only with the signature of the endpoint's agent: whoever may ask for others must
    /// not let a rule approve in anybody's name.
    #[must_use]
    pub fn allows_asking(&self, wish: &Wish, attested: bool) -> bool {
        !wish.on_behalf || attested
    }

    /// Does the rule fit the program and the duration that are asked for?
    #[must_use]
    pub fn fits(&self, elevation: &Elevation, facts: Option<&Facts>, duration: Duration) -> bool {
        let named = || elevation.applications.iter().filter(|item| self.applications.contains(&item.name));
        let covers = |facts| named().any(|item| matches!(item.covers(facts), Coverage::Covered(_)));
        self.max_duration.is_none_or(|max| duration <= max)
            && (self.applications.is_empty() || facts.is_some_and(covers))
    }

    /// Does the rule fit who asks and where? This can change while a request waits for its start; what was approved stays.
    fn reaches(&self, asked: &Asked<'_>) -> bool {
        let endpoint = asked.endpoint;
        self.endpoints.as_ref().is_none_or(|target| target.reaches(&endpoint.reference.name, &endpoint.labels))
            && self.accounts.as_ref().is_none_or(|target| target.reaches(&asked.wish.account, &asked.account.groups))
    }
}

mod optional_seconds {
    //! Whole seconds, where there are any.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::seconds;

    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => seconds::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Option::<u64>::deserialize(deserializer).map(|value| value.map(Duration::from_secs))
    }
}
