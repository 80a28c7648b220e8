//! Every string that names something of ours in the Kubernetes API, once. Field names are not here: they are the structs'.

/// The API group of all our kinds.
pub const GROUP: &str = "tidegate.dev";

/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";

/// Prefix of the annotations that are decisions; what follows is the slot, counted from 1.
pub const DECISION_PREFIX: &str = "decision.tidegate.dev/";

/// The highest slot: admission lets nobody decide beyond it, so a higher one was written where nobody checked.
pub const MAX_SLOT: u32 = 64;

/// The annotation that the API server turns into the next decision (Kubernetes 1.36 and newer).
pub const DECIDE_ANNOTATION: &str = "tidegate.dev/decide";

/// The finalizer that keeps a request until its end is recorded. Only the controller removes it.
pub const REVOKE_FINALIZER: &str = "tidegate.dev/revoke";

/// The signer of endpoint certificates, `spec.signerName` of a CertificateSigningRequest.
pub const SIGNER_NAME: &str = "tidegate.dev/endpoint";

/// `reportingController` of our Events and field manager of our writes.
pub const CONTROLLER: &str = "tidegate-controller";

/// The ServiceAccount of the gateway.
pub const GATEWAY: &str = "tidegate-gateway";

/// The name of the one Fleet of a namespace.
pub const FLEET: &str = "fleet";

/// Condition types, `conditions[].type`.
pub mod condition {
    /// JitPolicy, Fleet, Lock: this generation is in force.
    pub const READY: &str = "Ready";
    /// JitPolicy, Fleet: something is expected to get better by itself, such as the signing key.
    pub const RECONCILING: &str = "Reconciling";
    /// JitPolicy, Fleet: nothing gets better until somebody changes the object.
    pub const STALLED: &str = "Stalled";

    /// ElevationRequest: the request may be decided.
    pub const ACCEPTED: &str = "Accepted";
    /// ElevationRequest: every stage has its approvals.
    pub const APPROVED: &str = "Approved";
    /// ElevationRequest: a person said no.
    pub const DENIED: &str = "Denied";
    /// ElevationRequest: access applies now; the reason is the word of `status.state`.
    pub const ACTIVE: &str = "Active";
    /// ElevationRequest: the endpoint's word; the reason is Waiting, Applied, NotEnforceable or Ended.
    pub const APPLIED: &str = "Applied";
    /// ElevationRequest: the state is final.
    pub const FINISHED: &str = "Finished";

    /// ManagedEndpoint: a certificate was issued and is valid.
    pub const ENROLLED: &str = "Enrolled";
    /// ManagedEndpoint: the agent has applied what it was last given.
    pub const UP_TO_DATE: &str = "UpToDate";
    /// ManagedEndpoint: the agent is in contact with a gateway.
    pub const REACHABLE: &str = "Reachable";
    /// ManagedEndpoint: a Lock stops access on it.
    pub const LOCKED: &str = "Locked";
}
