//! The identity inside an endpoint's certificate: `spiffe://<trust domain>/fleet/<namespace>/endpoint/<name>[/<uid>]`,
//! as the SPIFFE-ID specification writes it. The certificate alone decides what a caller may see, so nothing else is
//! accepted.

use std::fmt;
use std::str::FromStr;

use crate::name::{EndpointName, EndpointRef, FleetName, NameError, Named, Uid};

/// The longest SPIFFE id, in bytes (SPIFFE-ID section 2.3).
pub const MAX_ID: usize = 2048;
/// The longest trust domain, in bytes (SPIFFE-ID section 2.3).
pub const MAX_TRUST_DOMAIN: usize = 255;

/// An endpoint as certificates name it. A certificate request has no uid, a certificate always has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    /// The installation: 1 to 255 lower case letters, digits, `.`, `-` and `_`.
    pub trust_domain: String,
    /// The namespace.
    pub fleet: FleetName,
    /// The ManagedEndpoint.
    pub endpoint: EndpointName,
    /// Its `metadata.uid`; a re-created ManagedEndpoint has another one, so the old certificate is void.
    pub uid: Option<Uid>,
}

/// Why a string is not an endpoint's identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    /// Longer than [`MAX_ID`].
    #[error("the identity has {0} bytes, at most {MAX_ID} are allowed")]
    TooLong(usize),
    /// Not of the form that this module's header shows.
    #[error("the identity is not spiffe://<trust domain>/fleet/<namespace>/endpoint/<name>[/<uid>]")]
    Form,
    /// The trust domain has characters or a length that SPIFFE does not allow.
    #[error("the trust domain is not 1 to {MAX_TRUST_DOMAIN} lower case letters, digits, '.', '-' and '_'")]
    TrustDomain,
    /// One of the names is not one.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Is this a trust domain as SPIFFE allows it: 1 to 255 lower case letters, digits, `.`, `-` and `_`?
#[must_use]
pub fn is_trust_domain(text: &str) -> bool {
    (1..=MAX_TRUST_DOMAIN).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'))
}

impl EndpointId {
    /// The endpoint by name and uid, where the identity has one.
    #[must_use]
    pub fn reference(&self) -> Option<EndpointRef> {
        Some(Named { name: self.endpoint.clone(), uid: self.uid.clone()? })
    }
}

impl FromStr for EndpointId {
    type Err = SpiffeError;
    fn from_str(text: &str) -> Result<Self, SpiffeError> {
        if text.len() > MAX_ID {
            return Err(SpiffeError::TooLong(text.len()));
        }
        let path: Vec<&str> = text.strip_prefix("spiffe://").ok_or(SpiffeError::Form)?.split('/').collect();
        let (trust_domain, fleet, endpoint, uid) = match path.as_slice() {
            [domain, "fleet", fleet, "endpoint", endpoint] => (*domain, *fleet, *endpoint, None),
            [domain, "fleet", fleet, "endpoint", endpoint, uid] => (*domain, *fleet, *endpoint, Some(*uid)),
            _ => return Err(SpiffeError::Form),
        };
        if !is_trust_domain(trust_domain) {
            return Err(SpiffeError::TrustDomain);
        }
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            fleet: fleet.parse()?,
            endpoint: endpoint.parse()?,
            uid: uid.map(str::parse).transpose()?,
        })
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/fleet/{}/endpoint/{}", self.trust_domain, self.fleet, self.endpoint)?;
        self.uid.as_ref().map_or(Ok(()), |uid| write!(f, "/{uid}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_identity_is_read_with_and_without_uid() {
        let id: EndpointId = "spiffe://tidegate.local/fleet/berlin/endpoint/ws-042".parse().unwrap();
        assert_eq!(
            (id.trust_domain.as_str(), id.fleet.as_str(), id.endpoint.as_str()),
            ("tidegate.local", "berlin", "ws-042")
        );
        assert_eq!(id.reference(), None);
        let id: EndpointId = "spiffe://tidegate.local/fleet/berlin/endpoint/ws-042/u-1".parse().unwrap();
        assert_eq!(id.reference().unwrap().uid.as_str(), "u-1");
    }

    #[test]
    fn nothing_else_is_an_identity() {
        let long = format!("spiffe://{}/fleet/berlin/endpoint/ws-042", "a".repeat(MAX_TRUST_DOMAIN + 1));
        for bad in [
            "",
            "spiffe://",
            "https://tidegate.local/fleet/berlin/endpoint/ws-042",
            "SPIFFE://tidegate.local/fleet/berlin/endpoint/ws-042",
            "spiffe:///fleet/berlin/endpoint/ws-042",
            "spiffe://tidegate.local:443/fleet/berlin/endpoint/ws-042",
            "spiffe://user@tidegate.local/fleet/berlin/endpoint/ws-042",
            "spiffe://Tidegate.local/fleet/berlin/endpoint/ws-042",
            "spiffe://tidegate.local/fleet/berlin/endpoint",
            "spiffe://tidegate.local/fleet/berlin/endpoint/",
            "spiffe://tidegate.local/fleet//endpoint/ws-042",
            "spiffe://tidegate.local/fleet/berlin/endpoint/ws-042/",
            "spiffe://tidegate.local/fleet/berlin/endpoint/ws-042/u/1",
            "spiffe://tidegate.local/fleet/berlin/gateway/ws-042",
            "spiffe://tidegate.local/fleet/berlin/endpoint/../ws-042",
            "spiffe://tidegate.local/fleet/berlin/endpoint/ws%2D042",
            "spiffe://tidegate.local/fleet/berlin/endpoint/ws-042?x=1",
            "spiffe://tidegate.local/fleet/berlin/endpoint/ws-042#x",
            "spiffe://tidegate.local//fleet/berlin/endpoint/ws-042",
            " spiffe://tidegate.local/fleet/berlin/endpoint/ws-042",
            &long,
        ] {
            assert!(bad.parse::<EndpointId>().is_err(), "{bad:?}");
        }
        let longest = "a".repeat(MAX_ID + 1);
        assert_eq!(longest.parse::<EndpointId>(), Err(SpiffeError::TooLong(MAX_ID + 1)));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            domain in "[a-z0-9._-]{1,40}",
            fleet in "[a-z]([a-z0-9-]{0,8}[a-z0-9])?",
            endpoint in "[a-z]([a-z0-9.]{0,4}[a-z0-9])?(-[a-z0-9]{1,4})?",
            uid in prop::option::of("[a-zA-Z0-9-]{1,36}"),
        ) {
            let Ok(endpoint) = endpoint.parse() else { return Ok(()) };
            let id = EndpointId {
                trust_domain: domain,
                fleet: fleet.parse().unwrap(),
                endpoint,
                uid: uid.map(|uid| uid.parse().unwrap()),
            };
            prop_assert_eq!(id.to_string().parse::<EndpointId>(), Ok(id));
        }

        #[test]
        fn any_text_is_an_identity_or_refused_without_panic(
            text in prop_oneof!["\\PC{0,200}", "spiffe://[a-z./]{0,20}/fleet/[a-z/]{0,9}/endpoint/[a-z/-]{0,20}"],
        ) {
            if let Ok(id) = text.parse::<EndpointId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
