//! The whole of Tidegate as it is shipped: the binaries, the manifests, the agent, and people with kubectl, on a real API
//! server. The walkthroughs of the architecture are tests here.

mod agent;
mod ahead;
mod clocks;
mod dashboard;
mod deletion;
mod enrolment;
mod expiry;
mod fleet;
mod gateways;
mod gitops;
mod grant;
mod guard;
mod installation;
mod leader;
mod limits;
mod locks;
mod logs;
mod people;
mod poll;
mod retention;
mod revocation;
mod rights;
mod stages;
mod suspended;
mod takeover;
mod traces;
mod uninstall;
mod writes;
