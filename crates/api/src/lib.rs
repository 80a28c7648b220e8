//! The kinds of `tidegate.dev/v1alpha1` as Rust structs, and nothing else: what they mean is decided in core, after
//! `convert.rs`. The files in `crds/` are generated from here; every bound and message a user meets stands beside its field.
#![deny(missing_docs)]

pub mod names;

mod elevation_request;
mod jit_policy;
mod managed_endpoint;
mod schema;
mod signed;

pub use elevation_request::{
    Approval, Decision, DecisionVerb, ElevationRequest, ElevationRequestSpec, ElevationRequestStatus, PinnedEndpoint,
    PinnedPolicy, StageApproval,
};
pub use jit_policy::{
    Access, AccessSpan, AccessType, AccountExceptions, AccountTargets, DurationRange, Elevation, ElevationMode,
    EndpointCounts, EndpointTargets, JitPolicy, JitPolicySpec, JitPolicyStatus, OnRequest, ReasonRule, Targets, Window,
};
pub use managed_endpoint::{Account, Certificate, ManagedEndpoint, ManagedEndpointSpec, ManagedEndpointStatus};
pub use signed::{Envelope, Signature, Signed};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// Every CustomResourceDefinition of ours, ready to install, in a fixed order.
#[must_use]
pub fn all_crds() -> Vec<CustomResourceDefinition> {
    vec![
        schema::clean(JitPolicy::crd(), true),
        schema::clean(ElevationRequest::crd(), false),
        schema::clean(ManagedEndpoint::crd(), false),
    ]
}
#[cfg(test)]
mod tests;
