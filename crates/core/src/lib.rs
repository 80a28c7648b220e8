//! Everything Tidegate decides, as pure functions. `now` is always an argument; nothing here reads a clock, a file, the
//! network or the environment, so the controller, the agent and a test get the same answer from the same input.
//!
//! Vocabulary: a *policy* says what may happen; a *request* is one wish; a *decision* is one person's word on it; a *grant* is
//! the signed permission that an approved request receives. A *part* is a signed document named by its digest (policy,
//! grant, placement); a *manifest* lists one endpoint's parts; a *snapshot* is a manifest with all its parts, verified.
//!
//! Invariants: an error never grants; every interval is half-open `[start, end)` in whole UTC seconds; a final state stays
//! final; nothing of a payload is parsed before its signature is verified.
#![deny(missing_docs)]

pub mod acceptance;
pub mod access;
pub mod application;
pub mod approval;
pub mod attestation;
pub mod decision;
pub mod delivery;
pub mod elevation;
pub mod endpoint;
pub mod envelope;
pub mod fleet;
pub mod floor;
pub mod grant;
pub mod guard;
pub mod interval;
pub mod key;
pub mod keyring;
pub mod ledger;
pub mod lifecycle;
pub mod lock;
pub mod manifest;
pub mod name;
pub mod part;
pub mod placement;
pub mod policy;
pub mod reason;
pub mod recurring;
pub mod refusal;
pub mod request;
pub mod retention;
pub mod select;
pub mod snapshot;
pub mod spiffe;
pub mod state;
pub mod target;
pub mod timekeeping;
pub mod trust;
pub mod verdict;
pub mod version;
pub mod wire;
