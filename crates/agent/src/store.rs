//! What survives a restart: key, certificate, trust bundle, snapshot, floors and deadlines, one file each. A file is
//! replaced as a whole (write, fsync, rename, fsync folder) or not at all; one that cannot be read is kept aside and
//! counts as absent.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The files of the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The private key of the certificate, PKCS#8 PEM.
    Key,
    /// The certificate chain, PEM, leaf first.
    Certificate,
    /// The private key that a certificate is asked for, PKCS#8 PEM.
    NextKey,
    /// That a person denied the next key a certificate, JSON.
    Denial,
    /// The trust bundle, JSON as served.
    Trust,
    /// The last accepted snapshot, JSON.
    Snapshot,
    /// The lowest sequences accepted, JSON.
    Floors,
    /// Deadlines set in this boot, what is over, the floor under the clock and the last contact, JSON.
    Deadlines,
}

/// The state directory, locked for this process.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: File,
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be created, read or written.
    #[error("{path}: {error}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another process has it.
    #[error("{0}: another agent uses this state directory; stop it, or give --state-dir another one")]
    Locked(PathBuf),
    /// It was there before, and others may look into it.
    #[error("{0}: others may look into it; chmod 700 it if it is the agent's own, or give --state-dir another one")]
    Public(PathBuf),
}

// === impl Store ===

