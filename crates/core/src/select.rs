//! Which parts an endpoint gets. The gateway asks to serve no more than that, the agent asks again with its own signed
//! placement, so a gateway that errs or lies cannot give a policy to the wrong endpoint.

use std::fmt;

use crate::elevation::Elevation;
use crate::endpoint::Agent;
use crate::fleet::FleetBody;
use crate::grant::GrantBody;
use crate::name::EndpointRef;
use crate::placement::PlacementBody;
use crate::policy::PolicyBody;
use crate::target::{Platform, Targets};
use crate::version::Version;

/// Why a targeted endpoint does not receive a policy. Its other policies are untouched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withheld {
    /// Nobody knows which platform, version or capabilities the agent has, and the policy asks for one of them.
    AgentUnknown,
    /// The policy is not for this platform.
    Platform(Platform),
    /// The agent is older than the policy wants.
    TooOld {
        /// What the agent is.
        found: Version,
        /// What the policy wants.
        wanted: Version,
    },
    /// The agent cannot do this (a word of [`crate::elevation::capability`]).
    Incapable(&'static str),
}

/// Why a grant is not in force beside a placement and a fleet part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotInForce {
    /// One of them is older than those it was signed beside: what speaks against it may be missing.
    TooEarly,
    /// The fleet part calls every grant of its time void.
    Void,
    /// The fleet part calls it revoked.
    Revoked,
}

/// Does the endpoint of this placement receive this policy, as far as names and labels say? Which accounts the policy
/// reaches on it is judged where access is given.
#[must_use]
pub fn selects(placement: &PlacementBody, policy: &PolicyBody) -> bool {
    policy.targets.endpoints.reaches(&placement.endpoint.name, &placement.labels)
}

/// Is a targeted policy withheld from the endpoint with this agent? What is not known is not assumed.
#[must_use]
pub fn withheld(targets: &Targets, elevation: &Elevation, agent: Option<&Agent>) -> Option<Withheld> {
    let platform = agent.and_then(|agent| agent.platform);
    let version = agent.and_then(|agent| agent.version.as_ref());
    if !targets.platforms.is_empty() {
        match platform {
            None => return Some(Withheld::AgentUnknown),
            Some(found) if !targets.platforms.contains(&found) => return Some(Withheld::Platform(found)),
            Some(_) => {}
        }
    }
    if let Some(wanted) = &targets.min_agent_version {
        match version {
            None => return Some(Withheld::AgentUnknown),
            Some(found) if found < wanted => {
                return Some(Withheld::TooOld { found: found.clone(), wanted: wanted.clone() });
            }
            Some(_) => {}
        }
    }
    elevation.needs().into_iter().find_map(|word| match agent {
        None => Some(Withheld::AgentUnknown),
        Some(agent) if !agent.capabilities.contains(word) => Some(Withheld::Incapable(word)),
        Some(_) => None,
    })
}

/// Does the grant hold on this endpoint? A re-created endpoint of the same name is another one.
#[must_use]
pub fn is_for(endpoint: &EndpointRef, grant: &GrantBody) -> bool {
    grant.endpoint == *endpoint
}

/// Is the grant out of force beside a placement of this sequence and this fleet part, of this sequence?
#[must_use]
pub fn not_in_force(grant: &GrantBody, placement: u64, fleet: (u64, &FleetBody)) -> Option<NotInForce> {
    let (requires, (sequence, fleet)) = (&grant.requires, fleet);
    if placement < requires.placement || sequence < requires.fleet {
        Some(NotInForce::TooEarly)
    } else if fleet.is_void(requires) {
        Some(NotInForce::Void)
    } else if fleet.is_revoked(&grant.request.uid) {
        Some(NotInForce::Revoked)
    } else {
        None
    }
}

