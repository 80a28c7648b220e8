//! What is in force: the last accepted snapshot and the floors, in memory and on disk. Everything that enters passes
//! core's `accept`; everything that a manifest no longer names leaves, even if that manifest is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_core::floor::Floors;
use tidegate_core::keyring::KeyRing;
use tidegate_core::manifest::PartName;
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
    etag: Option<String>,
    refused: Vec<PartRefusal>,
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
    etag: Option<String>,
    body: SnapshotBody,
}

impl Held {
    /// Nothing in force yet, but the floors of an earlier run: they hold for whatever comes.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn open(store: Arc<Store>) -> Result<Self, StoreError> {
        let floors = store.read_json(Entry::Floors)?.unwrap_or_default();
        Ok(Self { store, floors, snapshot: None, etag: None, refused: Vec::new() })
    }

    /// Puts in force what an earlier run left, verified again. A snapshot that does not verify is kept aside and counts
    /// as absent.
    ///
    /// # Errors
    /// The disk cannot be read or, where the floors were lost, written.
    pub fn restore(&mut self, ring: &KeyRing, me: &Me) -> Result<(), StoreError> {
        let Some(Stored { etag, body }) = self.store.read_json(Entry::Snapshot)? else { return Ok(()) };
        match accept(&body, ring, me, None, &self.floors) {
            Ok(Acceptance { snapshot, floors, refused }) => {
                if floors != self.floors {
                    self.store.write_json(Entry::Floors, &floors)?;
                }
                self.etag = etag.filter(|_| refused.is_empty());
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
                if let Some(named) = &refusal.named {
                    self.keep_named(named);
                }
                return Err(NotTaken { code: Some(refusal.code), message: refusal.message });
            }
        };
        if let Err(e) = self.persist(&etag, &accepted) {
            self.keep_named(&accepted.snapshot.manifest.parts.iter().map(|entry| entry.name.clone()).collect());
            return Err(NotTaken { code: None, message: format!("it cannot be stored: {e}") });
        }
        (self.snapshot, self.floors) = (Some(Arc::new(accepted.snapshot)), accepted.floors);
        (self.etag, self.refused) = (Some(etag), accepted.refused);
        Ok(())
    }

    /// Drops everything. The floors stay: they belong to objects, not to a certificate.
    pub fn clear(&mut self) {
        (self.snapshot, self.etag, self.refused) = (None, None, Vec::new());
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
        self.etag.as_deref()
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

    fn keep_named(&mut self, named: &BTreeSet<PartName>) {
        let Some(snapshot) = &self.snapshot else { return };
        let kept = snapshot.keep_named(named);
        if kept.envelopes.len() == snapshot.envelopes.len() {
            return;
        }
        let stored = kept.to_body().map_err(|e| e.to_string()).and_then(|body| {
            self.store.write_json(Entry::Snapshot, &Stored { etag: None, body }).map_err(|e| e.to_string())
        });
        if let Err(e) = stored {
            // In force is the smaller one; only a restart before the next success would read the larger one.
            tracing::error!("{e}: a restart may show again what is over");
        }
        (self.snapshot, self.etag) = (Some(Arc::new(kept)), None);
    }

    fn persist(&self, etag: &str, accepted: &Acceptance) -> anyhow::Result<()> {
        self.store.write_json(Entry::Floors, &accepted.floors)?;
        let etag = accepted.refused.is_empty().then(|| etag.to_owned());
        let body = accepted.snapshot.to_body()?;
        Ok(self.store.write_json(Entry::Snapshot, &Stored { etag, body })?)
    }
}

#[cfg(test)]
mod tests;
