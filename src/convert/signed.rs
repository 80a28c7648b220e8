//! Signed parts between the API's form and core's. Both have the same JSON: the bytes are never interpreted here.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_core::envelope;

use super::{ConvertError, parse};

/// A signed part from a status.
///
/// # Errors
/// A digest that is none, a negative sequence, or base64 that is not canonical.
pub fn signed(from: &tidegate_api::Signed) -> Result<envelope::Signed, ConvertError> {
    let bytes = |field: &str, text: &str| STANDARD.decode(text).map_err(|e| ConvertError::new(field, e));
    let signatures = from.envelope.signatures.iter().map(|s| {
        let sig = bytes("status.signed.envelope.signatures", &s.sig)?;
        Ok(envelope::Signature { keyid: s.keyid.clone(), sig })
    });
    Ok(envelope::Signed {
        digest: parse("status.signed.digest", &from.digest)?,
        sequence: u64::try_from(from.sequence).map_err(|e| ConvertError::new("status.signed.sequence", e))?,
        envelope: envelope::Envelope {
            payload_type: from.envelope.payload_type.clone(),
            payload: bytes("status.signed.envelope.payload", &from.envelope.payload)?,
            signatures: signatures.collect::<Result<_, ConvertError>>()?,
        },
    })
}

/// A signed part for a status.
#[must_use]
pub fn from_signed(signed: &envelope::Signed) -> tidegate_api::Signed {
    let signatures = signed.envelope.signatures.iter();
    tidegate_api::Signed {
        digest: signed.digest.to_string(),
        sequence: i64::try_from(signed.sequence).unwrap_or(i64::MAX),
        envelope: tidegate_api::Envelope {
            payload_type: signed.envelope.payload_type.clone(),
            payload: STANDARD.encode(&signed.envelope.payload),
            signatures: signatures
                .map(|s| tidegate_api::Signature { keyid: s.keyid.clone(), sig: STANDARD.encode(&s.sig) })
                .collect(),
        },
    }
}
