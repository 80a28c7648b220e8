//! What a JitPolicy says, checked, and its compilation into the part that endpoints receive. Who may approve is not here: that
//! is RBAC. What is elevated is `elevation`'s, when is `access`', who has to approve is `approval::rule`'s.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::application::Facts;
use crate::approval::rule::ApprovalRules;
use crate::elevation::Elevation;
use crate::endpoint::Endpoint;
use crate::interval::{Instant, seconds};
use crate::name::{Digest, PolicyName, Uid};
use crate::part::{Body, PartKind};
use crate::request::Wish;
use crate::select::{Withheld, withheld};
use crate::target::Targets;

/// Largest payload of a compiled part, in bytes.
pub const MAX_COMPILED: usize = 256 * 1024;

/// A JitPolicy that passed its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which object and which generation of it this is.
    pub reference: PolicyRef,
    /// Nobody may ask under it, and nothing is granted ahead by it.
    pub suspended: bool,
    /// What it says.
    pub rules: Rules,
}

/// A policy by name, uid and `metadata.generation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRef {
    /// `metadata.name`
    pub name: PolicyName,
    /// `metadata.uid`
    pub uid: Uid,
    /// `metadata.generation`, counted by the API server from 1.
    pub generation: i64,
}

/// The content of a policy that matters to a grant. Its digest is pinned in a request when it is accepted: what people
/// saw is what is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// Whom it reaches.
    pub targets: Targets,
    /// What is elevated and how.
    pub elevation: Elevation,
    /// When access exists or how it is asked for.
    pub access: Access,
    /// Who has to approve what is asked for.
    pub approval: ApprovalRules,
    /// How long before an end the person is reminded; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "list_of_seconds")]
    pub reminders: Vec<Duration>,
    /// How long after the last authenticated contact an agent still starts elevation.
    #[serde(with = "seconds")]
    pub offline_tolerance: Duration,
}

/// The content of a policy part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyBody {
    /// Which policy.
    pub policy: PolicyRef,
    /// Whom it reaches.
    pub targets: Targets,
    /// What it elevates.
    pub elevation: Elevation,
    /// When or on which terms.
    pub access: Access,
    /// How long before an end the person is reminded.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "list_of_seconds")]
    pub reminders: Vec<Duration>,
    /// How long after the last authenticated contact an agent still starts elevation.
    #[serde(with = "seconds")]
    pub offline_tolerance: Duration,
}

impl Body for PolicyBody {
    const KIND: PartKind = PartKind::Policy;
}

/// How a policy stands: the reason of its `Ready=True`. May grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Signed and in force, or ready to be asked under.
    Compiled,
    /// Switched off.
    Suspended,
    /// Its time is over.
    Closed,
    /// It reaches no endpoint.
    NoEndpoints,
}

/// How many endpoints a policy reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Endpoints of the fleet.
    pub total: usize,
    /// Those that its targets name.
    pub matched: usize,
    /// Those of them that do not receive it: platform or agent do not fit or are unknown.
    pub withheld: usize,
}

// === impl Policy ===

impl Policy {
    /// The part that endpoints receive.
    #[must_use]
    pub fn compile(&self) -> PolicyBody {
        let Rules { targets, elevation, access, approval: _, reminders, offline_tolerance } = self.rules.clone();
        PolicyBody { policy: self.reference.clone(), targets, elevation, access, reminders, offline_tolerance }
    }

    /// Counts the endpoints it reaches.
    #[must_use]
    pub fn reach<'a>(&self, endpoints: impl IntoIterator<Item = &'a Endpoint>) -> Reach {
        let mut reach = Reach::default();
        for endpoint in endpoints {
            reach.total += 1;
            if self.rules.targets.endpoints.reaches(&endpoint.reference.name, &endpoint.labels) {
                reach.matched += 1;
                reach.withheld += usize::from(self.withheld(endpoint).is_some());
            }
        }
        reach
    }

    /// Why the endpoint does not receive the policy although it is targeted.
    #[must_use]
    pub fn withheld(&self, endpoint: &Endpoint) -> Option<Withheld> {
        withheld(&self.rules.targets, &self.rules.elevation, endpoint.agent.as_ref())
    }

    /// How the policy stands, with the text for people.
    #[must_use]
    pub fn standing(&self, reach: Reach, now: Instant) -> (Standing, String) {
        let Reach { total, matched, withheld } = reach;
        if self.suspended {
            let message = "suspended: nobody can ask and nothing is granted ahead; active grants run out";
            return (Standing::Suspended, message.to_owned());
        }
        if let Some(end) = self.rules.access.over_since(now) {
            return (Standing::Closed, format!("access ended at {end}"));
        }
        if matched == 0 {
            let message = format!("{} matches none of {total} endpoints", self.rules.targets.endpoints);
            return (Standing::NoEndpoints, message);
        }
        let but = match withheld {
            0 => String::new(),
            n => format!("; withheld from {n} whose platform or agent does not fit or is unknown"),
        };
        (Standing::Compiled, format!("signed for {matched} of {total} endpoints{but}"))
    }

    /// When [`Policy::standing`] or the span in its status may change by itself.
    #[must_use]
    pub fn wake(&self, now: Instant) -> Option<Instant> {
        self.rules.access.next_edge(now)
    }

    /// How long the request asks for, the default filled in. `None` if nobody asks under this policy.
    #[must_use]
    pub fn asked_duration(&self, wish: &Wish) -> Option<Duration> {
        self.rules.access.terms().map(|terms| wish.duration.unwrap_or(terms.duration.default))
    }

    /// What the request says of its program, for an endpoint of known or unknown platform.
    #[must_use]
    pub fn facts(&self, wish: &Wish, endpoint: &Endpoint) -> Option<Facts> {
        let platform = endpoint.agent.as_ref().and_then(|agent| agent.platform);
        wish.application.as_ref().map(|application| application.facts(platform))
    }
}

impl PolicyBody {
    /// Why a part of so many bytes is too large, and what to cut.
    #[must_use]
    pub fn too_large(&self, bytes: usize) -> Option<String> {
        if bytes <= MAX_COMPILED {
            return None;
        }
        let size = |value: serde_json::Result<Vec<u8>>| value.map_or(0, |json| json.len());
        let parts = [
            ("spec.elevation.applications", size(serde_json::to_vec(&self.elevation.applications))),
            ("spec.targets.accounts", size(serde_json::to_vec(&self.targets.accounts))),
            ("spec.targets.endpoints", size(serde_json::to_vec(&self.targets.endpoints))),
        ];
        let (field, of_it) = parts.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap_or(("spec", bytes));
        Some(format!(
            "compiled, the policy has {bytes} bytes, and at most {MAX_COMPILED} can be sent to an endpoint; {of_it} of them are {field}: \
             shorten it, or make two policies of it"
        ))
    }
}

impl Rules {
    /// SHA-256 over the rules as JSON: equal rules have equal digests, whatever the object's generation or description.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Structs of strings and integers always serialise.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Standing {
    /// The word of the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compiled => "Compiled",
            Self::Suspended => "Suspended",
            Self::Closed => "Closed",
            Self::NoEndpoints => "NoEndpoints",
        }
    }
}

pub(crate) mod list_of_seconds {
    //! Durations on the wire to agents: whole seconds.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(values: &[Duration], serializer: S) -> Result<S::Ok, S::Error> {
        values.iter().map(Duration::as_secs).collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Duration>, D::Error> {
        Ok(Vec::<u64>::deserialize(deserializer)?.into_iter().map(Duration::from_secs).collect())
    }
}
