//! The folder everything of one harness lives in, and the watchdog that removes it together with every process started
//! in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use crate::assets;
use crate::watchdog::Watchdog;

/// Removed with all its files and processes when the last `Arc` goes, or this process dies.
pub struct Sandbox {
    folder: PathBuf,
    watchdog: Watchdog,
    serial: AtomicUsize,
}

// === impl Sandbox ===

impl Sandbox {
    /// A new, empty folder beside the build's output (a real disk), readable by nobody else.
    ///
    /// # Errors
    /// When the folder or its watchdog cannot be made.
    pub fn create() -> Result<Arc<Self>> {
        let root = assets::temporary_root()?;
        let folder = tempfile::Builder::new().prefix("tidegate-").tempdir_in(&root)?.keep();
        let watchdog = Watchdog::start(&folder)?;
        Ok(Arc::new(Self { folder, watchdog, serial: AtomicUsize::new(0) }))
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A path in subfolder `kind` that nothing has been given before: `kind/<number>-<name>`. The subfolder exists
    /// afterwards, the path does not. `name` is made fit for a file name.
    ///
    /// # Errors
    /// When the subfolder cannot be created.
    pub fn fresh_path(&self, kind: &str, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(kind);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' }).collect();
        Ok(folder.join(format!("{number}-{name}")))
    }

    /// `fresh_path`, as a new empty folder.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn fresh_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.fresh_path("folders", name)?;
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder)
    }

    /// `fresh_path`, as a file with `contents`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn fresh_file(&self, kind: &str, name: &str, contents: &str) -> Result<PathBuf> {
        let path = self.fresh_path(kind, name)?;
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    pub(crate) fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }
}
