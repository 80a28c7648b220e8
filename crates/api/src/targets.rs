//! Where and for whom something applies: endpoints, accounts, platforms. JitPolicy, Fleet and Lock say it alike.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Where and for whom a policy applies: all of it must be met.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Targets {
    /// The endpoints: exactly one of names and selector.
    pub endpoints: EndpointTargets,
    /// The accounts on those endpoints: everyone, or names and/or groups.
    pub accounts: AccountTargets,
    /// The operating systems the policy is for: Linux, Windows, macOS (may grow). Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub platforms: Vec<Platform>,
    /// The oldest agent that receives the policy, such as 11.4.2, compared number by number. An older or unknown agent never
    /// gets it and keeps all its others; status.endpoints.withheld counts it. Default: any agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::VERSION))]
    pub min_agent_version: Option<String>,
}

/// Operating systems. May grow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Platform {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// macOS.
    #[serde(rename = "macOS")]
    MacOs,
}

/// Endpoints of the fleet, by name or by label.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.names) != has(self.selector)")
    .message("give exactly one of names and selector (selector: {} is every endpoint of the fleet)"))]
pub struct EndpointTargets {
    /// Names of ManagedEndpoints, 1 to 256. A name that does not exist yet is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 253), regex(pattern = schema::OBJECT_NAME)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Selects ManagedEndpoints by their labels; {} selects every endpoint of the fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
}

/// Accounts on the endpoints.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.everyone) && self.everyone) != (has(self.names) || has(self.groups))")
    .message("give either everyone: true, or names and/or groups"))]
pub struct AccountTargets {
    /// Every account whose person is known (listed in ManagedEndpoint or Fleet). Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everyone: bool,
    /// Login names on the endpoint, 1 to 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Groups recorded with the account in ManagedEndpoint or Fleet (not the operating system's groups), 1 to 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub groups: Vec<String>,
    /// Accounts left out although they are meant above. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<AccountExceptions>,
}

/// Accounts left out.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountExceptions {
    /// Login names that are left out, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// Groups that are left out, at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub groups: Vec<String>,
}
