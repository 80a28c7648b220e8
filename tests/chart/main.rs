//! The Helm chart, by the real helm: what it renders, which values it refuses, and what a cluster makes of it. Run by `make test-chart`, which
//! has helm and kubeconform built; `server` needs a control plane too, and runs on both ends of the supported range.

#[expect(dead_code, reason = "written for the walkthroughs; an upgrade needs one of them")]
#[path = "../e2e/agent.rs"]
mod agent;
#[expect(dead_code, reason = "written for the walkthroughs; an upgrade needs one of them")]
#[path = "../e2e/fleet.rs"]
mod fleet;
mod helm;
#[expect(dead_code, reason = "written for the walkthroughs; an upgrade needs one of them")]
#[path = "../e2e/installation.rs"]
mod installation;
mod labels;
mod package;
mod renders;
mod server;
mod values;
