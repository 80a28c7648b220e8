//! Numbers that several kinds show in their status.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Numbers of requests, a few seconds old at most.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestCounts {
    /// Requests that wait for decisions.
    #[schemars(range(min = 0))]
    pub pending: i64,
    /// Requests whose access applies now.
    #[schemars(range(min = 0))]
    pub active: i64,
}
