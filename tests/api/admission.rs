//! Every attempt of admission.md's table, on the real API server, one test a row. The attempts are made by people whom RBAC
//! allows them, so that only admission can refuse.

mod creation;
mod form;
mod rights;
mod stamping;
mod status;
mod tampering;

/// The policy that judges requests and decisions.
const DECISIONS: &str = "decisions.tidegate.dev";
