//! The trust bundle as agents are given it: the bytes of trust.json, read again every minute. The gateway passes it on; only
//! agents have a reason to verify it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use tidegate_core::trust::TrustBundle;
use tidegate_core::wire::limit;

/// The file in `--trust-dir`.
const FILE: &str = "trust.json";

/// The bundle now.
#[derive(Debug)]
pub struct Trust {
    file: PathBuf,
    bundle: ArcSwap<Bundle>,
}

#[derive(Debug, PartialEq, Eq)]
struct Bundle {
    raw: Bytes,
    trust_domain: String,
}

// === impl Trust ===

impl Trust {
    /// Reads the bundle in this folder.
    ///
    /// # Errors
    /// The file cannot be read or is not a trust bundle.
    pub fn load(folder: &Path) -> io::Result<Self> {
        let file = folder.join(FILE);
        let bundle = ArcSwap::from_pointee(read(&file)?);
        Ok(Self { file, bundle })
    }

    /// Reads the file again; says whether it differs. On an error what was read before stays.
    ///
    /// # Errors
    /// Those of [`Trust::load`].
    pub fn reload(&self) -> io::Result<bool> {
        let new = read(&self.file)?;
        let differs = new != **self.bundle.load();
        if differs {
            self.bundle.store(Arc::new(new));
        }
        Ok(differs)
    }

    /// The bundle's exact bytes.
    #[must_use]
    pub fn raw(&self) -> Bytes {
        self.bundle.load().raw.clone()
    }

    /// The installation that certificates must belong to.
    #[must_use]
    pub fn trust_domain(&self) -> String {
        self.bundle.load().trust_domain.clone()
    }
}

fn read(file: &Path) -> io::Result<Bundle> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("--trust-dir: {}: {error}", file.display()));
    let raw = std::fs::read(file).map_err(named)?;
    if raw.len() > limit::PART {
        return Err(named(io::Error::new(io::ErrorKind::InvalidData, "too large for a trust bundle")));
    }
    let TrustBundle { trust_domain, .. } = serde_json::from_slice(&raw).map_err(|error| named(error.into()))?;
    Ok(Bundle { raw: raw.into(), trust_domain })
}
