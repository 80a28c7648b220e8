//! Signing parts: once per change of content, with a sequence that never falls. Only the controller calls this.

use std::time::Duration;

use super::Envelope;
use crate::interval::Instant;
use crate::key::SigningKey;
use crate::keyring::KeyRing;
use crate::keyring::TrustedKey;
use crate::name::{Digest, FleetRef};
use crate::part::{Body, Header, Part, PartError, SCHEMA, next_sequence};

/// A stored sequence this far ahead of the clock is not believed.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// A signed part as `status.signed` holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// [`Envelope::digest`]
    pub digest: Digest,
    /// The header's `sequence`.
    pub sequence: u64,
    /// The part.
    pub envelope: Envelope,
}

/// Who signs, and for which fleet.
#[derive(Debug, Clone, Copy)]
pub struct Issuer<'a> {
    /// The installation.
    pub trust_domain: &'a str,
    /// The fleet that the parts belong to.
    pub fleet: &'a FleetRef,
    /// The controller's key.
    pub key: &'a SigningKey,
}

/// Why content was not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// It does not serialise.
    #[error(transparent)]
    Part(#[from] PartError),
    /// The stored sequence is more than a day ahead of `now`: the controller's clock was or is wrong, or the status was
    /// edited.
    #[error(
        "the stored sequence {stored} is more than a day ahead of the controller's clock: set the clock right, or wait, or \
         re-create the object, which gives it a new uid"
    )]
    SequenceAhead {
        /// The sequence found.
        stored: u64,
    },
}

/// Signs a part.
///
/// # Errors
/// [`PartError`] if the body does not serialise as a JSON object.
pub fn sign<B: Body>(body: B, header: Header, key: &SigningKey) -> Result<Signed, PartError> {
    let sequence = header.sequence;
    let envelope = Envelope::seal(B::KIND, Part { header, body }.to_bytes()?, key);
    Ok(Signed { digest: envelope.digest(), sequence, envelope })
}

/// Signs the content unless it is signed already. `None`: the previous part holds equal content and was signed by this
/// key for this fleet, so it stays. Else the sequence is above the previous one's, whoever signed that.
///
/// # Errors
/// [`SignError::SequenceAhead`]; [`SignError::Part`] if the body does not serialise.
pub fn sign_if_changed<B: Body + PartialEq>(
    previous: Option<&Signed>,
    body: B,
    issuer: Issuer<'_>,
    now: Instant,
) -> Result<Option<Signed>, SignError> {
    if previous.is_some_and(|signed| says_already(signed, &body, issuer)) {
        return Ok(None);
    }
    sign_next(previous, body, issuer, now).map(Some)
}

/// Signs the content under a sequence above the previous one's, whoever signed that.
///
/// # Errors
/// As [`sign_if_changed`].
pub fn sign_next<B: Body>(
    previous: Option<&Signed>,
    body: B,
    issuer: Issuer<'_>,
    now: Instant,
) -> Result<Signed, SignError> {
    let stored = previous.map(stored_sequence::<B>);
    let latest = next_sequence(Some(0), now.plus(MAX_AHEAD));
    if let Some(stored) = stored.filter(|stored| *stored > latest) {
        return Err(SignError::SequenceAhead { stored });
    }
    let header = Header {
        schema: SCHEMA,
        trust_domain: issuer.trust_domain.to_owned(),
        fleet: issuer.fleet.clone(),
        sequence: sequence_after::<B>(previous, now),
        issued_time: now,
    };
    Ok(sign(body, header, issuer.key)?)
}

/// The sequence of what is signed now after this.
#[must_use]
pub fn sequence_after<B: Body>(previous: Option<&Signed>, now: Instant) -> u64 {
    next_sequence(previous.map(stored_sequence::<B>), now)
}

fn says_already<B: Body + PartialEq>(signed: &Signed, body: &B, issuer: Issuer<'_>) -> bool {
    let own =
        TrustedKey { public_key: issuer.key.public_key(), roles: [B::KIND].into(), expiration_time: Instant::MAX };
    let ring = KeyRing::new(issuer.trust_domain, vec![own]);
    signed.digest == signed.envelope.digest()
        && signed.envelope.open::<B>(&ring).is_ok_and(|part| {
            part.header.fleet == *issuer.fleet && part.header.sequence == signed.sequence && part.body == *body
        })
}

/// The higher of what the status says and what was signed: neither alone survives an edit of the other.
fn stored_sequence<B: Body>(signed: &Signed) -> u64 {
    let inside = signed.envelope.read_unverified::<B>().map_or(0, |part| part.header.sequence);
    inside.max(signed.sequence)
}
