//! An endpoint's manifest as bytes with its ETag, and the answer that carries it. Rendered once per change and shared by all
//! polls of the endpoint.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_core::manifest::{Manifest, PartEntry, PartName, etag};
use tidegate_core::name::{Digest, Uid};
use tidegate_core::refusal::RefusalCode;
use tidegate_core::wire::{Have, limit};

use super::index::{ServedPart, View};

/// A manifest, rendered.
#[derive(Debug)]
pub struct Rendered {
    manifest: Box<RawValue>,
    etag: String,
    digest: Digest,
    rest: OnceLock<Digest>,
    parts: Vec<Arc<ServedPart>>,
    grants: Vec<(Uid, Digest)>,
    withheld: usize,
    refused: OnceLock<RefusalCode>,
    /// When it was handed out first, on the monotonic clock.
    handed_out: OnceLock<Duration>,
    applied: OnceLock<()>,
}

/// Borrowed form of [`tidegate_core::wire::SnapshotBody`]: parts are copied as they were encoded.
#[derive(Serialize)]
struct Answer<'a> {
    manifest: &'a RawValue,
    parts: BTreeMap<Digest, &'a RawValue>,
}

// === impl Rendered ===

impl Rendered {
    /// Renders what an endpoint receives; a pure function of the view. An agent refuses a manifest above its limit as a whole,
    /// and with it every revocation: so what does not fit is withheld, which only takes rights away. Of what gives rights grants
    /// stay longest.
    ///
    /// # Errors
    /// The manifest does not serialise, which none does.
    pub fn new(view: View) -> Result<Self, serde_json::Error> {
        let View { fleet, endpoint, mut parts, requests } = view;
        // Stable: policies and grants stay in the order of their objects' names.
        parts.sort_by_key(|(name, _)| rank(name));
        let mut entries: Vec<_> = parts.iter().map(entry).collect();
        let empty = Manifest::new(fleet.clone(), endpoint.clone(), Vec::new(), requests.clone()).to_bytes();
        let fitting = fitting(&entries, limit::MANIFEST.saturating_sub(empty.len()))?;
        let withheld = entries.len() - fitting;
        entries.truncate(fitting);
        parts.truncate(fitting);
        let bytes = Manifest::new(fleet, endpoint, entries, requests).to_bytes();
        let (etag, digest) = (etag(&bytes), Digest::of(&bytes));
        let text = String::from_utf8(bytes).map_err(serde::ser::Error::custom)?;
        let grants = parts.iter().filter_map(|(name, part)| Some((granted_by(name)?.clone(), part.digest))).collect();
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        let manifest = RawValue::from_string(text)?;
        let (rest, refused) = (OnceLock::new(), OnceLock::new());
        let (handed_out, applied) = (OnceLock::new(), OnceLock::new());
        Ok(Self { manifest, etag, digest, rest, parts, grants, withheld, refused, handed_out, applied })
    }

    /// How many parts do not fit into the manifest.
    #[must_use]
    pub fn withheld(&self) -> usize {
        self.withheld
    }

    /// An agent says that it refused this manifest; true the first time.
    pub fn refuse(&self, code: RefusalCode) -> bool {
        self.refused.set(code).is_ok()
    }

    /// It is handed out; true the first time.
    pub fn hand_out(&self, now: Duration) -> bool {
        self.handed_out.set(now).is_ok()
    }

    /// When it was handed out first.
    #[must_use]
    pub fn handed_out(&self) -> Option<Duration> {
        self.handed_out.get().copied()
    }

    /// The requests whose grants are in it, and the digests of these.
    #[must_use]
    pub fn grants(&self) -> &[(Uid, Digest)] {
        &self.grants
    }

    /// Those of them that this agent has not had.
    pub fn fresh<'a>(&'a self, have: &'a Have) -> impl Iterator<Item = &'a Uid> {
        self.grants.iter().filter(|(_, digest)| !have.holds(digest)).map(|(request, _)| request)
    }

    /// The agent says that it has applied this manifest: how long after it was handed out here, the first time.
    pub fn apply(&self, now: Duration) -> Option<Duration> {
        let handed_out = self.handed_out.get()?;
        self.applied.set(()).is_ok().then(|| now.saturating_sub(*handed_out))
    }

    /// The quoted entity tag.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// SHA-256 of the manifest's bytes: what an agent names that has applied it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// SHA-256 of what the manifest says apart from the fleet part: the same as long as only that is signed anew.
    #[must_use]
    pub fn rest(&self) -> Digest {
        *self.rest.get_or_init(|| {
            let Ok(mut manifest) = Manifest::parse(self.manifest.get().as_bytes()) else { return self.digest };
            manifest.parts.retain(|entry| entry.name != PartName::Fleet);
            Digest::of(&manifest.to_bytes())
        })
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

fn entry((name, part): &(PartName, Arc<ServedPart>)) -> PartEntry {
    PartEntry { name: name.clone(), digest: part.digest, size: part.size }
}

/// The request of a grant.
fn granted_by(name: &PartName) -> Option<&Uid> {
    match name {
        PartName::Grant(request) => Some(request),
        PartName::Placement | PartName::Fleet | PartName::Policy(_) => None,
    }
}

/// What is withheld last comes first.
fn rank(name: &PartName) -> u8 {
    match name {
        PartName::Placement => 0,
        PartName::Fleet => 1,
        PartName::Grant(_) => 2,
        PartName::Policy(_) => 3,
    }
}

/// How many of these entries, from the first on, take at most so many bytes in a manifest.
fn fitting(entries: &[PartEntry], room: usize) -> Result<usize, serde_json::Error> {
    let mut used = 0;
    for (index, entry) in entries.iter().enumerate() {
        let comma = usize::from(index > 0);
        used += comma + serde_json::to_vec(entry)?.len();
        if used > room {
            return Ok(index);
        }
    }
    Ok(entries.len())
}
