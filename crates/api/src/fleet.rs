//! Fleet: the settings of a namespace. There is one, called `fleet`; the controller creates it where it is missing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::application::Application;
use crate::counts::RequestCounts;
use crate::schema;
use crate::signed::Signed;
use crate::targets::{EndpointTargets, Platform};

/// What holds for the whole namespace. Written by people who administer policies.
#[derive(Clone, CustomResource, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tidegate.dev",
    version = "v1alpha1",
    kind = "Fleet",
    plural = "fleets",
    category = "tidegate",
    namespaced,
    status = "FleetStatus",
    derive = "PartialEq",
    doc = "Fleet holds the settings of its namespace: how many requests a person may have open, who is who, and what no \
           policy allows. There is one, called fleet, and the controller creates it where it is missing and somebody asks or a \
           computer has joined. Deleting it ends all access that was granted in the namespace and takes accounts and blocklists away.",
    validation = Rule::new("self.metadata.name == 'fleet'").message("a namespace has one Fleet, and its name is fleet"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Whether the settings are in force, in one word."
    ),
    printcolumn(
        name = "Endpoints",
        type_ = "integer",
        json_path = ".status.endpoints.total",
        description = "Endpoints in the namespace."
    ),
    printcolumn(
        name = "Up-To-Date",
        type_ = "integer",
        json_path = ".status.endpoints.upToDate",
        description = "Endpoints whose agent has applied what it was last given. Not reported by this version."
    ),
    printcolumn(
        name = "Reachable",
        type_ = "integer",
        json_path = ".status.endpoints.reachable",
        description = "Endpoints whose agent is in contact with a gateway. Not reported by this version."
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        json_path = ".status.requests.pending",
        description = "Requests that wait for decisions."
    ),
    printcolumn(
        name = "Active",
        type_ = "integer",
        json_path = ".status.requests.active",
        description = "Requests whose access applies now."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        description = "The same for people.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct FleetSpec {
    /// What the fleet is, for people. At most 1,024 characters; default: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub description: String,
    /// How many requests of one person may be Pending or Scheduled at once, 1 to 16. One more is declined
    /// (TooManyOpenRequests). Default 1.
    #[serde(default = "default_max_open_requests")]
    #[schemars(range(min = 1, max = 16))]
    pub max_open_requests: i64,
    /// How long the list of what is in force may be relied on, 1m to 24h; it is signed anew before half of that has passed. A
    /// gateway that lies can hide a revocation for this and the policy's offlineTolerance; after that nothing new starts, and what
    /// runs ends at its own end. Default 15m.
    #[serde(default = "default_freshness")]
    #[schemars(schema_with = "schema::duration")]
    #[x_kube(validation = crate::schema::duration_between("1m", "24h"))]
    pub freshness: String,
    /// Who is who on many endpoints, at most 512. An endpoint's own list wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub accounts: Vec<FleetAccount>,
    /// Programs that policies leave out, at most 16 lists. A policy with mode AnyApplication or AdminSession heeds only those that
    /// are absolute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub blocklists: Vec<Blocklist>,
}

impl Default for FleetSpec {
    fn default() -> Self {
        Self {
            description: String::new(),
            max_open_requests: default_max_open_requests(),
            freshness: default_freshness(),
            accounts: Vec::new(),
            blocklists: Vec::new(),
        }
    }
}

fn default_max_open_requests() -> i64 {
    1
}

fn default_freshness() -> String {
    "15m".to_owned()
}

/// A login on several endpoints and the person behind it.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetAccount {
    /// The login name, at most 256 characters. The same name may be another person on other endpoints.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT))]
    pub name: String,
    /// The person's user names in Kubernetes, 1 to 16. The first is the main one; all of them are the same person, who may not
    /// approve their own requests.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 253), regex(pattern = schema::IDENTITY)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub identities: Vec<String>,
    /// Groups of this account that policies can name, at most 64. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub groups: Vec<String>,
    /// The endpoints where this login is that person: exactly one of names and selector.
    pub endpoints: EndpointTargets,
}

/// Programs that are left out where a policy allows any.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocklist {
    /// What the list is called in messages: a DNS label of at most 63 characters, unique in the fleet.
    #[schemars(length(min = 1, max = 63), regex(pattern = schema::LABEL_NAME))]
    pub name: String,
    /// The endpoints it is for: exactly one of names and selector.
    pub endpoints: EndpointTargets,
    /// The operating systems it is for: Linux, Windows, macOS (may grow). Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub platforms: Vec<Platform>,
    /// The programs, 1 to 64. One that cannot be told from an item counts as blocked.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub applications: Vec<Application>,
    /// True: no policy and no grant overrides the list. False (default): it acts as an exception of every policy of mode
    /// Application, and of Allowlisting without includeBlocklisted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absolute: bool,
}

/// How the fleet stands. Written by the controller only.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetStatus {
    /// The metadata.generation this status is about; -1 until the controller has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Ready: the settings of this generation are signed and in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// How the endpoints of the namespace stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<FleetEndpointCounts>,
    /// How many requests of the namespace are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestCounts>,
    /// What is in force and what is revoked, signed anew every spec.freshness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// Numbers of endpoints, a few seconds old at most.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetEndpointCounts {
    /// Endpoints in the namespace.
    #[schemars(range(min = 0))]
    pub total: i64,
    /// Endpoints whose agent has applied what it was last given. Not reported by this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub up_to_date: Option<i64>,
    /// Endpoints whose agent is in contact with a gateway. Not reported by this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub reachable: Option<i64>,
}