impl Store {
    /// Opens the directory, creating it with mode 0700, and locks it until drop. One that exists has to be private already: it is
    /// never changed, for it may be somebody else's.
    ///
    /// # Errors
    /// [`StoreError`], each variant as it says.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Io { path, error }
        };
        for folder in [dir.to_owned(), dir.join("identity")] {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at(&folder))?;
            if fs::metadata(&folder).map_err(at(&folder))?.permissions().mode() & 0o077 != 0 {
                return Err(StoreError::Public(folder));
            }
        }
        let path = dir.join("lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(at(&path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Locked(dir.to_owned())),
            Err(errno) => Err(at(&path)(errno.into())),
        }
    }

    /// The text of an entry; none if it is absent.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it is there but cannot be read.
    pub fn read(&self, entry: Entry) -> Result<Option<String>, StoreError> {
        let path = self.path(entry);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                self.set_aside(entry, "not text");
                Ok(None)
            }
            Err(error) => Err(StoreError::Io { path, error }),
        }
    }

    /// The value of an entry; none if it is absent or torn (it is then kept aside).
    ///
    /// # Errors
    /// [`StoreError::Io`] if it is there but cannot be read.
    pub fn read_json<T: DeserializeOwned>(&self, entry: Entry) -> Result<Option<T>, StoreError> {
        let Some(text) = self.read(entry)? else { return Ok(None) };
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Some(value)),
            Err(e) => {
                self.set_aside(entry, &e.to_string());
                Ok(None)
            }
        }
    }

    /// Replaces an entry. When this returns it is on disk.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the old content is then still there.
    pub fn write(&self, entry: Entry, content: &[u8]) -> Result<(), StoreError> {
        let path = self.path(entry);
        let staged = path.with_extension("new");
        let replace = || {
            let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&staged)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&staged, &path)?;
            sync_folder(&path)
        };
        replace().map_err(|error| StoreError::Io { path: path.clone(), error })
    }

    /// Replaces an entry by a value as JSON.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_json<T: Serialize>(&self, entry: Entry, value: &T) -> Result<(), StoreError> {
        let json = serde_json::to_vec(value).map_err(|e| StoreError::Io { path: self.path(entry), error: e.into() })?;
        self.write(entry, &json)
    }

    /// Puts an entry, which exists, in the place of another one.
    ///
    /// # Errors
    /// [`StoreError::Io`]; both are then as they were.
    pub fn rename(&self, from: Entry, to: Entry) -> Result<(), StoreError> {
        let (path, target) = (self.path(from), self.path(to));
        fs::rename(&path, &target).and_then(|()| sync_folder(&target)).map_err(|error| StoreError::Io { path, error })
    }

    /// Removes an entry; one that is absent is fine.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it is still there.
    pub fn remove(&self, entry: Entry) -> Result<(), StoreError> {
        let path = self.path(entry);
        match fs::remove_file(&path).and_then(|()| sync_folder(&path)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(StoreError::Io { path, error }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Keeps an entry that is of no use beside its place, for people to look at; it then counts as absent.
    pub fn set_aside(&self, entry: Entry, why: &str) {
        let path = self.path(entry);
        let aside = path.with_extension("bad");
        tracing::warn!("{}: {why}; kept as {} and taken as absent", path.display(), aside.display());
        if let Err(e) = fs::rename(&path, &aside) {
            tracing::warn!("{}: cannot be renamed: {e}", path.display());
        }
    }

    /// Where an entry lies.
    #[must_use]
    pub fn path(&self, entry: Entry) -> PathBuf {
        self.dir.join(match entry {
            Entry::Key => "identity/key.pem",
            Entry::Certificate => "identity/certificate.pem",
            Entry::NextKey => "identity/next-key.pem",
            Entry::Denial => "identity/denied.json",
            Entry::Trust => "trust.json",
            Entry::Snapshot => "snapshot.json",
            Entry::Floors => "floors.json",
            Entry::Deadlines => "deadlines.json",
        })
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state")).unwrap();
        (dir, store)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_was_written_is_read_back_and_private() {
        let (_dir, store) = store();
        assert_eq!(store.read_json::<Vec<u8>>(Entry::Floors).unwrap(), None);
        store.write_json(Entry::Floors, &[1, 2]).unwrap();
        store.write_json(Entry::Floors, &[3]).unwrap();
        store.write(Entry::Key, b"secret").unwrap();
        assert_eq!(store.read_json::<Vec<u8>>(Entry::Floors).unwrap(), Some(vec![3]));
        assert_eq!(mode(&store.path(Entry::Key)), 0o600);
        assert_eq!(mode(store.path(Entry::Key).parent().unwrap()), 0o700);
        store.remove(Entry::Floors).unwrap();
        store.remove(Entry::Floors).unwrap();
        assert_eq!(store.read(Entry::Floors).unwrap(), None);
    }

    #[test]
    fn a_renamed_entry_takes_the_place_of_the_other() {
        let (_dir, store) = store();
        store.write(Entry::Key, b"old").unwrap();
        store.write(Entry::NextKey, b"new").unwrap();
        store.rename(Entry::NextKey, Entry::Key).unwrap();
        assert_eq!(
            (store.read(Entry::Key).unwrap().as_deref(), store.read(Entry::NextKey).unwrap()),
            (Some("new"), None)
        );
        assert!(store.rename(Entry::NextKey, Entry::Key).is_err());
        assert_eq!(store.read(Entry::Key).unwrap().as_deref(), Some("new"));
    }

    #[test]
    fn a_torn_file_counts_as_absent_and_is_kept_aside_at_every_length() {
        let (_dir, store) = store();
        let whole = serde_json::to_vec(&vec!["some", "text"]).unwrap();
        for length in 0..whole.len() {
            fs::write(store.path(Entry::Snapshot), &whole[..length]).unwrap();
            assert_eq!(store.read_json::<Vec<String>>(Entry::Snapshot).unwrap(), None, "{length} bytes");
            assert_eq!(fs::read(store.path(Entry::Snapshot).with_extension("bad")).unwrap(), &whole[..length]);
            assert!(!store.path(Entry::Snapshot).exists());
        }
        fs::write(store.path(Entry::Snapshot), [0xff, 0xfe]).unwrap();
        assert_eq!(store.read_json::<Vec<String>>(Entry::Snapshot).unwrap(), None);
    }

    #[test]
    fn a_write_that_was_cut_off_leaves_the_old_content() {
        let (_dir, store) = store();
        store.write_json(Entry::Floors, &[1]).unwrap();
        fs::write(store.path(Entry::Floors).with_extension("new"), b"[2").unwrap();
        assert_eq!(store.read_json::<Vec<u8>>(Entry::Floors).unwrap(), Some(vec![1]));
    }

    #[test]
    fn a_write_that_fails_is_an_error_and_leaves_the_old_content() {
        let (_dir, store) = store();
        store.write_json(Entry::Floors, &[1]).unwrap();
        fs::create_dir(store.path(Entry::Floors).with_extension("new")).unwrap();
        assert!(store.write_json(Entry::Floors, &[2]).is_err());
        assert_eq!(store.read_json::<Vec<u8>>(Entry::Floors).unwrap(), Some(vec![1]));
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let refused = Store::open(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("chmod 700") && refused.contains("--state-dir"), "{refused}");
        assert_eq!((mode(dir.path()), fs::read_dir(dir.path()).unwrap().count()), (0o755, 0));
    }

    #[test]
    fn one_directory_serves_one_agent() {
        let (dir, store) = store();
        let second = Store::open(&dir.path().join("state")).unwrap_err();
        assert!(second.to_string().contains("--state-dir"), "{second}");
        drop(store);
        assert!(Store::open(&dir.path().join("state")).is_ok());
    }
}
