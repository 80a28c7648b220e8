//! What a JitPolicy lets people run with elevated rights, and how: `spec.elevation`.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::application::Application;
use crate::schema;

/// What may be run with elevated rights, and how.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.scope) || self.mode in ['Application', 'Allowlisting']")
    .message("scope belongs to the modes Application and Allowlisting"))]
#[x_kube(validation = Rule::new("!has(self.applications) || size(self.applications) == 0 \
    || self.mode in ['Application', 'Allowlisting']")
    .message("applications belong to the modes Application and Allowlisting"))]
#[x_kube(validation = Rule::new("!(self.mode in ['Application', 'Allowlisting']) || (has(self.scope) && self.scope == 'Any') \
    || (has(self.applications) && size(self.applications) > 0)")
    .message("list at least one application, or say scope: Any"))]
#[x_kube(validation = Rule::new("!(has(self.scope) && self.scope == 'Any') || !has(self.applications) \
    || size(self.applications) == 0")
    .message("scope: Any takes no applications: leave them out, or say scope: Listed"))]
#[x_kube(validation = Rule::new("!has(self.includeBlocklisted) || !self.includeBlocklisted || self.mode == 'Allowlisting'")
    .message("includeBlocklisted belongs to mode Allowlisting"))]
pub struct Elevation {
    /// Allowlisting: programs that no allowlist manages may be run. Application: the programs of scope may be run elevated.
    /// AnyApplication: any program may be run elevated. AdminSession: a whole session with administrator rights. May grow.
    pub mode: ElevationMode,
    /// Listed (default): what applications lists. Any: with mode Application every program that no blocklist of the Fleet names,
    /// with Allowlisting every unmanaged one. For these two modes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ElevationScope>,
    /// With mode Allowlisting: also programs that a blocklist of the Fleet names, unless that is absolute. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub include_blocklisted: bool,
    /// The programs of scope Listed, 1 to 64. A program is allowed if it matches any item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub applications: Vec<Application>,
    /// The account on the endpoint that elevated programs run as. Default root.
    #[serde(default = "default_run_as")]
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT))]
    pub run_as: String,
    /// Required (default): people prove who they are with their own password before each elevation. None: they do not.
    #[serde(default)]
    pub authentication: Authentication,
    /// Track (default): what an elevated program starts is elevated too and ends with the grant. Deny: it may start nothing.
    #[serde(default)]
    pub child_processes: ChildProcesses,
    /// What elevated programs are kept from. PrivilegedAccounts: changing who is an administrator. Agent: stopping or changing the
    /// agent. May grow; an agent that cannot enforce one does not get the policy. Default: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub protections: Vec<Protection>,
    /// What happens when access ends. Revoke: nothing new starts. Terminate (default): what was started with elevated rights is
    /// ended too, unsaved work is lost. LogOff: the person is logged off as well.
    #[serde(default)]
    pub on_expiry: OnExpiry,
}

fn default_run_as() -> String {
    "root".to_owned()
}

/// The kinds of elevation. May grow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ElevationMode {
    /// Programs that no allowlist manages may be run.
    Allowlisting,
    /// Chosen programs may be run with elevated rights.
    Application,
    /// Any program may be run with elevated rights.
    AnyApplication,
    /// A whole session with administrator rights.
    AdminSession,
}

/// Which programs a mode is about.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ElevationScope {
    /// Those in the list.
    #[default]
    Listed,
    /// All that no blocklist names (Application), all that nothing manages (Allowlisting).
    Any,
}

/// Whether people prove who they are before an elevation.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Authentication {
    /// With their own password.
    #[default]
    Required,
    /// They do not.
    None,
}

/// What an elevated program may start.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum ChildProcesses {
    /// Anything; it is tracked and ended with the grant.
    #[default]
    Track,
    /// Nothing.
    Deny,
}

/// What elevated programs are kept from. May grow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum Protection {
    /// Changing who is an administrator.
    PrivilegedAccounts,
    /// Stopping or changing the agent.
    Agent,
}

/// What happens when access ends, each step including the one before.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum OnExpiry {
    /// Nothing new starts.
    Revoke,
    /// What was started with elevated rights is ended.
    #[default]
    Terminate,
    /// The person is logged off.
    LogOff,
}
