//! What this agent is: its version, its platform and what it can enforce. The judgement of what may be used here and
//! the report to the gateway say the same.

use std::collections::BTreeSet;

use tidegate_core::endpoint::Agent;
use tidegate_core::target::Platform;
use tidegate_core::wire::AgentReport;

/// The version of this agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// This agent. It only watches, so it enforces nothing beyond what every agent does: no capabilities.
#[must_use]
pub fn agent() -> Agent {
    Agent { version: VERSION.parse().ok(), platform: platform(), capabilities: BTreeSet::new() }
}

/// The same for the gateway.
#[must_use]
pub fn facts() -> AgentReport {
    let Agent { version: _, platform, capabilities } = agent();
    AgentReport {
        version: VERSION.to_owned(),
        platform: platform.map_or_else(|| std::env::consts::OS.to_owned(), |platform| platform.to_string()),
        architecture: std::env::consts::ARCH.to_owned(),
        capabilities,
    }
}

/// The platform that this program was built for; none if it is none of ours.
#[must_use]
fn platform() -> Option<Platform> {
    match std::env::consts::OS {
        "linux" => Some(Platform::Linux),
        "windows" => Some(Platform::Windows),
        "macos" => Some(Platform::MacOs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_what_the_judgement_goes_by() {
        let facts = facts();
        assert_eq!((facts.version.as_str(), facts.platform.as_str()), (VERSION, "Linux"));
        assert_eq!(facts.capabilities, agent().capabilities);
    }

    #[test]
    fn policies_for_linux_and_for_agents_of_this_version_are_not_withheld() {
        let Agent { version, platform, capabilities } = agent();
        assert_eq!(version.map(String::from).as_deref(), Some(VERSION));
        assert_eq!((platform, capabilities.len()), (Some(Platform::Linux), 0));
    }
}
