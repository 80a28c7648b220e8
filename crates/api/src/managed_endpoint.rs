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
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner", description = "Whose computer it is."),
    printcolumn(
        name = "Certificate",
        type_ = "string",
        json_path = ".status.certificate.expirationTime",
        description = "Until when the certificate is valid (UTC)."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Enrolled\")].message",
        description = "The same for people.",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ManagedEndpointSpec {
    /// The Kubernetes user whose computer this is; may not approve requests for it. Default: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::IDENTITY))]
    pub owner: Option<String>,
    /// Who is who: the accounts on this computer that may be elevated, at most 64. An account that is not here gets nothing.
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

/// What is known of the endpoint. Written by the controller only.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedEndpointStatus {
    /// The metadata.generation this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Enrolled (reasons when False: NeverJoined, Expired).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// The certificate that was issued last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// The placement, signed: fleet, name, uid, labels and accounts of this endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
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
