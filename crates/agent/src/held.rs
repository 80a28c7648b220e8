//! What is in force: the last accepted snapshot and the floors, in memory and on disk. Everything that enters passes
//! core's `accept`; everything that a manifest no longer names leaves, even if that manifest is refused.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_core::floor::Floors;
use tidegate_core::keyring::KeyRing;
use tidegate_core::manifest::{PartEntry, PartName};
use tidegate_core::name::Digest;
use tidegate_core::refusal::RefusalCode;
use tidegate_core::snapshot::{Acceptance, Me, PartRefusal, Snapshot, accept};
use tidegate_core::wire::SnapshotBody;

use crate::store::{Entry, Store, StoreError};

/// What is in force, and its copy on disk.
#[derive(Debug)]
pub struct Held {
    store: Arc<Store>,
    floors: Floors,
    snapshot: Option<Arc<Snapshot>>,
    /// The manifest that is applied exactly; none once something of it was dropped.
    applied: Option<Applied>,
    refused: Vec<PartRefusal>,
}

/// A manifest that is applied exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// Its ETag, quoted: what the gateway calls it.
    pub etag: String,
    /// SHA-256 of its bytes as they came.
    pub digest: Digest,
}

/// Why a manifest is not in force. What it does not name was dropped nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// For the gateway; none if the trouble is this computer's.
    pub code: Option<RefusalCode>,
    /// For people.
    pub message: String,
}

/// The snapshot on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    /// None where a part was refused: another version may understand it, so it has to come again.
    applied: Option<Applied>,
    body: SnapshotBody,
}

impl Held {
    /// Nothing in force yet, but the floors of an earlier run: they hold for whatever comes.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn open(store: Arc<Store>) -> Result<Self, StoreError> {
        let floors = store.read_json(Entry::Floors)?.unwrap_or_default();
        Ok(Self { store, floors, snapshot: None, applied: None, refused: Vec::new() })
    }

    /// Puts in force what an earlier run left, verified again. A snapshot that does not verify is kept aside and counts
    /// as absent.
    ///
    /// # Errors
    /// The disk cannot be read or, where the floors were lost, written.
    pub fn restore(&mut self, ring: &KeyRing, me: &Me) -> Result<(), StoreError> {
        let Some(Stored { applied, body }) = self.store.read_json(Entry::Snapshot)? else { return Ok(()) };
        match accept(&body, ring, me, None, &self.floors) {
            Ok(Acceptance { snapshot, floors, refused }) => {
                if floors != self.floors {
                    self.store.write_json(Entry::Floors, &floors)?;
                }
                self.applied = applied.filter(|_| refused.is_empty());
                (self.snapshot, self.floors, self.refused) = (Some(Arc::new(snapshot)), floors, refused);
            }
            Err(refusal) => self.store.set_aside(Entry::Snapshot, &refusal.to_string()),
        }
        Ok(())
    }

    /// Takes what a gateway sent: floors on disk, snapshot on disk, then in force.
    ///
    /// # Errors
    /// [`NotTaken`] if it is not proven or cannot be stored; what was in force stays, but for what the manifest does
    /// not name.
    pub fn take(&mut self, etag: String, body: &SnapshotBody, ring: &KeyRing, me: &Me) -> Result<(), NotTaken> {
        let accepted = match accept(body, ring, me, self.snapshot.as_deref(), &self.floors) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                if let Some(left) = refusal.left {
                    self.leave(*left);
                }
                return Err(NotTaken { code: Some(refusal.code), message: refusal.message });
            }
        };
        let applied = Applied { etag, digest: Digest::of(body.manifest.get().as_bytes()) };
        if let Err(e) = self.persist(Some(&applied), &accepted) {
            let message = format!("it cannot be stored: {e}");
            self.ends_only(accepted);
            return Err(NotTaken { code: None, message });
        }
        (self.snapshot, self.floors) = (Some(Arc::new(accepted.snapshot)), accepted.floors);
        (self.applied, self.refused) = (Some(applied), accepted.refused);
        Ok(())
    }

    /// What a refused manifest leaves of what was in force. Ending needs no disk: a restart is what reads it.
    fn leave(&mut self, left: Acceptance) {
        if self.snapshot.as_deref() == Some(&left.snapshot) {
            return;
        }
        if let Err(e) = self.persist(None, &left) {
            tracing::error!("{e}: a restart may show again what is over");
        }
        self.refused.retain(|refused| left.snapshot.manifest.part(&refused.name).is_some());
        (self.snapshot, self.floors, self.applied) = (Some(Arc::new(left.snapshot)), left.floors, None);
    }

    /// Of a snapshot that cannot be stored only what ends something is used: its view of the fleet, on what was in force before.
    fn ends_only(&mut self, accepted: Acceptance) {
        let held = self.snapshot.as_ref().map(|held| held.manifest.clone());
        let is_held = |entry: &&PartEntry| {
            let before = held.as_ref().and_then(|held| held.part(&entry.name));
            matches!(entry.name, PartName::Placement | PartName::Fleet) || before == Some(entry)
        };
        let names = accepted.snapshot.manifest.parts.iter().filter(is_held).map(|entry| entry.name.clone()).collect();
        (self.snapshot, self.applied) = (Some(Arc::new(accepted.snapshot.keep_named(&names))), None);
    }

    /// Drops everything. The floors stay: they belong to objects, not to a certificate.
    pub fn clear(&mut self) {
        (self.snapshot, self.applied, self.refused) = (None, None, Vec::new());
        if let Err(e) = self.store.remove(Entry::Snapshot) {
            tracing::error!("{e}: a restart may show again what is over");
        }
    }

    /// The snapshot in force.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }

    /// The ETag of the manifest that is applied exactly.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.applied.as_ref().map(|applied| applied.etag.as_str())
    }

    /// The digest of the manifest that is applied exactly.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.applied.as_ref().map(|applied| applied.digest)
    }

    /// Parts of it that count as absent.
    #[must_use]
    pub fn refused(&self) -> &[PartRefusal] {
        &self.refused
    }

    /// Digests of the parts that need not be sent again.
    #[must_use]
    pub fn digests(&self) -> Vec<&Digest> {
        self.snapshot.iter().flat_map(|snapshot| snapshot.envelopes.keys()).collect()
    }

    fn persist(&self, applied: Option<&Applied>, accepted: &Acceptance) -> anyhow::Result<()> {
        self.store.write_json(Entry::Floors, &accepted.floors)?;
        let applied = applied.filter(|_| accepted.refused.is_empty()).cloned();
        let body = accepted.snapshot.to_body()?;
        Ok(self.store.write_json(Entry::Snapshot, &Stored { applied, body })?)
    }
}

#[cfg(test)]
mod tests;
