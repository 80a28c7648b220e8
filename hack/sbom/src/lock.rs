//! Cargo.lock: which crates were fetched, and with which checksum.

use std::collections::BTreeMap;

/// By name and version: the checksum, or `None` for a crate of this repository.
#[derive(Debug, Default)]
pub struct Lock(BTreeMap<(String, String), Option<String>>);

// === impl Lock ===

impl Lock {
    /// Of the text of the file, which cargo writes one way only.
    pub fn parse(text: &str) -> Self {
        let mut lock = Self::default();
        for package in text.split("[[package]]").skip(1) {
            let field = |name: &str| {
                let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = \""))?;
                Some(line.trim_end_matches('"').to_owned())
            };
            if let (Some(name), Some(version)) = (field("name"), field("version")) {
                lock.0.insert((name, version), field("checksum"));
            }
        }
        lock
    }

    /// The checksum of a crate; `Some(None)` for one of this repository, `None` for one that the file does not know.
    pub fn checksum(&self, name: &str, version: &str) -> Option<Option<&str>> {
        self.0.get(&(name.to_owned(), version.to_owned())).map(Option::as_deref)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Two versions of one crate, and a crate of this repository.
    pub const LOCK: &str = "version = 4\n\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\ndependencies = [\n \"syn 1.0.0\",\n]\n\n\
        [[package]]\nname = \"syn\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"aa\"\n\n\
        [[package]]\nname = \"syn\"\nversion = \"2.0.0\"\nsource = \"registry\"\nchecksum = \"bb\"\n";

    #[test]
    fn versions_of_a_crate_have_checksums_of_their_own_and_our_crates_have_none() {
        let lock = Lock::parse(LOCK);
        assert_eq!(lock.checksum("syn", "1.0.0"), Some(Some("aa")));
        assert_eq!(lock.checksum("syn", "2.0.0"), Some(Some("bb")));
        assert_eq!(lock.checksum("ours", "0.1.0"), Some(None));
        assert_eq!(lock.checksum("syn", "3.0.0"), None);
    }
}
