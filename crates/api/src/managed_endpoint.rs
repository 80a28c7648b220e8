//! ManagedEndpoint: a managed computer, who its accounts belong to, and what its agent has proven.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::schema;
use crate::signed::Signed;

/// Whose computer it is and who its accounts are. Written by people who administer endpoints; labels on the object are
/// what policies select by.
#[expect(clippy::duplicated_attributes, reason = "the lint takes the columns' arguments for attributes")]
#[derive(Clone, CustomResource, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[kube(
    group = "tidegate.dev",
    version = "v1alpha1",
    kind = "ManagedEndpoint",
    plural = "managedendpoints",
    category = "tidegate",
    namespaced,
    status = "ManagedEndpointStatus",
    derive = "PartialEq",
    doc = "ManagedEndpoint is a computer of the fleet (its namespace) that runs the agent. Its labels are the groups that \
           policies select; spec.accounts says which person is behind which login.",
    printcolumn(
        name = "Enrolled",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Enrolled\")].status",
        description = "Whether the agent has a valid certificate."
    ),
    printcolumn(
        name = "Up-To-Date",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"UpToDate\")].status",
        description = "Whether the agent has applied what it was last given. Not reported by this version."
    ),
    printcolumn(
        name = "Reachable",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Reachable\")].status",
        description = "Whether the agent is in contact with a gateway. Not reported by this version."
    ),
    printcolumn(
        name = "Locked",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Locked\")].status",
        description = "Whether a Lock stops access on it."
    ),
    printcolumn(
        name = "Agent",
        type_ = "string",
        json_path = ".status.agent.version",
        description = "The agent's version."
    ),
    printcolumn(
        name = "Platform",
        type_ = "string",
        json_path = ".status.agent.platform",
        description = "The operating system."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Owner",
        type_ = "string",
        json_path = ".spec.owner",
        description = "Whose computer it is.",
        priority = 1
    ),
    printcolumn(
        name = "Certificate",
        type_ = "string",
        json_path = ".status.certificate.expirationTime",
        description = "Until when the certificate is valid (UTC).",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Enrolled\")].message",
        description = "Whether it is enrolled and what to do, for people.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ManagedEndpointSpec {
    /// The Kubernetes user whose computer this is; may not approve requests for it. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::IDENTITY))]
    pub owner: Option<String>,
    /// Who is who: the accounts on this computer that may be elevated, at most 64. An account that neither this list nor the
    /// Fleet's maps gets nothing; this list wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_owned()]))]
    pub accounts: Vec<Account>,
}

/// A login on the computer and the person behind it.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The login name, at most 256 characters.
    #[schemars(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT))]
    pub name: String,
    /// The person's user names in Kubernetes, 1 to 16. The first is the main one; all of them are the same person, who may
    /// not approve their own requests.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 253), regex(pattern = schema::IDENTITY)))]
    pub identities: Vec<String>,
    /// Groups of this account that policies can name, at most 64. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = schema::ACCOUNT)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub groups: Vec<String>,
}

/// What is known of the endpoint. The controller writes observedGeneration, conditions, certificate and signed; the gateway the
/// rest, which is the agent's word.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedEndpointStatus {
    /// The metadata.generation this status is about; -1 until the controller has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub observed_generation: Option<i64>,
    /// Enrolled (False: NeverJoined, Expired, KeyReused), Locked; UpToDate (False: Pending, Rejected)
    /// and Reachable, which this version does not report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// When contact with the agent began and was lost. Written only when it changes; there is no heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// What the agent says of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentFacts>,
    /// The certificate that was issued last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// What the agent has applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// What the agent refused last. Absent when it refused nothing since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
    /// The grants that the agent has put in place or ended, at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["requestUID".to_owned()]))]
    pub grants: Vec<GrantReport>,
    /// The placement, signed: fleet, name, uid, labels and accounts of this endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// Contact between agent and gateway.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// When the current contact, or the last one, began (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub start_time: Option<Time>,
    /// When contact was lost (UTC). Absent while there is contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub lost_time: Option<Time>,
}

/// What an agent says of itself, unproven. What it leaves out or says in a form nobody knows counts as unknown.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentFacts {
    /// Its version, such as 11.4.2; compared with targets.minAgentVersion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::ACCOUNT))]
    pub version: Option<String>,
    /// The operating system: Linux, Windows or macOS; compared with targets.platforms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = schema::IDENTITY))]
    pub platform: Option<String>,
    /// The processor, such as x86_64 or aarch64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = schema::IDENTITY))]
    pub architecture: Option<String>,
    /// What it can enforce, as measured by its self-test, at most 64 words. A policy that needs more is withheld.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64), regex(pattern = schema::IDENTITY)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub capabilities: Vec<String>,
}

/// What an agent has applied.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The manifest's digest.
    #[schemars(length(equal = 71), regex(pattern = schema::SHA256))]
    pub manifest: String,
    /// When the agent said so (UTC).
    #[schemars(schema_with = "schema::instant")]
    pub time: Time,
}

/// What an agent refused.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The digest of the manifest or of the part.
    #[schemars(length(equal = 71), regex(pattern = schema::SHA256))]
    pub digest: String,
    /// Why, as a code of the agent protocol, such as bad_signature or not_enforceable. May grow.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z][a-z0-9_]*$"))]
    pub code: String,
    /// Why, for people. At most 512 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512), regex(pattern = schema::ONE_LINE))]
    pub message: String,
}

/// What an agent says of one grant.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantReport {
    /// metadata.uid of the ElevationRequest, or of the JitPolicy for access granted ahead.
    #[serde(rename = "requestUID")]
    #[schemars(length(min = 1, max = 64), regex(pattern = schema::UID))]
    pub request_uid: String,
    /// When it was put in place (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub applied_time: Option<Time>,
    /// When it was ended (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::instant")]
    pub ended_time: Option<Time>,
    /// How many processes were ended with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub terminated_processes: Option<i64>,
}

/// A certificate that an endpoint's agent holds.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Its serial number, in lower case hex.
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[0-9a-f]+$"))]
    pub serial_number: String,
    /// SHA-256 of the public key (SubjectPublicKeyInfo, DER), as sha256:<64 lower case hex digits>.
    #[schemars(length(equal = 71), regex(pattern = schema::SHA256))]
    pub public_key_digest: String,
    /// When it ends (UTC).
    #[schemars(schema_with = "schema::instant")]
    pub expiration_time: Time,
}
