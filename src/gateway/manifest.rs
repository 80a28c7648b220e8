//! An endpoint's manifest as bytes with its ETag, and the answer that carries it. Rendered once per change and shared by all
//! polls of the endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_core::manifest::{Manifest, PartEntry, etag};
use tidegate_core::name::Digest;
use tidegate_core::wire::{Have, limit};

use super::index::{ServedPart, View};

/// A manifest, rendered.
#[derive(Debug)]
pub struct Rendered {
    manifest: Box<RawValue>,
    etag: String,
    parts: Vec<Arc<ServedPart>>,
}

/// Borrowed form of [`tidegate_core::wire::SnapshotBody`]: parts are copied as they were encoded.
#[derive(Serialize)]
struct Answer<'a> {
    manifest: &'a RawValue,
    parts: BTreeMap<Digest, &'a RawValue>,
}

// === impl Rendered ===

impl Rendered {
    /// Renders what an endpoint receives; a pure function of the view.
    ///
    /// # Errors
    /// The manifest does not serialise, which none does.
    pub fn new(view: View) -> Result<Self, serde_json::Error> {
        let View { fleet, endpoint, parts, requests } = view;
        let entries =
            parts.iter().map(|(name, part)| PartEntry { name: name.clone(), digest: part.digest, size: part.size });
        let entries = entries.collect();
        let shown = endpoint.name.clone();
        let bytes = Manifest::new(fleet, endpoint, entries, requests).to_bytes();
        if bytes.len() > limit::MANIFEST {
            tracing::warn!(endpoint = %shown, bytes = bytes.len(), "the manifest is larger than agents accept");
        }
        let etag = etag(&bytes);
        let text = String::from_utf8(bytes).map_err(serde::ser::Error::custom)?;
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        Ok(Self { manifest: RawValue::from_string(text)?, etag, parts })
    }

    /// The quoted entity tag.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The body of the answer: the manifest's exact bytes, and every part that the agent does not have.
    ///
    /// # Errors
    /// The answer does not serialise, which every one does.
    pub fn answer(&self, have: &Have) -> Result<Vec<u8>, serde_json::Error> {
        let missing = self.parts.iter().filter(|part| !have.holds(&part.digest));
        let parts = missing.map(|part| (part.digest, &*part.json)).collect();
        serde_json::to_vec(&Answer { manifest: &self.manifest, parts })
    }
}
