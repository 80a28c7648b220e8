//! What the API server itself guarantees with the shipped manifests installed: schema, admission, RBAC. No process of ours
//! runs here. A refusal counts only if its message names the rule that refused.

mod admission;
mod adversary;
mod claims;
mod crds;
mod fleet;
mod manifests;
mod mutants;
mod probe;
mod refusals;
mod roles;
