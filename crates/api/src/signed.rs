//! What the controller signed, as it lies in the status of our kinds. The bytes are opaque here: core seals and opens them.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// A signed part: what gateways hand out and agents verify. Written by the controller only.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    /// SHA-256 of the decoded payload, as sha256:<64 lower case hex digits>: the part's name in manifests.
    #[schemars(length(equal = 71), regex(pattern = schema::SHA256))]
    pub digest: String,
    /// Rises with every signature over other content; an agent refuses a lower one. At least the milliseconds since 1970
    /// at signing.
    #[schemars(range(min = 0))]
    pub sequence: i64,
    /// The signed document itself (DSSE v1).
    pub envelope: Envelope,
}

/// A DSSE v1 envelope.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The media type of the payload, such as application/vnd.tidegate.policy.v1+json.
    #[schemars(length(min = 1, max = 128))]
    pub payload_type: String,
    /// The signed bytes, in base64: at most 256 KiB of them.
    #[schemars(length(max = 349_528), regex(pattern = schema::BASE64))]
    pub payload: String,
    /// The signatures over payload type and payload.
    #[schemars(length(min = 1, max = 4))]
    pub signatures: Vec<Signature>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, Deserialize, KubeSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// Names the key in the trust bundle.
    #[schemars(length(min = 1, max = 128))]
    pub keyid: String,
    /// The signature (Ed25519), in base64.
    #[schemars(length(max = 512), regex(pattern = schema::BASE64))]
    pub sig: String,
}