impl fmt::Display for NotInForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooEarly => "it requires a newer placement or fleet part",
            Self::Void => "the fleet part calls every grant of its time void",
            Self::Revoked => "the fleet part calls it revoked",
        })
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentUnknown => f.write_str("its agent has not said yet what it is and can do"),
            Self::Platform(found) => write!(f, "it runs {found}"),
            Self::TooOld { found, wanted } => write!(f, "its agent is {found}, and {wanted} or later is needed"),
            Self::Incapable(word) => write!(f, "its agent cannot do what is needed ({word})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elevation::{Mode, OnExpiry, Protection};
    use crate::envelope::fixture;
    use crate::target::EndpointTarget;

    #[test]
    fn a_policy_is_selected_by_labels_or_name_whatever_accounts_it_reaches() {
        let mut placement = fixture::placement();
        let mut policy = fixture::policy();
        assert!(selects(&placement, &policy));
        placement.accounts.clear();
        assert!(selects(&placement, &policy));
        placement.labels.clear();
        assert!(!selects(&placement, &policy));
        policy.targets.endpoints = EndpointTarget::Names([placement.endpoint.name.clone()].into());
        assert!(selects(&placement, &policy));
    }

    #[test]
    fn a_grant_is_for_one_endpoint_by_name_and_uid() {
        let grant = fixture::grant();
        assert!(is_for(&fixture::endpoint(), &grant));
        let recreated = EndpointRef { uid: fixture::uid("re-created"), ..fixture::endpoint() };
        assert!(!is_for(&recreated, &grant));
        let renamed = EndpointRef { name: "ws-043".parse().unwrap(), ..fixture::endpoint() };
        assert!(!is_for(&renamed, &grant));
    }

    fn agent(version: &str, platform: Platform) -> Agent {
        Agent { version: version.parse().ok(), platform: Some(platform), ..Agent::default() }
    }

    #[test]
    fn a_policy_that_asks_for_nothing_is_withheld_from_nobody() {
        let policy = fixture::policy();
        for agent in [None, Some(Agent::default()), Some(agent("0.1", Platform::Windows))] {
            assert_eq!(withheld(&policy.targets, &policy.elevation, agent.as_ref()), None);
        }
    }

    #[test]
    fn an_older_or_unknown_agent_and_another_platform_are_withheld() {
        let mut policy = fixture::policy();
        policy.targets.min_agent_version = "11.4.2".parse().ok();
        policy.targets.platforms = [Platform::Linux].into();
        let old = Withheld::TooOld { found: "11.4".parse().unwrap(), wanted: "11.4.2".parse().unwrap() };
        for (agent, expected) in [
            (None, Some(Withheld::AgentUnknown)),
            (Some(Agent::default()), Some(Withheld::AgentUnknown)),
            (Some(Agent { version: None, ..agent("1", Platform::Linux) }), Some(Withheld::AgentUnknown)),
            (Some(agent("12", Platform::MacOs)), Some(Withheld::Platform(Platform::MacOs))),
            (Some(agent("11.4", Platform::Linux)), Some(old)),
            (Some(agent("11.4.2", Platform::Linux)), None),
            (Some(agent("v11.10", Platform::Linux)), None),
        ] {
            assert_eq!(withheld(&policy.targets, &policy.elevation, agent.as_ref()), expected, "{agent:?}");
        }
    }

    #[test]
    fn what_no_agent_can_enforce_is_withheld_from_it() {
        type Change = (fn(&mut Elevation), &'static str);
        let changes: [Change; 3] = [
            (|e| e.mode = Mode::Allowlisting, "allowlisting"),
            (|e| e.protections = [Protection::Agent].into(), "protect"),
            (|e| e.on_expiry = OnExpiry::LogOff, "logoff"),
        ];
        for (change, word) in changes {
            let mut policy = fixture::policy();
            change(&mut policy.elevation);
            let mut agent = agent("1", Platform::Linux);
            let judged = |agent: Option<&Agent>| withheld(&policy.targets, &policy.elevation, agent);
            assert_eq!(judged(None), Some(Withheld::AgentUnknown));
            assert_eq!(judged(Some(&agent)), Some(Withheld::Incapable(word)));
            agent.capabilities.insert(word.to_owned());
            assert_eq!(judged(Some(&agent)), None);
        }
    }
}
