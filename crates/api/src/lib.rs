//! The kinds of `tidegate.dev/v1alpha1` as Rust structs: what they mean is decided in core, after `convert.rs`. The files in
//! `crds/` are generated from here; every bound and message a user meets stands beside its field. `compat` and `reference`
//! read the definitions for `make lint` and `make generate`.
#![deny(missing_docs)]

pub mod compat;
pub mod names;
pub mod reference;

mod access;
mod application;
mod approval;
mod counts;
mod elevation;
mod elevation_request;
mod fleet;
mod jit_policy;
mod lock;
mod managed_endpoint;
mod path;
mod schema;
mod signed;
mod targets;

pub use access::{
    Access, AccessType, DurationRange, Fixed, OnRequest, ReasonRule, Recurring, TicketRule, Weekday, WeeklyWindow,
    Window,
};
pub use application::{
    Application, ApplicationRule, ClsidRule, FileHashRule, FolderPathRule, NamedRule, ProductRule, StoreAppRule,
};
pub use approval::{ApprovalTerms, AutomaticRule, Stage};
pub use counts::RequestCounts;
pub use elevation::{Authentication, ChildProcesses, Elevation, ElevationMode, ElevationScope, OnExpiry, Protection};
pub use elevation_request::{
    Approval, ArgumentMatch, Attestation, Decision, DecisionVerb, ElevationRequest, ElevationRequestSpec,
    ElevationRequestStatus, PinnedPolicy, RequestEndpoint, RequestedApplication, StageApproval,
};
pub use fleet::{Blocklist, Fleet, FleetAccount, FleetEndpointCounts, FleetSpec, FleetStatus};
pub use jit_policy::{AccessSpan, EndpointCounts, JitPolicy, JitPolicySpec, JitPolicyStatus};
pub use lock::{Lock, LockEffect, LockSpec, LockStatus, LockTarget};
pub use managed_endpoint::{
    Account, AgentFacts, Applied, Certificate, Contact, GrantReport, ManagedEndpoint, ManagedEndpointSpec,
    ManagedEndpointStatus, Rejected,
};
pub use signed::{Envelope, Signature, Signed};
pub use targets::{AccountExceptions, AccountTargets, EndpointTargets, Platform, Targets};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// Every CustomResourceDefinition of ours, ready to install, in a fixed order.
#[must_use]
pub fn all_crds() -> Vec<CustomResourceDefinition> {
    vec![
        schema::clean(JitPolicy::crd()),
        schema::clean(ElevationRequest::crd()),
        schema::clean(ManagedEndpoint::crd()),
        schema::clean(Fleet::crd()),
        schema::clean(Lock::crd()),
    ]
}
#[cfg(test)]
mod tests;
