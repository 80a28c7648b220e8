//! From a client certificate to the endpoint that calls: one function per check. The certificate alone decides the scope; no
//! path or body names an endpoint.

use rustls::pki_types::CertificateDer;
use tidegate_core::interval::Instant;
use tidegate_core::name::{FleetName, Uid};
use tidegate_core::spiffe::EndpointId;
use tidegate_core::wire::ProblemCode;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::error::HttpError;
use super::index::EndpointKey;

/// What the client of this connection showed. The handshake proved possession, issuer and purpose; the rest is checked per
/// request, for a connection lives longer than what it was admitted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// No certificate: enough for `/v1/trust` and `/v1/enroll`.
    Anonymous,
    /// A certificate of ours.
    Certified {
        /// Whom it names, or why it names nobody.
        id: Result<EndpointId, String>,
        /// First second at which it is no longer valid.
        not_after: Instant,
    },
}

/// An endpoint whose certificate passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Fleet and name.
    pub key: EndpointKey,
    /// The uid in its certificate, which is that of the object.
    pub uid: Uid,
}

// === impl Peer ===

impl Peer {
    /// Reads the certificate that a client showed in the handshake.
    #[must_use]
    pub fn from_chain(chain: Option<&[CertificateDer<'_>]>) -> Self {
        let Some(leaf) = chain.and_then(<[_]>::first) else {
            return Self::Anonymous;
        };
        match X509Certificate::from_der(leaf) {
            Ok((_, certificate)) => {
                let last = Instant::from_second(certificate.validity().not_after.timestamp());
                Self::Certified { id: subject(&certificate), not_after: last.plus(std::time::Duration::from_secs(1)) }
            }
            Err(error) => Self::Certified { id: Err(error.to_string()), not_after: Instant::from_second(0) },
        }
    }
}

fn subject(certificate: &X509Certificate<'_>) -> Result<EndpointId, String> {
    let names = certificate.subject_alternative_name().map_err(|e| e.to_string())?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let [GeneralName::URI(uri)] = names else {
        return Err("its subject alternative name is not one URI".to_owned());
    };
    uri.parse::<EndpointId>().map_err(|e| e.to_string())
}

/// Who calls? `uid_of` answers the uid of the ManagedEndpoint of this name, if there is one.
///
/// # Errors
/// `CertificateRequired` without a certificate, else `CertificateVoid`.
pub fn authenticate(
    peer: &Peer,
    trust_domain: &str,
    now: Instant,
    uid_of: impl FnOnce(&EndpointKey) -> Option<Uid>,
) -> Result<Caller, HttpError> {
    let (id, not_after) = shown(peer)?;
    still_valid(not_after, now)?;
    let (id, uid) = named(id)?;
    of_this_installation(id, trust_domain)?;
    let key = EndpointKey { fleet: id.fleet.clone(), name: id.endpoint.clone() };
    same_object(&key, uid, uid_of(&key))?;
    Ok(Caller { key, uid: uid.clone() })
}

fn shown(peer: &Peer) -> Result<(&Result<EndpointId, String>, Instant), HttpError> {
    match peer {
        Peer::Certified { id, not_after } => Ok((id, *not_after)),
        Peer::Anonymous => Err(HttpError::new(
            ProblemCode::CertificateRequired,
            "This route needs the endpoint's client certificate; POST /v1/enroll gives one.",
        )),
    }
}

fn still_valid(not_after: Instant, now: Instant) -> Result<(), HttpError> {
    if now < not_after {
        return Ok(());
    }
    Err(void(format!("The certificate was valid until {not_after}. Enrol again.")))
}

fn named(id: &Result<EndpointId, String>) -> Result<(&EndpointId, &Uid), HttpError> {
    let unnamed = || void("The certificate does not name an endpoint. Enrol again.".to_owned());
    let id = id.as_ref().map_err(|cause| unnamed().because(cause))?;
    Ok((id, id.uid.as_ref().ok_or_else(unnamed)?))
}

fn of_this_installation(id: &EndpointId, trust_domain: &str) -> Result<(), HttpError> {
    if id.trust_domain == trust_domain {
        return Ok(());
    }
    Err(void(format!("The certificate belongs to another installation, not to {trust_domain}. Enrol again.")))
}

fn same_object(key: &EndpointKey, uid: &Uid, existing: Option<Uid>) -> Result<(), HttpError> {
    let EndpointKey { fleet, name } = key;
    match existing {
        Some(existing) if existing == *uid => Ok(()),
        Some(_) => Err(void(format!("ManagedEndpoint {name} in {fleet} was created anew. Enrol again."))),
        None => Err(void(no_such_endpoint(fleet, name.as_str()))),
    }
}

/// The text for an endpoint that does not exist.
pub(super) fn no_such_endpoint(fleet: &FleetName, name: &str) -> String {
    format!("There is no ManagedEndpoint {name} in namespace {fleet}. Create it, or correct the name, and enrol again.")
}

fn void(text: String) -> HttpError {
    HttpError::new(ProblemCode::CertificateVoid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "spiffe://tidegate.test/fleet/berlin/endpoint/ws-042/uid-1";

    fn peer(name: &str) -> Peer {
        Peer::Certified { id: name.parse().map_err(|e| format!("{e}")), not_after: Instant::from_second(1000) }
    }

    fn code(peer: &Peer, now: i64, uid: Option<&str>) -> Result<Caller, ProblemCode> {
        let uid = uid.map(|uid| uid.parse().unwrap());
        authenticate(peer, "tidegate.test", Instant::from_second(now), |_| uid).map_err(|e| e.code)
    }

    #[test]
    fn the_certificate_of_an_existing_endpoint_names_the_caller() {
        let caller = code(&peer(NAME), 999, Some("uid-1")).unwrap();
        assert_eq!(
            (caller.key.fleet.as_str(), caller.key.name.as_str(), caller.uid.as_str()),
            ("berlin", "ws-042", "uid-1")
        );
    }

    #[test]
    fn every_check_can_refuse() {
        assert_eq!(code(&Peer::Anonymous, 0, Some("uid-1")), Err(ProblemCode::CertificateRequired));
        let void = Err(ProblemCode::CertificateVoid);
        assert_eq!(code(&peer(NAME), 1000, Some("uid-1")), void, "expired");
        assert_eq!(
            code(&peer("spiffe://tidegate.test/fleet/berlin/endpoint/ws-042"), 0, Some("uid-1")),
            void,
            "no uid"
        );
        assert_eq!(code(&peer("https://example.com"), 0, Some("uid-1")), void, "no endpoint's name");
        assert_eq!(code(&peer(&NAME.replace("tidegate.test", "other")), 0, Some("uid-1")), void, "other trust domain");
        assert_eq!(code(&peer(NAME), 0, Some("uid-2")), void, "re-created");
        assert_eq!(code(&peer(NAME), 0, None), void, "gone");
    }
}
