//! Checked names: once a value has one of these types its bounds and characters are known to be right. Nothing here knows
//! whether the named thing exists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a string is not the name it should be. Display says what was wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {shown:?} is not valid: {expected}")]
pub struct NameError {
    what: &'static str,
    shown: String,
    expected: &'static str,
}

/// At most this many characters of a refused string are shown back.
const SHOWN: usize = 64;

fn check(what: &'static str, value: &str, expected: &'static str, ok: bool) -> Result<(), NameError> {
    if ok {
        return Ok(());
    }
    Err(NameError { what, shown: value.chars().take(SHOWN).collect(), expected })
}

/// RFC 1123 label or subdomain, as Kubernetes names its objects (1 to 253 bytes).
fn is_subdomain(s: &str) -> bool {
    !s.is_empty() && s.len() <= 253 && s.split('.').all(is_label_part)
}

fn is_label_part(s: &str) -> bool {
    let bytes = s.as_bytes();
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !bytes.is_empty()
        && bytes.iter().all(|b| alnum(b) || *b == b'-')
        && bytes.first().is_some_and(alnum)
        && bytes.last().is_some_and(alnum)
}

/// RFC 1123 label (1 to 63 bytes), the form of a namespace and of a stage.
pub(crate) fn is_label(s: &str) -> bool {
    s.len() <= 63 && is_label_part(s)
}

fn is_uid(s: &str) -> bool {
    (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_account(s: &str) -> bool {
    (1..=256).contains(&s.chars().count()) && s.trim() == s && !s.chars().any(char::is_control)
}

fn is_identity(s: &str) -> bool {
    (1..=253).contains(&s.chars().count()) && !s.chars().any(|c| c.is_whitespace() || c.is_control())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $check:ident, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(value: String) -> Result<Self, NameError> {
                check($what, &value, $expected, $check(&value))?;
                Ok(Self(value))
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(value: &str) -> Result<Self, NameError> {
                Self::try_from(value.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// A fleet: the name of its namespace, an RFC 1123 label.
    FleetName: "fleet", is_label, "a lower case DNS label of at most 63 characters is expected";
    /// The name of a JitPolicy, an RFC 1123 subdomain.
    PolicyName: "policy name", is_subdomain, "a lower case DNS name of at most 253 characters is expected";
    /// The name of a ManagedEndpoint, an RFC 1123 subdomain.
    EndpointName: "endpoint name", is_subdomain, "a lower case DNS name of at most 253 characters is expected";
    /// The name of an ElevationRequest, an RFC 1123 subdomain.
    RequestName: "request name", is_subdomain, "a lower case DNS name of at most 253 characters is expected";
    /// The name of a Lock, an RFC 1123 subdomain.
    LockName: "lock name", is_subdomain, "a lower case DNS name of at most 253 characters is expected";
    /// `metadata.uid` of an object: 1 to 64 letters, digits and `-`.
    Uid: "uid", is_uid, "1 to 64 letters, digits and - are expected";
    /// A login name on an endpoint (`spec.account`), 1 to 256 characters.
    Account: "account", is_account, "1 to 256 characters without control characters or surrounding blanks are expected";
    /// A user name known to the API server (`spec.requester`), 1 to 253 characters without white space.
    Identity: "identity", is_identity, "1 to 253 characters without white space are expected";
    /// A group recorded with an account, 1 to 256 characters.
    Group: "group", is_account, "1 to 256 characters without control characters or surrounding blanks are expected";
    /// A stage of approval: an RFC 1123 label.
    StageName: "stage", is_label, "a lower case DNS label of at most 63 characters is expected";
}

/// An object by name and uid: a re-created object of the same name is another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named<N> {
    /// `metadata.name`
    pub name: N,
    /// `metadata.uid`
    pub uid: Uid,
}

/// A fleet by namespace name and the namespace's uid.
pub type FleetRef = Named<FleetName>;
/// An endpoint by name and uid of its ManagedEndpoint.
pub type EndpointRef = Named<EndpointName>;

/// A SHA-256 digest, written `sha256:<64 lower case hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The SHA-256 digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        let mut out = [0; 32];
        out.copy_from_slice(digest.as_ref());
        Self(out)
    }

    /// 64 lower case hex digits, without the prefix.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl FromStr for Digest {
    type Err = NameError;
    fn from_str(value: &str) -> Result<Self, NameError> {
        let expected = "sha256: followed by 64 lower case hex digits is expected";
        let hex_part = value.strip_prefix("sha256:").unwrap_or_default();
        let mut out = [0; 32];
        let ok = !hex_part.bytes().any(|b| b.is_ascii_uppercase()) && hex::decode_to_slice(hex_part, &mut out).is_ok();
        check("digest", value, expected, ok)?;
        Ok(Self(out))
    }
}

impl TryFrom<String> for Digest {
    type Error = NameError;
    fn try_from(value: String) -> Result<Self, NameError> {
        value.parse()
    }
}

impl From<Digest> for String {
    fn from(value: Digest) -> String {
        value.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_held_to_their_bounds() {
        assert!("ws-042".parse::<EndpointName>().is_ok());
        for bad in ["", "WS", "-a", "a-", "a..b", "a/b", "a b", &"a".repeat(254)] {
            assert!(bad.parse::<EndpointName>().is_err(), "{bad:?}");
        }
        for bad in ["", "a b", "a\u{2028}b", "a\tb", &"x".repeat(254)] {
            assert!(bad.parse::<Identity>().is_err(), "{bad:?}");
        }
        for bad in ["", " a", "a\n", "a\u{1b}[31m", &"x".repeat(257)] {
            assert!(bad.parse::<Account>().is_err(), "{bad:?}");
        }
        assert!("a.b".parse::<FleetName>().is_err());
    }

    #[test]
    fn a_refused_name_is_shown_escaped_and_cut() {
        let long = format!("\u{1b}[31m{}", "x".repeat(5000));
        let text = long.parse::<Identity>().unwrap_err().to_string();
        assert!(text.len() < 200 && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn digest_round_trips_and_matches_fips_180_4() {
        let abc = Digest::of(b"abc");
        assert_eq!(abc.to_string(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(abc.to_string().parse::<Digest>().unwrap(), abc);
        for bad in ["", "sha256:", "sha256:BA", "md5:00", &abc.to_string().to_uppercase()] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?}");
        }
    }
}
