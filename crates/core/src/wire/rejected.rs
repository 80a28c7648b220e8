//! What an agent says of a manifest that it refused, so that the gateway does not send it again.

use std::fmt;

use crate::refusal::RefusalCode;

/// `Tidegate-Rejected: <manifest>; code=<code>`: the gateway holds the poll until the manifest is another one. An agent that
/// would take the same manifest with more (a part that was missing, newer keys) does not say that it refused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The refused manifest's ETag, quoted, as the gateway gave it.
    pub manifest: String,
    /// Why.
    pub code: RefusalCode,
}

// === impl Rejected ===

impl Rejected {
    /// Reads the header's value. `None` unless it is a quoted ETag and a code that this version knows.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (manifest, code) = value.split_once("\";")?;
        let tag = manifest.trim_start().strip_prefix('"')?;
        if tag.is_empty() || tag.contains('"') {
            return None;
        }
        let code = code.trim().strip_prefix("code=")?.parse().ok()?;
        Some(Self { manifest: format!("\"{tag}\""), code })
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manifest, code } = self;
        write!(f, "{manifest}; code={code}")
    }
}
